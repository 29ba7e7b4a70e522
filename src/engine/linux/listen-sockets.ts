/** The listening sockets of the linux engine. The main thread owns them: their queues outlive a worker that dies. */
import { unlinkSync } from 'node:fs';
import type { BoundAddress } from '../../events.ts';
import { DEFER_ACCEPT_S, LISTEN_BACKLOG } from '../../limits.ts';
import type { Endpoint } from '../../verdict.ts';
import type { ListenTarget, TcpSettings } from '../engine.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { InheritedSockets } from '../inherited-sockets.ts';
import type { ClaimedSockets } from '../inherited-sockets.ts';
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
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  TCP_DEFER_ACCEPT,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './syscalls/constants.ts';
import { familyOf } from './syscalls/layouts.ts';
import { errnoName } from './syscalls/system-error.ts';

/** One address, on a socket for each worker, on one that all share, or on those that were taken over. */
export interface ListenSockets {
  readonly target: ListenTarget;
  readonly address: BoundAddress;
  /** Each of them once; {@link socketsOf} says who accepts on which. */
  readonly fds: readonly number[];
  /** A socket file to be removed at the end, or null. */
  readonly path: string | null;
  /** Whether Sniway has opened them, and no service manager goes on listening on them. */
  readonly isOurs: boolean;
}

export interface ListenSettings {
  /** Whether the kernel may hold clients back until they have sent a byte. */
  readonly defers: boolean;
  readonly tcp: TcpSettings;
  readonly workers: number;
  readonly inherited?: InheritedSockets;
}

/** TCP_DEFER_ACCEPT holds a silent client back for a second, which must be a small part of the hello deadline. */
const DEFER_SHARE_MAX = 1 / 3;

/** Whether holding clients back until they have sent a byte leaves them enough time. */
export function defersAccept({ helloTimeoutMs }: { readonly helloTimeoutMs: number }): boolean {
  return DEFER_ACCEPT_S * 1000 <= helloTimeoutMs * DEFER_SHARE_MAX;
}

/**
 * The sockets that a worker accepts on. Each has its own share as far as that is equal, and all accept on the rest: a
 * socket with nobody to accept from it would lose the clients that the kernel puts into its queue.
 */
export function socketsOf(
  fds: readonly number[],
  { worker, workers }: { readonly worker: number; readonly workers: number },
): readonly number[] {
  const shared = fds.length - (fds.length % workers);
  return fds.filter((_, index) => index >= shared || index % workers === worker);
}

/** @throws SniwayError `ERR_LISTEN`; nothing that was opened here stays open then. */
export async function openListenSockets(
  sockets: Sockets,
  target: ListenTarget,
  settings: ListenSettings,
): Promise<ListenSockets> {
  const claimed = (settings.inherited ?? new InheritedSockets()).claim(target);
  const opener = new Opener(sockets, target, settings);
  const code = claimed === null ? opener.open() : opener.adopt(claimed);
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
  // What an earlier configuration, or an earlier process, has set there must go.
  if (tcp.keepaliveIdleMs === 0) sockets.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  if (tcp.userTimeoutMs === 0) sockets.setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
  sockets.keepAlive(fd, tcp);
  sockets.setOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, defers ? DEFER_ACCEPT_S : 0);
}

/** Closes them and removes their socket file. */
export function closeListenSockets(sockets: Sockets, { fds, path }: ListenSockets): void {
  for (const fd of fds) sockets.close(fd);
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
  #isOurs = true;

  constructor(sockets: Sockets, target: ListenTarget, settings: ListenSettings) {
    this.#sockets = sockets;
    this.#target = target;
    this.#settings = settings;
  }

  /** The code of the system's error, or null. */
  open(): string | null {
    const target = this.#target;
    const failed = target.kind === 'tcp' ? this.#openTcp(target, 0) : this.#openUnix(target);
    if (!failed) return null;
    const code = errnoName(this.#sockets.errno);
    for (const fd of this.#fds) this.#sockets.close(fd);
    return code;
  }

  /** Takes sockets over that are listening already; the code of the system's error, or null. */
  adopt({ fds, isOurs }: ClaimedSockets): string | null {
    const { kernel } = this.#sockets;
    for (const fd of fds) {
      if (!this.#sockets.isListening(fd)) return errnoName(this.#sockets.errno);
      kernel.fcntl(fd, F_SETFL, kernel.fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
    }
    this.#fds.push(...fds);
    this.#isOurs = isOurs;
    const bound = this.#sockets.localAddress(fds[0]!);
    if (bound.kind === 'unix') return null;
    for (const fd of fds) prepareTcp(this.#sockets, fd, this.#settings);
    if (isOurs) this.#addSockets(bound);
    return null;
  }

  opened(): ListenSockets {
    const target = this.#target;
    const isOurs = this.#isOurs;
    const common = { target, fds: this.#fds, isOurs };
    const bound = this.#sockets.localAddress(this.#fds[0]!);
    if (bound.kind === 'tcp') {
      const { address, port } = bound;
      const text = formatEndpoint(bound);
      return { ...common, address: { kind: 'tcp', address, port, text }, path: null };
    }
    // The portable engine binds another name, which it then renames.
    const path = target.kind === 'unix' ? target.path : bound.path;
    const address: BoundAddress = { kind: 'unix', address: path, port: 0, text: `unix:${path}` };
    return { ...common, address, path: target.kind === 'unix' && isOurs ? path : null };
  }

  /**
   * More workers than sockets were taken over: each gets one of its own, if these are a group that this user may join
   * (SO_REUSEPORT, socket(7)). Otherwise they share what there is.
   */
  #addSockets(bound: { address: string; port: number }): void {
    const had = this.#fds.length;
    if (!this.#sockets.sharesPort(this.#fds[0]!)) return;
    if (!this.#openTcp(bound, had)) return;
    for (const fd of this.#fds.splice(had)) this.#sockets.close(fd);
  }

  /**
   * The first socket is bound alone, so that an address another process uses is refused, even one that would share it.
   * Only then it becomes the first of a group (socket(7), SO_REUSEPORT).
   */
  #openTcp({ address, port }: { address: string; port: number }, first: number): boolean {
    const family = address.includes(':') ? 6 : 4;
    let bound = port;
    for (let worker = first; worker < this.#settings.workers; worker++) {
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

  /** A Unix-domain socket is one, on which all workers accept. */
  #openUnix(target: Exclude<ListenTarget, { kind: 'tcp' }>): boolean {
    if (target.kind === 'fd') throw new TypeError('an inherited socket is claimed, not opened');
    const fd = this.#socket(target);
    if (fd === -1) return true;
    return this.#sockets.bind(fd, target) === -1 || this.#sockets.listen(fd, LISTEN_BACKLOG) === -1;
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
