/** What both sides of a relay need from node:net, with its gaps filled. */
import type { Socket } from 'node:net';
import { RESET_FLUSH_TIMEOUT_MS } from '../../limits.ts';
import type { ConnectionEnd } from '../../wire/proxy-types.ts';

const NOTHING = new Uint8Array(0);

/** The system's code of a socket error, such as ECONNRESET. */
export function errorCode(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}

/** An IPv4-mapped IPv6 address as IPv4, any other as it is. */
export function unmapAddress(address: string): string {
  return /^::ffff:([0-9.]+)$/i.exec(address)?.[1] ?? address;
}

/**
 * Whether the end of file that Node has just announced was a reset. libuv takes a reset that arrives together with
 * data for an end of file; the kernel knows better, and no longer names the peer. Tells nothing once our own end of
 * file was sent, because a complete close looks the same. Node has no public way to ask.
 */
export function endWasReset(socket: Socket): boolean {
  const { _handle: handle } = socket as { _handle?: { getpeername?(out: object): number } | null };
  if (socket.writableEnded || typeof handle?.getpeername !== 'function') return false;
  return handle.getpeername({}) !== 0;
}

/** Ends a connection so that its peer cannot take the end for a complete one: RST where the socket knows it. */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  // libuv refuses to reset while a shutdown is under way, and Node would then leak the handle. A Unix-domain socket
  // has no reset at all.
  const shuttingDown = socket.writableEnded && !socket.writableFinished;
  if (shuttingDown || socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** Resets a socket after the bytes it was already given have gone out, for which they get a bounded time. */
export function resetAfterFlush(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.writableLength === 0) {
    resetSocket(socket);
    return;
  }
  const timer = setTimeout(() => resetSocket(socket), RESET_FLUSH_TIMEOUT_MS);
  const flushed = (): void => {
    clearTimeout(timer);
    resetSocket(socket);
  };
  socket.once('close', () => clearTimeout(timer));
  if (socket.writableEnded) socket.once('finish', flushed);
  else socket.write(NOTHING, flushed);
}

/** The end of a connection that is ours; a listener on a Unix-domain socket is known by its text. */
export function localEnd({ localAddress, localPort }: Socket, listener: string): ConnectionEnd {
  if (localAddress === undefined) return { kind: 'unix', path: listener.replace(/^unix:/, '') };
  const address = unmapAddress(localAddress);
  return { kind: 'tcp', address, port: localPort ?? 0, family: address.includes(':') ? 6 : 4 };
}
