/** Opens one listening socket with node:net. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ListenOptions, Server, Socket } from 'node:net';
import type { BoundAddress } from '../../events.ts';
import { LISTEN_BACKLOG, RELAY_BUFFER_BYTES } from '../../limits.ts';
import type { ListenTarget, TcpSettings } from '../engine.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { isStaleSocket, listenError } from '../listen-error.ts';
import { errorCode } from './sockets.ts';

export interface Listener {
  readonly server: Server;
  readonly address: BoundAddress;
}

export interface ListenerOptions {
  readonly tcp: TcpSettings;
  readonly accept: (socket: Socket, address: BoundAddress) => void;
}

/** @throws SniwayError `ERR_LISTEN` that names the address, the system's error and a remedy. */
export async function openListener(target: ListenTarget, options: ListenerOptions): Promise<Listener> {
  try {
    return await openOrRecover(target, options);
  } catch (error) {
    throw listenError(target, error instanceof Error ? errorCode(error) : String(error), error);
  }
}

/** As {@link open}, once more where a left-over socket file or a machine without IPv6 stood in the way. */
async function openOrRecover(target: ListenTarget, options: ListenerOptions): Promise<Listener> {
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

async function open(target: ListenTarget, { tcp, accept }: ListenerOptions): Promise<Listener> {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: tcp.keepaliveIdleMs > 0,
    keepAliveInitialDelay: tcp.keepaliveIdleMs,
    highWaterMark: RELAY_BUFFER_BYTES,
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listenOptions(target), () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  const address = boundAddress(server);
  server.on('connection', socket => accept(socket, address));
  return { server, address };
}

function listenOptions(target: ListenTarget): ListenOptions & { fd?: number } {
  switch (target.kind) {
    case 'tcp':
      return { host: target.address, port: target.port, backlog: LISTEN_BACKLOG };
    case 'unix':
      return { path: target.path, backlog: LISTEN_BACKLOG };
    case 'fd':
      return { fd: target.fd };
  }
}

function boundAddress(server: Server): BoundAddress {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') {
    const address = bound ?? '';
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
