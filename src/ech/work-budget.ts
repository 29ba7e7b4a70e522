/** Bounds how much of a thread's time goes into work that anybody on the network can ask for. */

export interface WorkBudgetTerms {
  /** A monotonic clock, in milliseconds. */
  readonly nowMs: () => number;
  /** The part of the time that may be spent, 0 to 1. */
  readonly share: number;
  /** Milliseconds of work that may be done at once after a pause. */
  readonly burstMs: number;
  /** Milliseconds that one piece of work counts as at most: if it took longer, the thread had to wait for a processor. */
  readonly pieceMsMax: number;
}

/**
 * A token bucket of time. What a piece of work takes is measured and not known beforehand, so that slow keys and slow
 * machines get fewer pieces.
 */
export class WorkBudget {
  readonly #terms: WorkBudgetTerms;
  #leftMs: number;
  #filledAtMs: number;

  constructor(terms: WorkBudgetTerms) {
    this.#terms = terms;
    this.#leftMs = terms.burstMs;
    this.#filledAtMs = terms.nowMs();
  }

  /** Does the work, if there is time for it; else null. */
  spend<T>(work: () => T): T | null {
    const { nowMs, share, burstMs, pieceMsMax } = this.#terms;
    const startMs = nowMs();
    this.#leftMs = Math.min(this.#leftMs + (startMs - this.#filledAtMs) * share, burstMs);
    this.#filledAtMs = startMs;
    if (this.#leftMs <= 0) return null;
    const result = work();
    this.#leftMs -= Math.min(nowMs() - startMs, pieceMsMax);
    return result;
  }
}
