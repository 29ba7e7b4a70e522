/** A `sniway run` with a pid file, and whichever processes come after it; all are killed at the end of the test. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from './peers.ts';
import { run } from './programs.ts';
import type { Finished } from './programs.ts';
import { commandFile } from './project.ts';

export interface UpgradableOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** The `sniway` to run, if not the one of this project. */
  readonly main?: string;
  /** Put in front of the command line. */
  readonly prefix?: readonly string[];
  /** Files in its folder, by name; `{folder}` in them, and in arguments, stands for that folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** What the standard streams are followed by. */
  readonly fds?: readonly number[];
}

export class Upgradable {
  readonly folder: string;
  readonly pidFile: string;
  /** Exit code of the first process, once that has ended. */
  readonly firstExit: Promise<number | null>;
  /** All processes so far, in order. */
  readonly pids: number[] = [];
  #stderr = '';
  #ended = false;

  constructor(t: TestContext, args: readonly string[], options: UpgradableOptions = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'sniway-upgrade-'));
    this.pidFile = join(this.folder, 'pid');
    const all = args.map(arg => arg.replaceAll('{folder}', this.folder));
    const { env = {}, prefix = [], fds = [], files = {}, main = commandFile } = options;
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    const command = [...prefix, process.execPath, main, '--pid-file', this.pidFile, ...all];
    const child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe', ...fds],
      env: { ...process.env, ...env },
      cwd: this.folder,
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.firstExit = new Promise(resolve => {
      child.once('exit', code => {
        this.#ended = true;
        resolve(code);
      });
    });
    t.after(async () => {
      child.kill('SIGKILL');
      for (const pid of new Set([...this.pids, this.pid ?? 0])) if (pid > 0) killQuietly(pid);
      await eventually('all processes are gone', () => this.pids.every(pid => !isRunning(pid)));
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The process that the pid file names, or null. */
  get pid(): number | null {
    try {
      return Number(readFileSync(this.pidFile, 'utf8'));
    } catch {
      return null;
    }
  }

  get port(): number {
    return Number(/listening on \S+:([0-9]+)$/m.exec(this.#stderr)?.[1] ?? 0);
  }

  async started(): Promise<this> {
    const runs = (): boolean => this.pid !== null && this.#stderr.includes('listening on');
    await eventually('sniway runs', () => runs() || this.#ended, 30_000);
    if (this.#ended) throw new Error(`sniway ended at once: ${this.#stderr}`);
    this.pids.push(this.pid ?? 0);
    return this;
  }

  /** Asks for an upgrade as an operator does; takes down the new process if there is one. */
  async upgrade(t: TestContext): Promise<Finished> {
    const finished = await run(t, [process.execPath, commandFile, 'upgrade', '--pid-file', this.pidFile]);
    if (finished.code === 0) this.pids.push(this.pid ?? 0);
    return finished;
  }

  async upgraded(t: TestContext): Promise<void> {
    const { code, stderr } = await this.upgrade(t);
    if (code !== 0) throw new Error(`not upgraded: ${stderr}${this.#stderr}`);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid ?? 0, signal);
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text.replaceAll('{folder}', this.folder));
    return path;
  }
}

export async function startUpgradable(
  t: TestContext,
  args: readonly string[],
  options?: UpgradableOptions,
): Promise<Upgradable> {
  return await new Upgradable(t, args, options).started();
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Open descriptors of a process. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process, in bytes. */
export function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/^VmRSS:\s+([0-9]+)/m.exec(status)?.[1] ?? 0);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
