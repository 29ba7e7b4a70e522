/** The client's side of a connection until its relay begins: one socket, what it has sent, and whether it is still there. */
import { LINGER_BYTES_MAX, PENDING_BYTES_MAX } from '../../limits.ts';
import type { Client, Refusal, RejectVerdict } from '../../verdict.ts';
import { encodeAlert } from '../../wire/tls-alert.ts';
import type { EchPassage } from '../ech-passage.ts';
import type { PendingEntry } from '../pending-hellos.ts';
import { StreamBuffer } from '../../wire/stream-buffer.ts';
import { nowMs } from './clock.ts';
import { ConnectionFacts } from './connection-facts.ts';
import type { EventOwner } from './reactor.ts';
import type { NumberedListener } from './records.ts';
import { READ_EVENTS } from './relay.ts';
import type { RelayedSocket } from './relay.ts';
import { EPOLLERR, EPOLLHUP, EPOLLPRI, EPOLLRDHUP } from './syscalls/constants.ts';
import { errnoName } from './syscalls/system-error.ts';
import type { WorkerContext } from './worker-context.ts';

export interface AcceptedSocket extends Client {
  readonly listener: NumberedListener;
  readonly fd: number;
  readonly id: number;
}

export abstract class ClientSide extends ConnectionFacts implements EventOwner {
  readonly accepted: AcceptedSocket;
  /** Its place among those whose hello has not come; for the worker alone. */
  pending: PendingEntry | null = null;
  protected readonly context: WorkerContext;
  /** What the client has sent so far, where it had to be copied. */
  protected held: StreamBuffer | null = null;
  /** What follows an opened hello goes through it, until its handshake is over; null for any other. */
  protected passage: EchPassage | null = null;
  /** Its end of file was read. */
  protected clientEnded = false;
  protected hangup = false;
  protected urgent = false;
  #canRead = true;
  #watch = -1;
  #dropped = 0;

  constructor(context: WorkerContext, accepted: AcceptedSocket) {
    super();
    this.context = context;
    this.accepted = accepted;
  }

  abstract onEvents(role: number, events: number): void;
  abstract onFault(error: unknown): void;
  /** The client is gone before its relay began; `code` of the system's error, or null for an orderly end. */
  protected abstract leave(code: string | null): void;
  protected abstract refuse(refusal: Refusal): void;
  /** Called when the end of file was read. */
  protected abstract onClientEnd(): void;

  /** Takes down what epoll tells of the client's socket. */
  protected noteEvents(events: number): void {
    this.#canRead = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) this.hangup = true;
    if ((events & EPOLLPRI) !== 0) this.urgent = true;
  }

  /** Bytes received into the scratch buffer, 0 for none: the client waits, or has ended, or is gone. */
  protected receive(): number {
    if (!this.#canRead) return 0;
    const { sockets } = this.context;
    const count = sockets.receive(this.accepted.fd, sockets.scratch);
    if (count > 0) {
      if (count < sockets.scratch.length) this.#canRead = this.hangup || this.urgent;
      return count;
    }
    this.#canRead = false;
    if (count === 0) {
      this.clientEnded = true;
      this.onClientEnd();
    } else if (!sockets.wouldBlock) {
      this.leave(errnoName(sockets.errno));
    }
    return 0;
  }

  /** Sends an answer that is no reset, and the end of file behind it; behind a flight it is the client's turn to end. */
  protected sendAnswer(answer: RejectVerdict['answer']): void {
    const { sockets } = this.context;
    if (answer.kind === 'flight') {
      if (sockets.sendBytes(this.accepted.fd, answer.bytes) !== answer.bytes.length)
        sockets.finish(this.accepted.fd);
      return;
    }
    if (answer.kind === 'alert') sockets.sendBytes(this.accepted.fd, encodeAlert(answer.description));
    sockets.finish(this.accepted.fd);
  }

  /** Reads what is there, and drops it: closing on unread bytes, mostly a hello, would reset. */
  protected skip(): void {
    const { sockets } = this.context;
    if (this.#canRead) sockets.receive(this.accepted.fd, sockets.scratch);
  }

  /** Reads and drops what a refused client still sends; true once it has ended, or has sent more than it may. */
  protected dropInput(): boolean {
    let count = this.receive();
    while (count > 0 && this.#dropped <= LINGER_BYTES_MAX) {
      this.#dropped += count;
      count = this.receive();
    }
    return this.clientEnded || count > 0;
  }

  /** Keeps bytes that have come behind those kept so far, and answers all of them. */
  protected hold(bytes: Uint8Array): Uint8Array {
    this.held ??= new StreamBuffer();
    this.held.append(bytes);
    return this.held.bytes;
  }

  /** Keeps what the client has sent, and goes on reading it, while something else is waited for. */
  protected keepWaiting(stream: Uint8Array): void {
    if (this.held === null) this.hold(stream);
    this.watchClient();
    this.collect();
  }

  /** Reads on up to a bound, mostly to hear of a client that leaves. */
  protected collect(): void {
    const { scratch } = this.context.sockets;
    while ((this.held?.length ?? 0) < PENDING_BYTES_MAX) {
      const count = this.receive();
      if (count === 0) return;
      const received = scratch.bytes.subarray(0, count);
      this.hold(this.passage === null ? received : this.passage.fromClient(received));
      if (this.passage?.illegal) return this.refuse({ kind: 'illegal-ech', illegal: this.passage.illegal });
    }
    if (this.hangup) this.#checkGone();
  }

  protected watchClient(): void {
    if (this.#watch === -1) this.#watch = this.context.reactor.watch(this.accepted.fd, READ_EVENTS, this, 0);
  }

  /** The socket for a relay to take over, with its watch if it has one. */
  protected get clientSocket(): RelayedSocket {
    return { fd: this.accepted.fd, watch: this.#watch, events: READ_EVENTS };
  }

  /** A relay has taken the socket over. */
  protected handOver(): void {
    this.#watch = -1;
  }

  /** A relay has given it back. */
  protected takeBack({ watch }: RelayedSocket): void {
    this.context.reactor.setOwner(watch, this, 0);
    this.#watch = watch;
    this.#canRead = true;
  }

  /** Whether there may be something to read that no event is going to tell of any more. */
  protected get canRead(): boolean {
    return this.#canRead;
  }

  protected forgetClient(): void {
    if (this.#watch !== -1) this.context.reactor.forget(this.#watch);
  }

  protected setTimer(delayMs: number): void {
    this.context.reactor.timers.set(this, nowMs(), delayMs);
  }

  /** Exact where somebody will read it, else the beginning of the reactor's turn, which costs nothing. */
  protected clock(): number {
    const { host, reactor } = this.context;
    return host.wantsRecords ? nowMs() : reactor.now;
  }

  /** A client that is not read any more can still be found gone. */
  #checkGone(): void {
    const errno = this.context.sockets.takeError(this.accepted.fd);
    if (errno !== 0) this.leave(errnoName(errno));
  }
}
