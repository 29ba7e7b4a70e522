/** Dials the endpoints of a verdict, raced as RFC 8305 has it. */
import { DIAL_ATTEMPT_DELAY_MS } from '../../limits.ts';
import type { Endpoint } from '../../verdict.ts';
import { DialRace, dialFailureReason, formatEndpoint } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import type { EventOwner, Reactor } from './reactor.ts';
import type { Sockets } from './sockets.ts';
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

/** Events that a dialled socket is watched for; a relay goes on with the same. */
export const DIAL_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export interface DialOutcome {
  /** Takes the connected socket and its watch over, at once. */
  dialed(fd: number, watch: number, endpoint: Endpoint): void;
  dialFailed(failure: DialFailure, endpoint: Endpoint): void;
  onFault(error: unknown): void;
}

interface Attempt {
  readonly fd: number;
  readonly watch: number;
  readonly endpoint: Endpoint;
}

export interface DialContext {
  readonly sockets: Sockets;
  readonly reactor: Reactor;
}

/** One dial; its deadline is its owner's affair. */
export class Dial extends WheelTimer implements EventOwner {
  readonly #context: DialContext;
  readonly #outcome: DialOutcome;
  readonly #race: DialRace;
  /** By role; null once an attempt has failed. */
  readonly #attempts: (Attempt | null)[] = [];
  #last: Endpoint;

  constructor(context: DialContext, endpoints: readonly Endpoint[], outcome: DialOutcome) {
    super();
    this.#context = context;
    this.#outcome = outcome;
    this.#race = new DialRace(endpoints);
    this.#last = endpoints[0]!;
  }

  /** The endpoint dialled last. */
  get last(): Endpoint {
    return this.#last;
  }

  /** Starts the first attempts, as many as fail at once. The outcome may be announced before this returns. */
  start(): void {
    this.#startNext();
  }

  /** Goes on with an attempt that its owner has begun at the first endpoint. */
  resume(fd: number): void {
    const endpoint = this.#race.next();
    if (endpoint !== null) this.#watch(fd, endpoint);
  }

  /** The failure to report when the deadline ends the dial. */
  expire(): DialFailure {
    return this.#race.expire();
  }

  /** Gives everything up; no outcome is announced any more. */
  cancel(): void {
    this.#context.reactor.timers.cancel(this);
    for (const [role, attempt] of this.#attempts.entries()) {
      if (attempt !== null) this.#close(role, attempt);
    }
  }

  onTimer(): void {
    try {
      this.#startNext();
    } catch (error) {
      this.#outcome.onFault(error);
    }
  }

  onEvents(role: number, events: number): void {
    const attempt = this.#attempts[role];
    if (attempt === null || attempt === undefined) return;
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const errno = this.#context.sockets.takeError(attempt.fd);
      this.#close(role, attempt);
      this.#fail(attempt.endpoint, errnoName(errno));
    } else if ((events & EPOLLOUT) !== 0) {
      this.#attempts[role] = null;
      this.cancel();
      this.#outcome.dialed(attempt.fd, attempt.watch, attempt.endpoint);
    }
  }

  onFault(error: unknown): void {
    this.#outcome.onFault(error);
  }

  #startNext(): void {
    const { sockets } = this.#context;
    const endpoint = this.#race.next();
    if (endpoint === null) return;
    this.#last = endpoint;
    const fd = sockets.connect(endpoint);
    if (fd === -1) this.#fail(endpoint, errnoName(sockets.errno));
    else this.#watch(fd, endpoint);
  }

  #watch(fd: number, endpoint: Endpoint): void {
    const { reactor, sockets } = this.#context;
    const role = this.#attempts.length;
    try {
      this.#attempts.push({ fd, watch: reactor.watch(fd, DIAL_EVENTS, this, role), endpoint });
    } catch (error) {
      sockets.close(fd);
      throw error;
    }
    if (this.#race.hasMore) reactor.timers.set(this, reactor.now, DIAL_ATTEMPT_DELAY_MS);
  }

  #fail(endpoint: Endpoint, code: string): void {
    const failure = this.#race.fail({
      endReason: dialFailureReason(code),
      detail: `${code} ${formatEndpoint(endpoint)}`,
    });
    if (failure === null) {
      if (this.#race.hasMore) this.#startNext();
      return;
    }
    this.cancel();
    this.#outcome.dialFailed(failure, this.#last);
  }

  #close(role: number, attempt: Attempt): void {
    this.#attempts[role] = null;
    this.#context.reactor.forget(attempt.watch);
    this.#context.sockets.close(attempt.fd);
  }
}
