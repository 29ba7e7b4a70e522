/**
 * What bounds a relay beside its peers: times that it may be idle, half-closed or alive, and bandwidth. Made only for
 * relays that have such limits; one timer serves them all, and nothing is done for each event.
 */
import type { EndReason } from '../../events.ts';
import { DURATION_MS_MAX } from '../../limits.ts';
import type { RelaySpans, Ticket } from '../../verdict.ts';
import { RelayClock, isTimed } from '../relay-clock.ts';
import type { Reactor } from './reactor.ts';
import { WheelTimer } from './timer-wheel.ts';

/** The relay, as far as its limits are concerned. */
export interface LimitedRelay {
  /** Reading of the reactor's clock when something last happened. */
  readonly activeAtMs: number;
  readonly isHalfClosed: boolean;
  /** Goes on with directions that waited for bandwidth. */
  resume(): void;
  terminate(endReason: EndReason): void;
  onFault(error: unknown): void;
}

export class RelayLimits extends WheelTimer {
  /** Null if the bandwidth is not limited. */
  readonly pace: Ticket | null;
  readonly #reactor: Reactor;
  readonly #relay: LimitedRelay;
  readonly #clock: RelayClock;
  /** When a direction that waits for bandwidth goes on; 0 if none waits. */
  #resumeAtMs = 0;
  #closed = false;

  constructor(reactor: Reactor, relay: LimitedRelay, { spans, ticket }: RelayBounds) {
    super();
    this.#reactor = reactor;
    this.#relay = relay;
    this.pace = ticket?.isPaced === true ? ticket : null;
    this.#clock = new RelayClock(spans, reactor.now, Math.random());
  }

  /** Waits until bandwidth may be there again. */
  awaitPace(): void {
    if (this.#resumeAtMs !== 0 || this.pace === null) return;
    this.#resumeAtMs = this.#reactor.now + this.pace.waitMs();
    this.arm();
  }

  /** Sets the timer to whatever comes next. Called at the start, and when a side has ended. */
  arm(): void {
    const nowMs = this.#reactor.now;
    const { activeAtMs, isHalfClosed } = this.#relay;
    const spanMs = this.#clock.delayMs({ nowMs, activeAtMs, isHalfClosed });
    const paceMs = this.#resumeAtMs === 0 ? Number.POSITIVE_INFINITY : this.#resumeAtMs - nowMs;
    const delayMs = Math.max(0, Math.min(spanMs, paceMs));
    if (delayMs <= DURATION_MS_MAX) this.#reactor.timers.set(this, nowMs, delayMs);
  }

  onTimer(): void {
    try {
      const nowMs = this.#reactor.now;
      if (this.#resumeAtMs !== 0 && nowMs >= this.#resumeAtMs) {
        this.#resumeAtMs = 0;
        this.#relay.resume();
        // It may have come to its end by that.
        if (this.#closed) return;
      }
      const { activeAtMs, isHalfClosed } = this.#relay;
      const reason = this.#clock.overdue({ nowMs, activeAtMs, isHalfClosed });
      if (reason === null) this.arm();
      else this.#relay.terminate(reason);
    } catch (error) {
      this.#relay.onFault(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#reactor.timers.cancel(this);
  }
}

/** What a verdict and its ticket say of a relay. */
export interface RelayBounds {
  readonly spans: RelaySpans;
  readonly ticket: Ticket | null;
}

/** Whether a relay has any limits at all. */
export function isBounded({ spans, ticket }: RelayBounds): boolean {
  return isTimed(spans) || ticket?.isPaced === true;
}
