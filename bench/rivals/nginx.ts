import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from './contender.ts';

/** Debian's module; other builds have stream linked in. */
const MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** `proxy_half_close` makes it do the same work as the others: without it both sides close at the first end of file. */
export const nginx: Contender = {
  name: 'nginx',
  spread: false,
  prepare({ port, routes, folder }) {
    const file = join(folder, 'nginx.conf');
    const isRoot = process.getuid?.() === 0;
    writeFileSync(
      file,
      `${existsSync(MODULE) ? `load_module ${MODULE};` : ''}
${isRoot ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${join(folder, 'nginx.pid')};
error_log stderr error;
events { worker_connections 19000; }
stream {
  map $ssl_preread_server_name $bench_backend {
${routes.map(route => `    ${route.serverName} 127.0.0.1:${route.backendPort};`).join('\n')}
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    proxy_pass $bench_backend;
    proxy_half_close on;
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
  }
}
`,
    );
    return ['nginx', '-p', folder, '-e', 'stderr', '-c', file];
  },
};
