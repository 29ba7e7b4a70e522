import { fileURLToPath } from 'node:url';
import type { Contender, Task } from './contender.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function commandOf(
  { port, routes }: Task,
  engine: 'linux' | 'portable',
  extra: readonly string[],
): readonly string[] {
  const flags = `--engine ${engine} --quiet --listen 127.0.0.1:${port}`.split(' ');
  const pairs = routes.flatMap(route => ['--route', `${route.serverName}=127.0.0.1:${route.backendPort}`]);
  return [process.execPath, command, ...flags, ...extra, ...pairs];
}

function sniway(name: string, engine: 'linux' | 'portable', extra: readonly string[]): Contender {
  return {
    name,
    spread: false,
    prepare: task => commandOf(task, engine, ['--log-format', 'none', ...extra]),
  };
}

/** One worker that writes access lines to a pipe; `open` is how the shell opens that, as descriptor 3. */
function logging(name: string, open: string): Contender {
  const script = `mkfifo "$0/log" && { ${open}; } && exec "$@" >&3`;
  return {
    name,
    spread: false,
    prepare(task) {
      const logs = commandOf(task, 'linux', ['--log-format', 'json', '--workers', '1']);
      return ['sh', '-c', script, task.folder, ...logs];
    },
  };
}

/** One worker, as the rivals have one; the portable engine has no more. */
export const sniwayLinux = sniway('sniway-linux', 'linux', ['--workers', '1']);
/** Two workers on both processors, of which the load takes one as well. */
export const sniwayLinux2 = { ...sniway('sniway-linux-2', 'linux', ['--workers', '2']), spread: true };
/** One worker that may use both as well, to compare with. */
export const sniwayLinuxSpread = {
  ...sniway('sniway-linux-spread', 'linux', ['--workers', '1']),
  spread: true,
};
export const sniwayPortable = sniway('sniway-portable', 'portable', []);

/** For the question whether a log that nobody reads slows connections down: the same, with a reader and without. */
export const sniwayLogRead = logging('sniway-log-read', 'cat "$0/log" >/dev/null & exec 3>"$0/log"');
export const sniwayLogBlocked = logging('sniway-log-blocked', 'exec 3<>"$0/log"');
