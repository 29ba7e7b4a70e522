import { fileURLToPath } from 'node:url';
import type { Contender } from './contender.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function sniway(name: string, engine: 'linux' | 'portable', extra: readonly string[]): Contender {
  return {
    name,
    spread: false,
    prepare({ port, routes }) {
      const flags = `--engine ${engine} --quiet --log-format none --listen 127.0.0.1:${port}`.split(' ');
      const pairs = routes.flatMap(route => [
        '--route',
        `${route.serverName}=127.0.0.1:${route.backendPort}`,
      ]);
      return [process.execPath, command, ...flags, ...extra, ...pairs];
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
