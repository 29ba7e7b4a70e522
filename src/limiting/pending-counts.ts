/** Counts connections whose hello has not come yet, for each client address, in the table that all threads share. */
import type { PeerAddress } from '../wire/peer-address.ts';
import { TAKE } from './limit-table.ts';
import type { LimitTable, SubjectLimits } from './limit-table.ts';
import { PENDING_SLOT, hashClient } from './limiter.ts';
import { sharedNowMs } from './shared-clock.ts';

export class PendingCounts {
  readonly #table: LimitTable;
  readonly #limits: SubjectLimits;

  /** @param most Of one client address (IPv6: of one /64). */
  constructor(table: LimitTable, most: number) {
    this.#table = table;
    this.#limits = { connections: most, rate: null, bandwidth: null };
  }

  /** Counts one more: a number to `leave` by, -1 if the client has its share; any other is not counted. */
  enter(client: PeerAddress): number {
    if (client.family === 0) return TAKE.untracked;
    hashClient(this.#table, PENDING_SLOT, client);
    return this.#table.takeKeyed(this.#limits, sharedNowMs());
  }

  leave(number: number): void {
    this.#table.release(number);
  }

  count(number: number): number {
    return this.#table.count(number);
  }
}
