/** When a relay has lasted long enough, as a state machine without sockets and timers, so that every engine ends alike. */
import { LIFETIME_JITTER } from '../limits.ts';
import type { RelaySpans } from '../verdict.ts';

/** What a relay is doing when its clock is asked. */
export interface RelayState {
  readonly nowMs: number;
  /** When bytes were last moved, or a side last ended. */
  readonly activeAtMs: number;
  /** One side has sent its end of file. */
  readonly isHalfClosed: boolean;
}

/** Whether a relay with these spans can end by the clock at all. */
export function isTimed({ idleMs, halfCloseMs, lifetimeMs }: RelaySpans): boolean {
  return idleMs > 0 || halfCloseMs > 0 || lifetimeMs > 0;
}

export class RelayClock {
  readonly #spans: RelaySpans;
  readonly #endsAtMs: number;

  /** @param chance From 0 to 1, as `Math.random` gives it. */
  constructor(spans: RelaySpans, startedAtMs: number, chance: number) {
    this.#spans = spans;
    const { lifetimeMs } = spans;
    const lasts = lifetimeMs * (1 - LIFETIME_JITTER * chance);
    this.#endsAtMs = lifetimeMs === 0 ? Number.POSITIVE_INFINITY : startedAtMs + lasts;
  }

  /** Why the relay is to end now, or null. */
  overdue(state: RelayState): 'idle' | 'lifetime' | null {
    if (state.nowMs >= this.#endsAtMs) return 'lifetime';
    return state.nowMs >= this.#quietUntilMs(state) ? 'idle' : null;
  }

  /**
   * Milliseconds until it is worth while to ask again. A half-close may come meanwhile: whoever calls asks then too.
   * `Infinity` if there is nothing to wait for.
   */
  delayMs(state: RelayState): number {
    return Math.max(0, Math.min(this.#endsAtMs, this.#quietUntilMs(state)) - state.nowMs);
  }

  #quietUntilMs({ activeAtMs, isHalfClosed }: RelayState): number {
    const { idleMs, halfCloseMs } = this.#spans;
    const both = idleMs > 0 ? idleMs : Number.POSITIVE_INFINITY;
    const quietMs = isHalfClosed && halfCloseMs > 0 ? Math.min(both, halfCloseMs) : both;
    return activeAtMs + quietMs;
  }
}
