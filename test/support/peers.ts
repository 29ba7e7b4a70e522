/** Raw TCP and Unix-socket peers for tests: nothing is mocked, everything is closed at the end of its test. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, NetConnectOpts, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Backend {
  /** Port of a TCP backend; 0 for a Unix-socket one. */
  readonly port: number;
  /** As a configuration names it: `127.0.0.1:PORT` or `unix:/path`. */
  readonly address: string;
  /** Sockets accepted so far, in order. */
  readonly sockets: readonly Socket[];
  /** Resolves with the next socket accepted that was not handed out before. */
  next(): Promise<Socket>;
  /** Ends all its sockets at once and stops listening. */
  close(): void;
}

/** A backend that accepts and does nothing by itself; half-open sockets are allowed. */
export async function startBackend(t: TestContext, path?: string): Promise<Backend> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false });
  const sockets: Socket[] = [];
  const queue: Socket[] = [];
  const waiters: ((socket: Socket) => void)[] = [];
  server.on('connection', socket => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('end', () => {
      if (endWasReset(socket)) socket.destroy();
    });
    const waiter = waiters.shift();
    if (waiter === undefined) queue.push(socket);
    else waiter(socket);
  });
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(close);
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  return {
    port,
    address: path === undefined ? `127.0.0.1:${port}` : `unix:${path}`,
    sockets,
    next() {
      const waiting = queue.shift();
      if (waiting !== undefined) return Promise.resolve(waiting);
      return new Promise(resolve => {
        waiters.push(resolve);
      });
    },
    close,
  };
}

/** A backend that sends every byte back, and its end of file after the client's. */
export async function startEchoBackend(t: TestContext): Promise<Backend> {
  const backend = await startBackend(t);
  void (async () => {
    for (;;) {
      const socket = await backend.next();
      socket.pipe(socket);
    }
  })();
  return backend;
}

/** A connected raw client, half-open allowed, destroyed at the end of the test. */
export async function connectRaw(t: TestContext, to: number | NetConnectOpts): Promise<Socket> {
  const options: NetConnectOpts = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to;
  const socket = connect({ ...options, allowHalfOpen: true, noDelay: true } as NetConnectOpts);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  // Tests that expect an error listen for it themselves.
  socket.on('error', () => undefined);
  return socket;
}

/**
 * Whether an end of file that Node announced was a reset: libuv takes a reset that arrives together with data for an end
 * of file, but the kernel no longer knows the peer.
 */
export function endWasReset(socket: Socket): boolean {
  const { _handle: handle } = socket as { _handle?: { getpeername?(out: object): number } | null };
  if (socket.writableEnded || typeof handle?.getpeername !== 'function') return false;
  return handle.getpeername({}) !== 0;
}

export interface Received {
  readonly bytes: Buffer;
  /** How the stream ended: `end` for an orderly end of file, else the system's error code. */
  readonly end: string;
}

/** Everything a socket receives until its end of file or its error. */
export function readToEnd(socket: Socket): Promise<Received> {
  const chunks: Buffer[] = [];
  return new Promise(resolve => {
    const done = (end: string): void => resolve({ bytes: Buffer.concat(chunks), end });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => done(endWasReset(socket) ? 'ECONNRESET' : 'end'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    socket.once('close', () => done('close'));
    // It may have been paused by `readBytes`.
    socket.resume();
  });
}

/** Exactly this many bytes; what comes behind them is put back. Rejects if the stream ends before. */
export function readBytes(socket: Socket, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
    };
    const onEnd = (): void => {
      stop();
      reject(new Error(`stream ended after ${length} of ${count} bytes`));
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < count) return;
      stop();
      socket.pause();
      const all = Buffer.concat(chunks);
      if (all.length > count) socket.unshift(all.subarray(count));
      resolve(all.subarray(0, count));
    };
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.resume();
  });
}

/** Writes a chunk and resolves when the kernel has taken it, so that the next write makes a segment of its own. */
export function writeSegment(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, error => (error ? reject(error) : setImmediate(resolve)));
  });
}

/** Resolves when the condition holds; rejects after the time given, naming what was waited for. */
export async function eventually(what: string, holds: () => boolean, withinMs = 5_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => {
      setTimeout(resolve, 2);
    });
  }
}

/** Resolves when nobody listens at the port any more; connections that get through until then are destroyed. */
export async function eventuallyRefused(port: number, withinMs = 5_000): Promise<void> {
  const until = performance.now() + withinMs;
  const attempt = (): Promise<string> =>
    new Promise(resolve => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve('connected');
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  for (let outcome = ''; outcome !== 'ECONNREFUSED'; outcome = await attempt()) {
    if (performance.now() > until)
      throw new Error(`port ${port} not closed within ${withinMs} ms: ${outcome}`);
  }
}
