/** The least pace at which a hello has to come, beside its deadline: whoever drips bytes holds a place for less long. */

export interface HelloPace {
  /** Milliseconds from accept in which no pace is asked for. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

/**
 * Milliseconds from accept at which a hello of which `bytes` have come is too slow, if no more come until then. Whoever
 * calls waits until then, and asks again with the bytes there are by then.
 */
export function paceDueMs({ graceMs, bytesPerSecond }: HelloPace, bytes: number): number {
  return graceMs + (bytes * 1_000) / bytesPerSecond;
}
