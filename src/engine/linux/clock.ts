/** The monotonic clock. */
import { performance } from 'node:perf_hooks';

/** Milliseconds since the process started. The global `performance` is a getter, and far slower. */
export function nowMs(): number {
  return performance.now();
}
