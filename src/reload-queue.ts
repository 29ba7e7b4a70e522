/** Reloads one after the other, and what has become of them. */
import type { ReloadStats } from './events.ts';

export class ReloadQueue {
  #last: Promise<unknown> = Promise.resolve();
  #succeeded = 0;
  #failed = 0;
  #lastSucceededAtMs: number | null = null;

  stats(): ReloadStats {
    return { succeeded: this.#succeeded, failed: this.#failed, lastSucceededAtMs: this.#lastSucceededAtMs };
  }

  /** Begins when those before it are over, however they went. */
  run<T>(reload: () => Promise<T>): Promise<T> {
    const result = this.#last.then(reload);
    this.#last = result.then(
      () => {
        this.#succeeded++;
        this.#lastSucceededAtMs = Date.now();
      },
      () => this.#failed++,
    );
    return result;
  }
}
