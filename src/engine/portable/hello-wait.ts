/** The wait for a client's hello: its place among those whose hello has not come, and the time it may take. */
import type { Client } from '../../verdict.ts';
import type { EngineSettings } from '../engine.ts';
import { helloPatienceMs } from '../hello-deadline.ts';
import type { PendingEntry, PendingHellos } from '../pending-hellos.ts';

export interface HelloWaitOutcome {
  /** Bytes of the hello so far: the more have come, the longer it may take. */
  readonly received: () => number;
  /** `isSlow`: within the deadline, but below the pace. */
  readonly expired: (isSlow: boolean) => void;
  /** Too many wait, and this one is not to; `detail` says of what there are too many. */
  readonly shed: (detail: string) => void;
}

export class HelloWait {
  readonly #pending: PendingHellos;
  readonly #settings: EngineSettings;
  readonly #outcome: HelloWaitOutcome;
  #entry: PendingEntry | null = null;
  #timer: NodeJS.Timeout | undefined;
  #sinceMs = 0;

  constructor(pending: PendingHellos, settings: EngineSettings, outcome: HelloWaitOutcome) {
    this.#pending = pending;
    this.#settings = settings;
    this.#outcome = outcome;
  }

  /** Begins, counted from then; false if it was shed at once. */
  begin({ peer }: Client, sinceMs: number): boolean {
    this.#entry = this.#pending.enter(peer, () => this.#outcome.shed('pending hellos'));
    if (this.#entry === null) {
      this.#outcome.shed('pending hellos per client');
      return false;
    }
    this.#sinceMs = sinceMs;
    this.#wait();
    return true;
  }

  /**
   * Its time is not counted any more, but it keeps its place: behind a flight the client has still to say something, and
   * counts as those that have said nothing.
   */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** The hello is not waited for any more; may be called more than once. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#entry !== null) this.#pending.leave(this.#entry);
    this.#entry = null;
  }

  #wait(): void {
    const elapsedMs = performance.now() - this.#sinceMs;
    const { helloTimeoutMs: timeoutMs, pending } = this.#settings;
    const delayMs = helloPatienceMs({ timeoutMs, pace: pending.pace }, elapsedMs, this.#outcome.received());
    if (delayMs > 0) this.#timer = setTimeout(() => this.#wait(), Math.ceil(delayMs));
    else this.#outcome.expired(elapsedMs < timeoutMs);
  }
}
