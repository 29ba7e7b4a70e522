/**
 * The relay of one connection: two directions over two sockets. Both sockets stay registered for hang-up and error
 * whatever else goes on, so that a dead peer is found without writing to it.
 */
import type { EndReason } from '../../events.ts';
import { KEEPALIVE_ARM_MS, OUTPUT_POLL_MS, RESET_FLUSH_TIMEOUT_MS } from '../../limits.ts';
import type { TcpSettings } from '../engine.ts';
import { deathReason } from '../tcp-errors.ts';
import type { Side } from '../tcp-errors.ts';
import type { EchPassage } from '../ech-passage.ts';
import { Direction, PUMP } from './direction.ts';
import { HandshakeFilter } from './handshake-filter.ts';
import type { FilteredRelay, HandshakeOutcome } from './handshake-filter.ts';
import type { EventOwner, QueuedWork } from './reactor.ts';
import { RelayLimits, isBounded } from './relay-limits.ts';
import type { LimitedRelay, RelayBounds } from './relay-limits.ts';
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from './syscalls/constants.ts';
import { errnoName } from './syscalls/system-error.ts';
import { WheelTimer } from './timer-wheel.ts';
import type { WorkerContext } from './worker-context.ts';

/** Writability is asked for only once a send had to wait: mostly it never does. */
export const READ_EVENTS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
const WRITE_EVENTS = READ_EVENTS | EPOLLOUT;
/** The kernel has noticed that the peer sends no more. */
const HANGUP_EVENTS = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

/** Roles of the two sockets. */
const CLIENT = 0;
const BACKEND = 1;

/** A socket that is handed to a relay. */
export interface RelayedSocket {
  readonly fd: number;
  /** Number of its watch, or -1 if it has none yet. */
  readonly watch: number;
  /** The events that watch asks for. */
  readonly events: number;
}

export interface RelayOutcome extends HandshakeOutcome {
  /** Called once, when both sockets are closed. */
  relayEnded(endReason: EndReason, detail: string | null): void;
  /** The client has broken the handshake that its bytes are led through: the relay is to be released. */
  passageRefused(): void;
  /** A step threw; the relay goes on living until it is terminated. */
  onFault(error: unknown): void;
}

/** One relay. Owns both sockets from its creation on, and closes both; if it cannot be created, the backend's only. */
export class Relay extends WheelTimer implements EventOwner, QueuedWork, LimitedRelay, FilteredRelay {
  /** Reading of the reactor's clock when something last happened. */
  activeAtMs = 0;
  readonly up: Direction;
  readonly down: Direction;
  readonly #context: WorkerContext;
  readonly #outcome: RelayOutcome;
  readonly #client: number;
  readonly #backend: number;
  readonly #clientWatch: number;
  readonly #backendWatch: number;
  #clientEvents: number;
  #backendEvents: number;
  #limits: RelayLimits | null = null;
  #filter: HandshakeFilter | null = null;
  #queued = false;
  /** The side that was found dead, while what it sent before is still on its way to the other. */
  #dead: Side | null = null;
  #flushUntilMs = 0;
  #endReason: EndReason | null = null;
  #detail: string | null = null;
  #closed = false;

  constructor(
    context: WorkerContext,
    sockets: { client: RelayedSocket; backend: RelayedSocket },
    outcome: RelayOutcome,
  ) {
    super();
    const { client, backend } = sockets;
    this.#context = context;
    this.#outcome = outcome;
    this.#client = client.fd;
    this.#backend = backend.fd;
    this.up = new Direction(context, client.fd, backend.fd);
    this.down = new Direction(context, backend.fd, client.fd);
    this.up.gathers = true;
    this.#clientEvents = client.events;
    this.#backendEvents = backend.events;
    let clientWatch = -1;
    try {
      clientWatch = this.#takeWatch(client, CLIENT);
      this.#backendWatch = this.#takeWatch(backend, BACKEND);
    } catch (error) {
      // Without a relay the client's socket is its connection's again.
      if (client.watch === -1 && clientWatch !== -1) context.reactor.unwatch(clientWatch, client.fd);
      context.sockets.close(backend.fd);
      throw error;
    }
    this.#clientWatch = clientWatch;
  }

  /** Leads bytes through a handshake first. Called before `start`. */
  lead(passage: EchPassage): void {
    const { reactor, settings } = this.#context;
    const helloTimeoutMs = settings.hello.timeoutMs;
    this.#filter = new HandshakeFilter(reactor, this, { passage, helloTimeoutMs, outcome: this.#outcome });
  }

  /** Closes the backend's socket alone, and gives the client's back with its watch. Tells nothing of it. */
  release(): RelayedSocket {
    this.#stop();
    this.#context.sockets.close(this.#backend);
    return { fd: this.#client, watch: this.#clientWatch, events: this.#clientEvents };
  }

  /** Starts with the bytes of the client that the backend has not got yet. */
  start(first: Uint8Array, bounds: RelayBounds): void {
    const { reactor } = this.#context;
    this.activeAtMs = reactor.now;
    if (isBounded(bounds)) this.#bound(new RelayLimits(reactor, this, bounds));
    reactor.timers.set(this, reactor.now, armDelayMs(this.#context.settings.tcp));
    this.up.prepend(first);
    if (first.length > 0 || this.up.canRead || this.up.ended) this.#pump(this.up);
    if (this.down.canRead) this.#pump(this.down);
  }

  /** Ends both sides at once. */
  terminate(endReason: EndReason): void {
    this.#settle(endReason, null);
    this.#close(true);
  }

  get isHalfClosed(): boolean {
    return this.up.passed || this.down.passed;
  }

  onEvents(role: number, events: number): void {
    if (this.#closed) return;
    this.activeAtMs = this.#context.reactor.now;
    const source = role === CLIENT ? this.up : this.down;
    const sink = role === CLIENT ? this.down : this.up;
    if ((events & (EPOLLIN | EPOLLPRI | HANGUP_EVENTS)) !== 0) {
      source.canRead = true;
      if ((events & EPOLLPRI) !== 0) source.urgent = true;
      if ((events & HANGUP_EVENTS) !== 0) source.hangup = true;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) !== 0) sink.canWrite = true;
    if (this.#dead !== null) return this.#flush();
    if (source.canRead) this.#pump(source);
    if (sink.holdsBytes || (sink.canRead && sink.canWrite)) this.#pump(sink);
    // An error that no read or write met: the side is not read for the moment, or has been read to its end.
    if ((events & EPOLLERR) !== 0) this.#checkError(role === CLIENT ? 'client' : 'backend');
  }

  onTurn(): void {
    this.#queued = false;
    this.resume();
  }

  resume(): void {
    if (this.#closed) return;
    this.activeAtMs = this.#context.reactor.now;
    if (this.#dead !== null) return this.#flush();
    this.#pump(this.up);
    this.#pump(this.down);
  }

  onTimer(): void {
    try {
      if (this.#dead !== null) this.#flush();
      else this.#context.sockets.keepAlive(this.#backend, this.#context.settings.tcp);
    } catch (error) {
      this.#outcome.onFault(error);
    }
  }

  onFault(error: unknown): void {
    this.#outcome.onFault(error);
  }

  #bound(limits: RelayLimits): void {
    this.#limits = limits;
    this.up.pace = limits.pace;
    this.down.pace = limits.pace;
    limits.arm();
  }

  #takeWatch({ fd, watch, events }: RelayedSocket, role: number): number {
    const { reactor } = this.#context;
    if (watch === -1) return reactor.watch(fd, events, this, role);
    reactor.setOwner(watch, this, role);
    return watch;
  }

  #pump(direction: Direction): void {
    if (this.#closed || this.#dead !== null || direction.passed) return;
    const source: Side = direction === this.up ? 'client' : 'backend';
    switch (direction.pump()) {
      case PUMP.waits:
        return this.#awaitSink(direction);
      case PUMP.gaveWay:
        return this.enqueue();
      case PUMP.paced:
        return this.#limits?.awaitPace();
      case PUMP.ended:
        return this.#passEnd(direction);
      case PUMP.sourceFailed:
        return this.#die(source, direction.errno);
      case PUMP.sinkFailed:
        return this.#die(source === 'client' ? 'backend' : 'client', direction.errno);
      case PUMP.refused:
        return this.#outcome.passageRefused();
    }
  }

  enqueue(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#context.reactor.enqueue(this);
  }

  /** Asks for writability where a send had to wait, once for each socket. */
  #awaitSink(direction: Direction): void {
    if (direction.canWrite) return;
    const { reactor } = this.#context;
    if (direction === this.down) {
      if (this.#clientEvents === WRITE_EVENTS) return;
      this.#clientEvents = WRITE_EVENTS;
      reactor.change(this.#clientWatch, this.#client, WRITE_EVENTS);
    } else {
      if (this.#backendEvents === WRITE_EVENTS) return;
      this.#backendEvents = WRITE_EVENTS;
      reactor.change(this.#backendWatch, this.#backend, WRITE_EVENTS);
    }
  }

  /** Passes an end of file on. The second one needs no shutdown of its own: closing sends it. */
  #passEnd(direction: Direction): void {
    direction.passed = true;
    if (this.up.passed && this.down.passed) {
      this.#settle('done', null);
      this.#close(false);
    } else {
      this.#context.sockets.finish(direction.sink);
      this.#limits?.arm();
    }
  }

  #checkError(side: Side): void {
    if (this.#closed || this.#dead !== null) return;
    const errno = this.#context.sockets.takeError(side === 'client' ? this.#client : this.#backend);
    if (errno !== 0) this.#die(side, errno);
  }

  /** A side is dead. What it sent before goes to the other, for which there is a bounded time; then that is reset. */
  #die(side: Side, errno: number): void {
    const { reactor } = this.#context;
    const code = errnoName(errno);
    this.#settle(deathReason(side, code, { client: this.up.ended, backend: this.down.ended }), code);
    this.#dead = side;
    // What was sent before is little, and has a second.
    this.up.pace = null;
    this.down.pace = null;
    this.#flushUntilMs = reactor.now + RESET_FLUSH_TIMEOUT_MS;
    reactor.timers.set(this, reactor.now, RESET_FLUSH_TIMEOUT_MS);
    this.#flush();
  }

  #flush(): void {
    const { reactor, sockets } = this.#context;
    const direction = this.#dead === 'client' ? this.up : this.down;
    if (reactor.now >= this.#flushUntilMs) return this.#close(true);
    if (!direction.passed) {
      const outcome = direction.pump();
      if (outcome === PUMP.gaveWay) return this.enqueue();
      if (outcome === PUMP.refused) return this.#close(true);
      if (outcome === PUMP.sinkFailed) return this.#close(true);
      if (outcome === PUMP.waits && (direction.holdsBytes || direction.canRead))
        return this.#awaitSink(direction);
      direction.passed = true;
    }
    // A reset makes the kernel drop what it has not delivered yet.
    if (sockets.unacknowledged(direction.sink) === 0) return this.#close(true);
    reactor.timers.set(this, reactor.now, OUTPUT_POLL_MS);
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.#detail = endReason === 'done' ? null : detail;
  }

  /** Lets go of everything but the client's watch and the two sockets. */
  #stop(): void {
    const { reactor } = this.#context;
    this.#closed = true;
    reactor.timers.cancel(this);
    this.#limits?.close();
    this.#filter?.close();
    reactor.forget(this.#backendWatch);
    this.up.close();
    this.down.close();
  }

  #close(reset: boolean): void {
    if (this.#closed) return;
    this.#stop();
    const { reactor, sockets } = this.#context;
    reactor.forget(this.#clientWatch);
    if (reset) {
      sockets.reset(this.#client);
      sockets.reset(this.#backend);
    } else {
      sockets.close(this.#client);
      sockets.close(this.#backend);
    }
    this.#outcome.relayEnded(this.#endReason ?? 'done', this.#detail);
  }
}

/** When the backend gets its keepalive settings: no later than the first of them matters. */
function armDelayMs({ keepaliveIdleMs, userTimeoutMs }: TcpSettings): number {
  return Math.min(KEEPALIVE_ARM_MS, keepaliveIdleMs || KEEPALIVE_ARM_MS, userTimeoutMs || KEEPALIVE_ARM_MS);
}
