/** Whoever asks again and again for fresh keys leaves some of the work budget for others. */
import { RETRIES_PER_CLIENT, RETRY_CLIENTS_MAX } from '../limits.ts';
import type { PeerAddress } from '../wire/peer-address.ts';

const WINDOW_MS = 1_000;

/** Counts what each client address (IPv6: each /64) asks for in a second. */
export class RetryShares {
  readonly #nowMs: () => number;
  readonly #counts = new Map<string, number>();
  #startMs = 0;

  /** @param nowMs A monotonic clock, in milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Counts one more; false if the client has had its share. Peers without an address are not told apart. */
  take({ family, words }: PeerAddress): boolean {
    if (family === 0) return true;
    if (this.#nowMs() - this.#startMs >= WINDOW_MS) {
      this.#counts.clear();
      this.#startMs = this.#nowMs();
    }
    const key = family === 6 ? `${words[0]}:${words[1]}` : String(words[3]);
    const count = this.#counts.get(key) ?? 0;
    if (count >= RETRIES_PER_CLIENT) return false;
    // Beyond so many clients a second, what they ask for together is the only bound.
    if (count > 0 || this.#counts.size < RETRY_CLIENTS_MAX) this.#counts.set(key, count + 1);
    return true;
  }
}
