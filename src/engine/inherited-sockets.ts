/**
 * Listening sockets that this process was started with (sd_listen_fds(3)), and which listener takes which. Those of one
 * listener go together: the linux engine has one for each worker, and a queue that nobody accepts from would be lost.
 */
import type { ListenTarget } from './engine.ts';
import { describeTarget, listenError } from './listen-error.ts';

export interface InheritedSocket {
  readonly fd: number;
  /** The listener that a process before this one opened it for, or took it for (`127.0.0.1:0`, `fd:3`); null if none did. */
  readonly target: string | null;
  /** What it is bound to (`127.0.0.1:8443`, `unix:/path`), or null where that cannot be known. */
  readonly address: string | null;
  /** The name that a service manager has given it; null for one that Sniway has opened. */
  readonly manager: string | null;
}

/** What an engine takes over for one listener. */
export interface ClaimedSockets {
  /** At least one. */
  readonly fds: readonly number[];
  /**
   * Whether Sniway has opened them, in a process before this one: then the file of a Unix-domain socket is ours to
   * remove, and a group of sockets on one port ours to add to.
   */
  readonly isOurs: boolean;
}

/**
 * What a listening socket is called when another process takes it over: its listener, where that is bound and, if it is a
 * service manager's, what that calls it.
 */
export function encodeSocketName(socket: {
  readonly target: ListenTarget;
  readonly address: string;
  readonly manager: string | null;
}): string {
  const parts = [describeTarget(socket.target), socket.address];
  // Colons part the names in LISTEN_FDNAMES.
  return [...parts, ...(socket.manager === null ? [] : [socket.manager])].map(encodeURIComponent).join('=');
}

/** Reads what {@link encodeSocketName} has made; any other name is a service manager's. */
export function decodeSocketName(name: string): Omit<InheritedSocket, 'fd'> {
  const manager = { target: null, address: null, manager: name };
  const parts = name.split('=');
  if (parts.length < 2 || parts.length > 3) return manager;
  try {
    const [target = '', address = '', given = null] = parts.map(decodeURIComponent);
    return target === '' || address === '' ? manager : { target, address, manager: given };
  } catch {
    return manager;
  }
}

/**
 * The places of listeners in the order in which they are to be opened: what has to be opened anew may fail, and until
 * then nothing of what another process still serves may have been touched.
 */
export function openingOrder(targets: readonly ListenTarget[], inherited?: InheritedSockets): number[] {
  const places = [...targets.keys()];
  const isInherited = (place: number): boolean => inherited?.has(targets[place]!) ?? false;
  return [...places.filter(place => !isInherited(place)), ...places.filter(isInherited)];
}

export class InheritedSockets {
  readonly #sockets: readonly InheritedSocket[];
  readonly #taken = new Set<InheritedSocket>();
  readonly #isHandover: boolean;

  /** @param isHandover Whether another Sniway has handed them over, which has named them all. */
  constructor(sockets: readonly InheritedSocket[] = [], isHandover = false) {
    this.#sockets = sockets;
    this.#isHandover = isHandover;
  }

  /** Those that no listener has taken. */
  get unclaimed(): readonly InheritedSocket[] {
    return this.#sockets.filter(socket => !this.#taken.has(socket));
  }

  /** Whether there is something to be claimed for a listener. */
  has(target: ListenTarget): boolean {
    return this.#find(describeTarget(target)).length > 0;
  }

  /** Takes down that what no listener has taken is closed. */
  forgetUnclaimed(): void {
    for (const socket of this.#sockets) this.#taken.add(socket);
  }

  /** What is known of a socket that was inherited; null for any other. */
  of(fd: number): InheritedSocket | null {
    return this.#sockets.find(socket => socket.fd === fd) ?? null;
  }

  /**
   * Takes the sockets of a listener out: those opened for the same target, else those bound to its address; null if
   * there are none, and it has to be opened.
   * @throws SniwayError `ERR_LISTEN` for an `fd:N` or `fd:NAME` that was not handed over.
   */
  claim(target: ListenTarget): ClaimedSockets | null {
    const wanted = describeTarget(target);
    const found = this.#find(wanted);
    if (found.length > 0) {
      for (const socket of found) this.#taken.add(socket);
      return { fds: found.map(({ fd }) => fd), isOurs: found.every(isOurs) };
    }
    if (target.kind !== 'fd') return null;
    // Descriptors have other numbers after a handover: this one is another listener's.
    if (this.#isHandover || typeof target.fd === 'string') throw listenError(target, 'EBADF');
    return { fds: [target.fd], isOurs: false };
  }

  #find(wanted: string): readonly InheritedSocket[] {
    const free = this.unclaimed;
    const named = free.filter(socket => this.#isFor(socket, wanted));
    // Two listeners on 127.0.0.1:0 have different ports, and the same name.
    const one = named.filter(({ address }) => address === named[0]?.address);
    return one.length > 0 ? one : free.filter(({ address }) => address === wanted);
  }

  #isFor({ fd, target, manager }: InheritedSocket, wanted: string): boolean {
    if (target === wanted) return true;
    return manager !== null && (wanted === `fd:${manager}` || (!this.#isHandover && wanted === `fd:${fd}`));
  }
}

function isOurs({ manager }: InheritedSocket): boolean {
  return manager === null;
}
