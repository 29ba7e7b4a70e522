import { fileURLToPath } from 'node:url';
import type { Contender } from './contender.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function sniway(engine: 'linux' | 'portable', extra: readonly string[]): Contender {
  return {
    name: `sniway-${engine}`,
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
export const sniwayLinux = sniway('linux', ['--workers', '1']);
export const sniwayPortable = sniway('portable', []);
