/**
 * Connections whose hello has not come yet have a budget of their own: those who are silent must not take the place of
 * those who are not. When it is spent, the oldest of whoever has most gives way; honest clients are never old.
 */
import { PENDING_CANDIDATES_MAX } from '../limits.ts';
import type { PeerAddress } from '../wire/peer-address.ts';

/** Counts them for each client address, over all threads. */
export interface PendingCounts {
  /** Counts one more of this client: a number to `leave` by, -1 if it has its share; any other is not counted. */
  enter(client: PeerAddress): number;
  leave(number: number): void;
  /** How many the client of that number has. */
  count(number: number): number;
}

/** One connection in the list. */
export interface PendingEntry {
  /** Ends the connection, over its limit; calls `leave`. */
  readonly shed: () => void;
  readonly number: number;
  previous: PendingEntry | null;
  next: PendingEntry | null;
}

export class PendingHellos {
  #counts: PendingCounts;
  #most: number;
  #oldest: PendingEntry | null = null;
  #newest: PendingEntry | null = null;
  #size = 0;

  /** @param most How many there may be in this thread. */
  constructor(counts: PendingCounts, most: number) {
    this.#counts = counts;
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Other bounds from now on; nobody who is in has to leave. Whoever was counted before must be known to `counts`. */
  update(counts: PendingCounts, most: number): void {
    this.#counts = counts;
    this.#most = most;
  }

  /** Takes one in, and another one out if there are too many; null if its client has its share. */
  enter(client: PeerAddress, shed: () => void): PendingEntry | null {
    const number = this.#counts.enter(client);
    if (number === -1) return null;
    if (this.#size >= this.#most) this.#greediest()?.shed();
    const entry: PendingEntry = { shed, number, previous: this.#newest, next: null };
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.next = entry;
    this.#newest = entry;
    this.#size++;
    return entry;
  }

  /** Takes one out; called once for each `enter` that gave one. */
  leave(entry: PendingEntry): void {
    const { previous, next } = entry;
    if (previous === null) this.#oldest = next;
    else previous.next = next;
    if (next === null) this.#newest = previous;
    else next.previous = previous;
    this.#size--;
    if (entry.number >= 0) this.#counts.leave(entry.number);
  }

  /** Of the oldest few, the first whose client has most. */
  #greediest(): PendingEntry | null {
    let found = this.#oldest;
    let most = found === null || found.number < 0 ? 0 : this.#counts.count(found.number);
    let entry = found?.next ?? null;
    for (let seen = 1; entry !== null && seen < PENDING_CANDIDATES_MAX; seen++, entry = entry.next) {
      const count = entry.number < 0 ? 0 : this.#counts.count(entry.number);
      if (count <= most) continue;
      most = count;
      found = entry;
    }
    return found;
  }
}
