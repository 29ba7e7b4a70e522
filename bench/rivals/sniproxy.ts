import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender, Route } from './contender.ts';

/** Without access_log it logs nothing for each connection, as the others. Its patterns are regular expressions. */
export const sniproxy: Contender = {
  name: 'sniproxy',
  spread: false,
  prepare({ port, routes, folder }) {
    const file = join(folder, 'sniproxy.conf');
    writeFileSync(
      file,
      `user root
pidfile ${join(folder, 'sniproxy.pid')}
error_log {
  filename ${join(folder, 'error.log')}
  priority error
}
listen 127.0.0.1:${port} {
  proto tls
  table bench
}
table bench {
${routes.map(line).join('\n')}
}
`,
    );
    return ['sniproxy', '-f', '-c', file];
  },
};

function line({ serverName, backendPort }: Route): string {
  return `  ^${serverName.replaceAll('.', String.raw`\.`)}$ 127.0.0.1:${backendPort}`;
}
