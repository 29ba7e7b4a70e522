/** Latencies in buckets of a tenth of a microsecond, so that adding one costs nothing that could be measured. */
const BUCKETS_PER_MS = 10_000;
/** Up to 20 ms; what takes longer counts as that. */
const BUCKETS = 20 * BUCKETS_PER_MS;

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS + 1);
  #total = 0;

  add(milliseconds: number): void {
    this.#counts[Math.min(BUCKETS, Math.trunc(milliseconds * BUCKETS_PER_MS))]!++;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** Microseconds that `share` (0 to 1) of the values stay below; NaN without values. */
  quantileUs(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let bucket = 0; bucket <= BUCKETS; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0 && this.#total > 0) return ((bucket + 0.5) / BUCKETS_PER_MS) * 1000;
    }
    return Number.NaN;
  }
}
