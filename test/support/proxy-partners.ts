/** HAProxy and nginx on the other side of PROXY headers: as backends that say what they were told, and in front. */
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { connectRaw } from './peers.ts';
import { start } from './programs.ts';
import type { TrustedAuthority } from './tls-backends.ts';
import { freePort } from './ports.ts';

export const NAME = 'told.example.com';

/** nginx's stream module where it is a file of its own. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export interface Partner {
  /** As a configuration names it. */
  readonly address: string;
  /** Port of a partner in front; 0 for a backend. */
  readonly port: number;
}

let started = 0;

/** A TLS server of HAProxy's that answers each request with what a PROXY header has told it. */
export async function startHaproxyBackend(t: TestContext, authority: TrustedAuthority): Promise<Partner> {
  const { path, pem } = await prepareBackend(authority);
  const told = [
    'src=%[src]:%[src_port]',
    'dst=%[dst]:%[dst_port]',
    'authority=%[fc_pp_authority]',
    'id=%[fc_pp_unique_id]',
    'proxied=%[fc_rcvd_proxy]',
  ];
  await startHaproxy(
    t,
    authority,
    `listen told
      mode http
      bind unix@${path} accept-proxy ssl crt ${pem}
      http-request return status 200 content-type text/plain lf-string "${told.join(' ')}"`,
  );
  await accepting(t, { path });
  return { address: `unix:${path}`, port: 0 };
}

/** HAProxy between a proxy and a backend: it takes a header off, and lets only this name pass. */
export async function startHaproxyGate(
  t: TestContext,
  authority: TrustedAuthority,
  { to, name }: { to: number; name: string },
): Promise<Partner> {
  const path = join(authority.folder, `gate-${started++}.sock`);
  await startHaproxy(
    t,
    authority,
    `listen gate
      mode tcp
      bind unix@${path} accept-proxy
      tcp-request session reject unless { fc_pp_authority -m str ${name} }
      server backend 127.0.0.1:${to}`,
  );
  await accepting(t, { path });
  return { address: `unix:${path}`, port: 0 };
}

/** What HAProxy's backend is, by nginx, which knows fewer words before version 1.23.2. */
export async function startNginxBackend(t: TestContext, authority: TrustedAuthority): Promise<Partner> {
  const { path, pem } = await prepareBackend(authority);
  await startNginx(
    t,
    authority,
    `http {
      access_log off;
      server {
        listen unix:${path} ssl proxy_protocol;
        ssl_certificate ${pem};
        ssl_certificate_key ${pem};
        default_type text/plain;
        location / {
          return 200 "src=$proxy_protocol_addr:$proxy_protocol_port dst=$proxy_protocol_server_addr:$proxy_protocol_server_port";
        }
      }
    }`,
  );
  await accepting(t, { path });
  return { address: `unix:${path}`, port: 0 };
}

/** HAProxy in front: `server` are its keywords behind the address, such as `send-proxy-v2`. */
export async function startHaproxyFront(
  t: TestContext,
  authority: TrustedAuthority,
  { to, server, more = '' }: { to: number; server: string; more?: string },
): Promise<Partner> {
  const port = await freePort();
  await startHaproxy(
    t,
    authority,
    `listen front
      mode tcp
      bind 127.0.0.1:${port}
      ${more}
      server sniway 127.0.0.1:${to} ${server}`,
  );
  return await listening(t, port);
}

/** nginx in front, which sends version 1. */
export async function startNginxFront(
  t: TestContext,
  authority: TrustedAuthority,
  to: number,
): Promise<Partner> {
  const port = await freePort();
  const server = `server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${to}; proxy_protocol on; }`;
  await startNginx(t, authority, `stream { ${server} }`);
  return await listening(t, port);
}

export interface Told {
  readonly words: Readonly<Record<string, string>>;
  /** Port of the client that asked. */
  readonly clientPort: number;
}

/** Asks the backend behind a port, over TLS, what it was told. */
export async function askWhatWasTold(
  t: TestContext,
  authority: TrustedAuthority,
  port: number,
): Promise<Told> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: NAME,
    ca: authority.ca,
    ALPNProtocols: ['http/1.1'],
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const clientPort = socket.localPort ?? 0;
  socket.write(`GET / HTTP/1.1\r\nhost: ${NAME}\r\nconnection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  const body = text.split('\r\n\r\n')[1] ?? '';
  const words = body
    .trim()
    .split(' ')
    .map(word => {
      const at = word.indexOf('=');
      return [word.slice(0, at), word.slice(at + 1)] as const;
    });
  return { words: Object.fromEntries(words), clientPort };
}

async function prepareBackend(authority: TrustedAuthority): Promise<{ path: string; pem: string }> {
  const { cert, key } = await authority.issue([NAME]);
  const base = join(authority.folder, `partner-${started++}`);
  writeFileSync(`${base}.pem`, `${cert}\n${key}`);
  return { path: `${base}.sock`, pem: `${base}.pem` };
}

async function startHaproxy(t: TestContext, { folder }: TrustedAuthority, sections: string): Promise<void> {
  const file = join(folder, `haproxy-${started++}.cfg`);
  const defaults = 'defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n';
  writeFileSync(file, `${defaults}${sections}\n`);
  const running = start(t, ['haproxy', '-db', '-q', '-f', file]);
  running.finished.then(
    ({ code, stderr }) => code !== null && code !== 0 && t.diagnostic(`haproxy: ${stderr}`),
    () => undefined,
  );
}

async function startNginx(t: TestContext, { folder }: TrustedAuthority, sections: string): Promise<void> {
  const base = join(folder, `nginx-${started++}`);
  const load = existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};` : '';
  const main = `daemon off; master_process off; pid ${base}.pid; error_log stderr; events {}`;
  writeFileSync(`${base}.conf`, `${load} ${main} ${sections}\n`);
  const running = start(t, ['nginx', '-p', folder, '-e', 'stderr', '-c', `${base}.conf`]);
  running.finished.then(
    ({ code, stderr }) => code !== null && code !== 0 && t.diagnostic(`nginx: ${stderr}`),
    () => undefined,
  );
}

async function listening(t: TestContext, port: number): Promise<Partner> {
  await accepting(t, { port, host: '127.0.0.1' });
  return { address: `127.0.0.1:${port}`, port };
}

/** The file of a Unix-domain socket is there before somebody listens at it. */
async function accepting(t: TestContext, to: NetConnectOpts): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      (await connectRaw(t, to)).destroy();
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
}
