import { fileURLToPath } from 'node:url';
import type { Contender } from './contender.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function sniway(name: string, engine: 'linux' | 'portable', extra: readonly string[]): Contender {
  return {
    name,
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
/**
 * Two workers, on the one processor that every contender gets: what a connection costs then, beside what it costs with
 * one, tells how far the workers are in each other's way.
 */
export const sniwayLinux2 = sniway('sniway-linux-2', 'linux', ['--workers', '2']);
export const sniwayPortable = sniway('sniway-portable', 'portable', []);
