/** The listening sockets of the linux engine. The main thread owns them: their queues outlive a worker that dies. */
import { unlinkSync } from 'node:fs';
import type { BoundAddress } from '../../events.ts';
import { DEFER_ACCEPT_S, LISTEN_BACKLOG } from '../../limits.ts';
import type { Endpoint } from '../../verdict.ts';
import type { ListenTarget, TcpSettings } from '../engine.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { isStaleSocket, listenError } from '../listen-error.ts';
import type { Sockets } from './sockets.ts';
import {
  F_GETFL,
  F_SETFL,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  O_NONBLOCK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_REUSEADDR,
  SO_REUSEPORT,
  TCP_DEFER_ACCEPT,
  TCP_NODELAY,
} from './syscalls/constants.ts';
import { familyOf } from './syscalls/layouts.ts';
import { errnoName } from './syscalls/system-error.ts';

/** One address, on a socket for each worker, or on one that all share. */
export interface ListenSockets {
  readonly address: BoundAddress;
  /** By worker. */
  readonly fds: readonly number[];
  /** A socket file to be removed at the end, or null. */
  readonly path: string | null;
}

export interface ListenSettings {
  /** Whether the kernel may hold clients back until they have sent a byte. */
  readonly defers: boolean;
  readonly tcp: TcpSettings;
  readonly workers: number;
}

/** TCP_DEFER_ACCEPT holds a silent client back for a second, which must be a small part of the hello deadline. */
const DEFER_SHARE_MAX = 1 / 3;

/** Whether holding clients back until they have sent a byte leaves them enough time. */
export function defersAccept({ helloTimeoutMs }: { readonly helloTimeoutMs: number }): boolean {
  return DEFER_ACCEPT_S * 1000 <= helloTimeoutMs * DEFER_SHARE_MAX;
}

/** @throws SniwayError `ERR_LISTEN`; nothing stays open then. */
export async function openListenSockets(
  sockets: Sockets,
  target: ListenTarget,
  settings: ListenSettings,
): Promise<ListenSockets> {
  const opener = new Opener(sockets, target, settings);
  const code = opener.open();
  if (code === null) return opener.opened();
  if (code === 'EADDRINUSE' && target.kind === 'unix' && (await isStaleSocket(target.path))) {
    unlinkSync(target.path);
    const again = new Opener(sockets, target, settings);
    if (again.open() === null) return again.opened();
  }
  if (code === 'EAFNOSUPPORT' && target.kind === 'tcp' && target.address === '::') {
    return await openListenSockets(sockets, { ...target, address: '0.0.0.0' }, settings);
  }
  throw listenError(target, code);
}

/** Other settings for sockets that are open already. */
export function adjustListenSockets(
  sockets: Sockets,
  { fds, address }: ListenSockets,
  settings: ListenSettings,
): void {
  if (address.kind === 'tcp') for (const fd of fds) prepareTcp(sockets, fd, settings);
}

/** What sockets accepted there inherit, and how they are accepted. */
function prepareTcp(sockets: Sockets, fd: number, { tcp, defers }: ListenSettings): void {
  sockets.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  sockets.keepAlive(fd, tcp);
  sockets.setOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, defers ? DEFER_ACCEPT_S : 0);
}

/** Closes them and removes their socket file. */
export function closeListenSockets(sockets: Sockets, { fds, path }: ListenSockets): void {
  for (const fd of new Set(fds)) sockets.close(fd);
  if (path === null) return;
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it, or put a file of their own there: both are theirs to answer for.
  }
}

class Opener {
  readonly #sockets: Sockets;
  readonly #target: ListenTarget;
  readonly #settings: ListenSettings;
  readonly #fds: number[] = [];

  constructor(sockets: Sockets, target: ListenTarget, settings: ListenSettings) {
    this.#sockets = sockets;
    this.#target = target;
    this.#settings = settings;
  }

  /** The code of the system's error, or null. */
  open(): string | null {
    const target = this.#target;
    const failed = target.kind === 'tcp' ? this.#openTcp(target) : this.#openShared(target);
    if (!failed) return null;
    const code = errnoName(this.#sockets.errno);
    if (target.kind !== 'fd') for (const fd of this.#fds) this.#sockets.close(fd);
    return code;
  }

  opened(): ListenSockets {
    const bound = this.#sockets.localAddress(this.#fds[0]!);
    const text = formatEndpoint(bound);
    const path = this.#target.kind === 'unix' ? this.#target.path : null;
    const address: BoundAddress =
      bound.kind === 'unix'
        ? { kind: 'unix', address: bound.path, port: 0, text }
        : { kind: 'tcp', address: bound.address, port: bound.port, text };
    return { address, path, fds: this.#fds };
  }

  /**
   * The first socket is bound alone, so that an address another process uses is refused, even one that would share it.
   * Only then it becomes the first of a group (socket(7), SO_REUSEPORT).
   */
  #openTcp({ address, port }: { address: string; port: number }): boolean {
    const family = address.includes(':') ? 6 : 4;
    let bound = port;
    for (let worker = 0; worker < this.#settings.workers; worker++) {
      const endpoint: Endpoint = { kind: 'tcp', address, port: bound, family };
      const fd = this.#socket(endpoint);
      if (fd === -1) return true;
      if (worker > 0) this.#sockets.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      if (this.#sockets.bind(fd, endpoint) === -1) return true;
      if (worker === 0) {
        this.#sockets.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        const local = this.#sockets.localAddress(fd);
        if (local.kind === 'tcp') bound = local.port;
      }
      prepareTcp(this.#sockets, fd, this.#settings);
      if (this.#sockets.listen(fd, LISTEN_BACKLOG) === -1) return true;
    }
    return false;
  }

  /** A Unix-domain or an inherited socket is one, on which all workers accept. */
  #openShared(target: Exclude<ListenTarget, { kind: 'tcp' }>): boolean {
    const fd = target.kind === 'fd' ? target.fd : this.#socket(target);
    if (fd === -1) return true;
    for (let worker = 0; worker < this.#settings.workers; worker++) this.#fds[worker] = fd;
    if (target.kind === 'unix') {
      return this.#sockets.bind(fd, target) === -1 || this.#sockets.listen(fd, LISTEN_BACKLOG) === -1;
    }
    if (!this.#sockets.isListening(fd)) return true;
    const { kernel } = this.#sockets;
    kernel.fcntl(fd, F_SETFL, kernel.fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
    return false;
  }

  #socket(endpoint: Endpoint): number {
    const fd = this.#sockets.open(familyOf(endpoint), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd === -1) return -1;
    this.#fds.push(fd);
    if (endpoint.kind === 'tcp') this.#sockets.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (endpoint.kind === 'tcp' && endpoint.family === 6) {
      // As Node has it: the unspecified address takes IPv4 clients too.
      this.#sockets.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, endpoint.address === '::' ? 0 : 1);
    }
    return fd;
  }
}
