/** A small HTTP server for operators: metrics, and whether the proxy is alive and ready. It changes nothing. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ProxyStats } from '../events.ts';
import {
  ADMIN_CONNECTIONS_MAX,
  ADMIN_HEADER_BYTES_MAX,
  ADMIN_IDLE_TIMEOUT_MS,
  ADMIN_REQUEST_TIMEOUT_MS,
  ADMIN_RESPONSE_TIMEOUT_MS,
} from '../limits.ts';
import type { Metrics } from './metrics.ts';

export type AdminAddress =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface AdminOptions {
  /** Where to listen, or a socket that listens already and is known by this URL. */
  readonly listen: AdminAddress | { readonly kind: 'fd'; readonly fd: number; readonly url: string };
  readonly metrics: Metrics;
  /** How the proxy is doing now. */
  readonly state: () => ProxyStats['state'];
}

export interface AdminServer {
  /** `http://127.0.0.1:9090`, or `unix:/path`. */
  readonly url: string;
  /** The listening socket. */
  readonly fd: number;
  /** Ends its connections too. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Opens the server. Rejects with the system's error if it cannot listen there. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const answer = createAnswers(options);
  const server = createServer(
    {
      maxHeaderSize: ADMIN_HEADER_BYTES_MAX,
      headersTimeout: ADMIN_REQUEST_TIMEOUT_MS,
      requestTimeout: ADMIN_REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: ADMIN_REQUEST_TIMEOUT_MS / 5,
      keepAliveTimeout: ADMIN_IDLE_TIMEOUT_MS,
    },
    (request, response) => void respond(request, response, answer),
  );
  server.maxConnections = ADMIN_CONNECTIONS_MAX;
  // Destroys a connection that is silent for so long, one whose client does not read its answer too.
  server.timeout = ADMIN_IDLE_TIMEOUT_MS;
  await open(server, options.listen);
  return {
    url: urlOf(server, options.listen),
    // Node tells it nowhere else.
    fd: (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Everything it answers. */
function createAnswers({ metrics, state }: AdminOptions): (path: string) => Promise<Answer> {
  let rendering: Promise<string> | null = null;
  // Those who ask while an answer is being made get the same one.
  const render = (): Promise<string> =>
    (rendering ??= metrics.render().finally(() => {
      rendering = null;
    }));
  return async path => {
    switch (path) {
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await render() };
      case '/livez':
        return plain(200, 'alive');
      case '/readyz': {
        const now = state();
        return now === 'listening' ? plain(200, 'ready') : plain(503, now);
      }
      default:
        return plain(404, 'there are /metrics, /livez and /readyz');
    }
  };
}

function plain(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (path: string) => Promise<Answer>,
): Promise<void> {
  const deadline = setTimeout(() => request.socket.destroy(), ADMIN_RESPONSE_TIMEOUT_MS);
  response.once('close', () => clearTimeout(deadline));
  const { status, type, body } = await find(request, answer);
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD', connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function find(request: IncomingMessage, answer: (path: string) => Promise<Answer>): Promise<Answer> {
  const { method, url = '' } = request;
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET and HEAD are answered');
  try {
    return await answer(url.split('?')[0] ?? '');
  } catch (error) {
    return plain(500, error instanceof Error ? error.message : String(error));
  }
}

function open(server: Server, listen: AdminOptions['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const opened = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (listen.kind === 'fd') server.listen({ fd: listen.fd }, opened);
    else if (listen.kind === 'unix') server.listen({ path: listen.path }, opened);
    else server.listen({ host: listen.address, port: listen.port }, opened);
  });
}

function urlOf(server: Server, listen: AdminOptions['listen']): string {
  if (listen.kind === 'fd') return listen.url;
  if (listen.kind === 'unix') return `unix:${listen.path}`;
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
