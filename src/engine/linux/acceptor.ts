/** Accepts connections on the sockets of one listener, as long as there are descriptors to be had. */
import {
  ACCEPT_BATCH_MAX,
  ACCEPT_PAUSE_MS,
  EXHAUSTED_EPISODE_MS,
  LISTEN_BACKLOG,
  SPARE_DESCRIPTORS,
} from '../../limits.ts';
import type { PeerAddress } from '../../wire/peer-address.ts';
import { readPeer } from './peer-address.ts';
import type { EventOwner } from './reactor.ts';
import { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPOLLEXCLUSIVE, EPOLLIN } from './syscalls/constants.ts';
import { errnoName } from './syscalls/system-error.ts';
import { WheelTimer } from './timer-wheel.ts';
import type { WorkerContext } from './worker-context.ts';

/** Out of something that comes back when connections end: accepting pauses instead of spinning. */
const EXHAUSTED: ReadonlySet<number> = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

export interface AcceptorOptions {
  /** Mostly one; more where sockets were taken over that nobody else accepts from. */
  readonly fds: readonly number[];
  readonly text: string;
  /** Takes the accepted socket over. */
  readonly accept: (fd: number, peer: PeerAddress) => void;
  /** Takes down a client that was turned away because of this system error. */
  readonly refused: (peer: PeerAddress, errno: number) => void;
}

interface Queue {
  readonly fd: number;
  watch: number;
  /** How many to accept at once: one, so that a lone connection costs no second call, unless a queue builds up. */
  batch: number;
  lastTurn: number;
}

export class Acceptor extends WheelTimer implements EventOwner {
  readonly #context: WorkerContext;
  readonly #options: AcceptorOptions;
  /** Their place here is the role that the reactor calls by. */
  readonly #queues: readonly Queue[];
  /** Until when running out again belongs to the same episode, of which the operator has been told. */
  #episodeUntilMs = 0;

  constructor(context: WorkerContext, options: AcceptorOptions) {
    super();
    this.#context = context;
    this.#options = options;
    this.#queues = options.fds.map(fd => ({ fd, watch: -1, batch: 1, lastTurn: -1 }));
    this.#listen();
  }

  /** Accepts all that are queued. */
  drain(): void {
    for (const { fd: listener } of this.#queues) {
      const { sockets } = this.#context;
      for (let count = 0; count < LISTEN_BACKLOG; count++) {
        const fd = sockets.accept(listener);
        if (fd === -1) break;
        this.#options.accept(fd, readPeer(sockets.peer));
      }
    }
  }

  /** Accepts no more; the sockets stay open. */
  close(): void {
    this.#context.reactor.timers.cancel(this);
    this.#pause();
  }

  /** Level-triggered: what is left in the queue is announced again. */
  onEvents(role: number): void {
    const { reactor, sockets } = this.#context;
    const queue = this.#queues[role]!;
    const queued = reactor.turn === queue.lastTurn + 1;
    queue.batch = queued ? Math.min(2 * queue.batch, ACCEPT_BATCH_MAX) : 1;
    queue.lastTurn = reactor.turn;
    reactor.noteUnpollable();
    for (let count = 0; count < queue.batch; count++) {
      const fd = sockets.accept(queue.fd);
      if (fd === -1) {
        queue.batch = 1;
        if (EXHAUSTED.has(sockets.errno)) this.#exhaust(queue.fd);
        else if (sockets.errno !== EAGAIN) this.#note(sockets.errno);
        return;
      }
      this.#options.accept(fd, readPeer(sockets.peer));
    }
  }

  onFault(error: unknown): void {
    this.#context.host.notice('error', `accepting on ${this.#options.text} failed: ${String(error)}`);
  }

  onTimer(): void {
    try {
      this.#context.sockets.keepReserve(SPARE_DESCRIPTORS);
      this.#listen();
    } catch (error) {
      this.onFault(error);
      this.#context.reactor.timers.set(this, this.#context.reactor.now, ACCEPT_PAUSE_MS);
    }
  }

  #listen(): void {
    const events = EPOLLIN | EPOLLEXCLUSIVE;
    for (const [role, queue] of this.#queues.entries()) {
      if (queue.watch === -1) queue.watch = this.#context.reactor.watch(queue.fd, events, this, role);
    }
  }

  #pause(): void {
    for (const queue of this.#queues) {
      if (queue.watch !== -1) this.#context.reactor.unwatch(queue.watch, queue.fd);
      queue.watch = -1;
    }
  }

  /**
   * Nothing to accept with. The clients that wait are given an orderly close, with the descriptors that were kept back
   * for that; then nobody looks at the sockets for a while.
   */
  #exhaust(listener: number): void {
    const { host, reactor, sockets } = this.#context;
    const { errno } = sockets;
    if (reactor.now > this.#episodeUntilMs) {
      const what = `accepting on ${this.#options.text} pauses: ${errnoName(errno)}`;
      host.notice('warn', `${what}; raise the limit of open files (ulimit -n) or lower the load`);
    }
    this.#episodeUntilMs = reactor.now + EXHAUSTED_EPISODE_MS;
    if (sockets.spendReserve()) {
      for (let refused = 0; refused < ACCEPT_BATCH_MAX; refused++) {
        const fd = sockets.accept(listener);
        if (fd === -1) break;
        this.#options.refused(readPeer(sockets.peer), errno);
        sockets.finish(fd);
        // Closing on unread bytes, mostly a hello, would reset.
        sockets.receive(fd, sockets.scratch);
        sockets.close(fd);
      }
      sockets.keepReserve(SPARE_DESCRIPTORS);
    }
    this.#pause();
    reactor.timers.set(this, reactor.now, ACCEPT_PAUSE_MS);
  }

  /** A client that was gone before it was accepted (ECONNABORTED and its like, accept(2)) is no event. */
  #note(errno: number): void {
    this.#context.host.notice('debug', `accept on ${this.#options.text}: ${errnoName(errno)}`);
  }
}
