/** How long a client may take with its hello: a deadline, and beside it a pace for those that drip. */
import type { HelloPace } from '../snapshot.ts';

export interface HelloDeadline {
  /** Milliseconds from accept until the hello must be complete. */
  readonly timeoutMs: number;
  readonly pace: HelloPace | null;
}

/**
 * Milliseconds until a hello must be looked at again, of which `bytes` have come within `elapsedMs` of accept; none are
 * left for one that is too late or too slow.
 */
export function helloPatienceMs(deadline: HelloDeadline, elapsedMs: number, bytes: number): number {
  const { timeoutMs, pace } = deadline;
  if (pace === null) return timeoutMs - elapsedMs;
  const paceMs = pace.graceMs + (bytes * 1_000) / pace.bytesPerSecond;
  return Math.min(timeoutMs, paceMs) - elapsedMs;
}
