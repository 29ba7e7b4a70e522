/**
 * How long a worker's loop takes until it gets to something new: a message is sent to it, and it answers with how old
 * that was. Costs nothing while nobody asks.
 */
import { LAG_PROBE_TIMEOUT_MS } from '../../limits.ts';

/** Milliseconds of a clock that all threads read alike. */
export function probeClockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class LagProbe {
  readonly #waiting = new Map<
    number,
    { readonly lag: Promise<number>; readonly take: (ms: number) => void }
  >();

  /** Milliseconds; of a worker that does not answer in time, how long it has not. Those who ask meanwhile share it. */
  measure(worker: number, send: (sentAtMs: number) => void): Promise<number> {
    const running = this.#waiting.get(worker);
    if (running !== undefined) return running.lag;
    let take: (ms: number) => void = () => undefined;
    const lag = new Promise<number>(resolve => {
      const timer = setTimeout(() => take(LAG_PROBE_TIMEOUT_MS), LAG_PROBE_TIMEOUT_MS);
      take = ms => {
        clearTimeout(timer);
        this.#waiting.delete(worker);
        resolve(ms);
      };
    });
    this.#waiting.set(worker, { lag, take });
    send(probeClockMs());
    return lag;
  }

  /** A worker has answered; too late ones are dropped. */
  answered(worker: number, lagMs: number): void {
    this.#waiting.get(worker)?.take(lagMs);
  }
}
