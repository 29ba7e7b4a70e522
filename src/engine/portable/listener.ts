/** Listening sockets of the portable engine, and what their errors mean to an operator. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ListenOptions, Server, Socket } from 'node:net';
import type { BoundAddress } from '../../events.ts';
import { LISTEN_BACKLOG, RELAY_BUFFER_BYTES } from '../../limits.ts';
import type { ListenTarget, ListeningSocket, TcpSettings } from '../engine.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { InheritedSockets } from '../inherited-sockets.ts';
import type { ClaimedSockets } from '../inherited-sockets.ts';
import { isStaleSocket, listenError } from '../listen-error.ts';
import { listenAtPath, removeSocketFile } from '../socket-file.ts';
import { errorCode } from './sockets.ts';

export interface Listener {
  readonly target: ListenTarget;
  readonly address: BoundAddress;
  /** One, or more where another process has handed over several sockets. */
  readonly servers: readonly Server[];
  /** A socket file to be removed at the end, or null. */
  readonly path: string | null;
  /** Whether Sniway has opened them, and no service manager goes on listening on them. */
  readonly isOurs: boolean;
}

export interface ListenerOptions {
  readonly tcp: TcpSettings;
  readonly accept: (socket: Socket, address: BoundAddress) => void;
  readonly inherited?: InheritedSockets;
}

/** @throws SniwayError `ERR_LISTEN` that names the address, the system's error and a remedy. */
export async function openListener(target: ListenTarget, options: ListenerOptions): Promise<Listener> {
  try {
    const claimed = (options.inherited ?? new InheritedSockets()).claim(target);
    const servers =
      claimed === null ? [await openOrRecover(target, options)] : await adopt(target, claimed, options);
    const isOurs = claimed?.isOurs ?? true;
    const path = target.kind === 'unix' && isOurs ? target.path : null;
    return { target, address: boundAddress(servers[0]!, target), servers, path, isOurs };
  } catch (error) {
    throw listenError(target, error instanceof Error ? errorCode(error) : String(error), error);
  }
}

/** Closes the sockets at once, and removes their file unless another process has taken them over. */
export function closeListener({ servers, path }: Listener, keepsFile: boolean): void {
  // The callback would be called only when all connections have ended, too.
  for (const server of servers) server.close();
  if (path !== null && !keepsFile) removeSocketFile(path);
}

/** For another process to take over. */
export function listeningSockets({ target, address, servers }: Listener): ListeningSocket[] {
  // Node tells the descriptor of a server nowhere else.
  return servers.map(server => ({
    target,
    address,
    fd: (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd,
  }));
}

/** As {@link open}, once more where a left-over socket file or a machine without IPv6 stood in the way. */
async function openOrRecover(target: ListenTarget, options: ListenerOptions): Promise<Server> {
  try {
    return await open(target, options);
  } catch (error) {
    const code = error instanceof Error ? errorCode(error) : '';
    if (code === 'EADDRINUSE' && target.kind === 'unix' && (await isStaleSocket(target.path))) {
      unlinkSync(target.path);
      return await open(target, options);
    }
    if (code === 'EAFNOSUPPORT' && target.kind === 'tcp' && target.address === '::') {
      return await open({ ...target, address: '0.0.0.0' }, options);
    }
    throw error;
  }
}

async function adopt(
  target: ListenTarget,
  { fds }: ClaimedSockets,
  options: ListenerOptions,
): Promise<Server[]> {
  const servers: Server[] = [];
  for (const fd of fds) {
    const server = createListeningServer(options);
    await listen(server, { fd });
    serve(server, target, options);
    servers.push(server);
  }
  return servers;
}

async function open(target: ListenTarget, options: ListenerOptions): Promise<Server> {
  const server = createListeningServer(options);
  await bind(server, target);
  serve(server, target, options);
  return server;
}

/** Before anything else can happen: whoever comes without a listener to take it would be dropped. */
function serve(server: Server, target: ListenTarget, { accept }: ListenerOptions): void {
  const address = boundAddress(server, target);
  server.on('connection', socket => accept(socket, address));
}

async function bind(server: Server, target: ListenTarget): Promise<void> {
  const backlog = LISTEN_BACKLOG;
  switch (target.kind) {
    case 'tcp':
      await listen(server, { host: target.address, port: target.port, backlog });
      return;
    case 'unix':
      await listenAtPath(target.path, path => listen(server, { path, backlog }));
      return;
    case 'fd':
      throw new TypeError('an inherited socket is claimed, not opened');
  }
}

function createListeningServer({ tcp }: ListenerOptions): Server {
  return createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: tcp.keepaliveIdleMs > 0,
    keepAliveInitialDelay: tcp.keepaliveIdleMs,
    highWaterMark: RELAY_BUFFER_BYTES,
  });
}

function listen(server: Server, options: ListenOptions & { fd?: number }): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const opened = (): void => {
      server.removeListener('error', reject);
      resolve();
    };
    // With a descriptor, Node takes the backlog only from beside the options, and would set a shorter one without it.
    if (options.fd === undefined) server.listen(options, opened);
    else server.listen(options, LISTEN_BACKLOG, opened);
  });
}

function boundAddress(server: Server, target: ListenTarget): BoundAddress {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') {
    const address = target.kind === 'unix' ? target.path : (bound ?? '');
    return { kind: 'unix', address, port: 0, text: `unix:${address}` };
  }
  const family = bound.family === 'IPv6' ? 6 : 4;
  return {
    kind: 'tcp',
    address: bound.address,
    port: bound.port,
    text: formatEndpoint({ kind: 'tcp', address: bound.address, port: bound.port, family }),
  };
}
