/**
 * A backend that has connected, until its first byte: it gets what the client sends, which is kept for another backend
 * should this one go before it has answered.
 */
import { joinHeader } from '../proxy-out.ts';
import type { EventOwner, Reactor } from './reactor.ts';
import type { Sockets } from './sockets.ts';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from './syscalls/constants.ts';
import { errnoName } from './syscalls/system-error.ts';

const HANGUP_EVENTS = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

/** What is told of a backend that has closed without a byte. */
const CLOSED = 'closed';

const NOTHING = new Uint8Array(0);

export interface TrialOutcome {
  /** The first byte is there, or has to be looked for no longer. */
  proven(): void;
  /** The backend is gone; its socket is still to be closed. */
  lost(code: string): void;
  onFault(error: unknown): void;
}

export interface TrialContext {
  readonly sockets: Sockets;
  readonly reactor: Reactor;
}

/** Reacts to the events of one socket, which stays its owner's. */
export class Trial implements EventOwner {
  /** Bytes of the client that the backend has got. */
  sent = 0;
  /** What it has not got yet of the PROXY header that comes before them; null for nothing. */
  header: Uint8Array | null;
  /** Whether there is something to read that no event is going to tell of any more. */
  canRead = false;
  hangup = false;
  readonly #sockets: Sockets;
  readonly #fd: number;
  readonly #outcome: TrialOutcome;
  #canWrite = true;
  #bytes: Uint8Array = NOTHING;

  constructor(
    { sockets, reactor }: TrialContext,
    socket: { fd: number; watch: number; header: Uint8Array | null },
    outcome: TrialOutcome,
  ) {
    this.#sockets = sockets;
    this.#fd = socket.fd;
    this.header = socket.header;
    this.#outcome = outcome;
    reactor.setOwner(socket.watch, this, 0);
  }

  /** Sends what the backend has not got yet of `bytes`, all that the client has sent so far. */
  send(bytes: Uint8Array): void {
    this.#bytes = bytes;
    // The hello went out alone; what follows it must not wait for its acknowledgement.
    if (this.sent > 0 && bytes.length > this.sent) this.#sockets.setNoDelay(this.#fd);
    this.#flush();
  }

  onEvents(_role: number, events: number): void {
    if ((events & HANGUP_EVENTS) !== 0) this.hangup = true;
    if ((events & EPOLLIN) !== 0 || this.hangup) {
      if (!this.#hasByte()) return;
      this.canRead = true;
      this.#outcome.proven();
      return;
    }
    if ((events & EPOLLOUT) === 0) return;
    this.#canWrite = true;
    this.#flush();
  }

  onFault(error: unknown): void {
    this.#outcome.onFault(error);
  }

  /** Data without a hang-up is a byte for certain; otherwise it is looked at. Tells of a loss by itself. */
  #hasByte(): boolean {
    if (!this.hangup) return true;
    const count = this.#sockets.peek(this.#fd);
    if (count > 0) return true;
    if (count === 0) this.#outcome.lost(CLOSED);
    else if (!this.#sockets.wouldBlock) this.#outcome.lost(errnoName(this.#sockets.errno));
    return false;
  }

  #flush(): void {
    const bytes = this.#bytes;
    while (this.#canWrite && this.sent < bytes.length) {
      const { header } = this;
      const count = this.#sockets.sendBytes(this.#fd, joinHeader(header, bytes.subarray(this.sent)));
      if (count === -1) {
        this.#canWrite = false;
        if (!this.#sockets.wouldBlock) this.#outcome.lost(errnoName(this.#sockets.errno));
        return;
      }
      const ofHeader = Math.min(count, header?.length ?? 0);
      this.header = header === null || ofHeader === header.length ? null : header.subarray(ofHeader);
      this.sent += count - ofHeader;
    }
  }
}
