/** A monotonic clock that all threads of the process read alike: `performance.now()` begins anew in each of them. */
import { performance } from 'node:perf_hooks';

/** What is to be added to this thread's `performance.now()`, which reads the same clock from another zero. */
export const SHARED_CLOCK_OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds, with fractions. */
export function sharedNowMs(): number {
  return performance.now() + SHARED_CLOCK_OFFSET_MS;
}
