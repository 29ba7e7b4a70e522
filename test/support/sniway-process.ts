/** The `sniway` command as its users start it: a process of its own. */
import type { TestContext } from 'node:test';
import { eventually } from './peers.ts';
import { start } from './programs.ts';
import type { Running } from './programs.ts';
import { commandFile } from './project.ts';

export interface SniwayProcess extends Running {
  readonly port: number;
  /** Access lines printed so far. */
  readonly lines: () => readonly string[];
  /** Resolves when stdout holds this many access lines. */
  accessLines(count: number): Promise<readonly string[]>;
}

export interface SniwayOptions {
  /** Put in front of the command line, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

/** Starts the command on a port of the kernel's choice and waits until it listens. */
export async function startSniway(
  t: TestContext,
  args: readonly string[],
  { prefix = [] }: SniwayOptions = {},
): Promise<SniwayProcess> {
  const listen = args.includes('-l') || args.includes('-c') ? [] : ['-l', '127.0.0.1:0'];
  const [program = '', ...rest] = [...prefix, process.execPath, commandFile, ...listen, ...args];
  const running = start(t, [program, ...rest]);
  const port = (): number => Number(/listening on \S+:([0-9]+)$/m.exec(running.stderr())?.[1] ?? 0);
  let ended = false;
  void running.finished.then(() => (ended = true));
  await eventually('sniway listens', () => running.stderr().includes('listening on') || ended, 30_000);
  if (ended) throw new Error(`sniway ended at once: ${running.stderr()}`);
  const lines = (): readonly string[] => running.stdout().split('\n').slice(0, -1);
  return {
    ...running,
    port: port(),
    lines,
    async accessLines(count) {
      await eventually(`${count} access lines`, () => lines().length >= count);
      return lines();
    },
  };
}
