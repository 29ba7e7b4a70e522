/** What the main thread hears of the connections of one worker: each one that was opened ends, whatever happens to it. */
import type { ConnectionOpened } from '../../events.ts';
import type { EngineHost } from '../engine.ts';
import { lostRecord, unpackRecords } from './records.ts';
import type { WorkerCounters } from './shared-state.ts';

export class RecordInbox {
  readonly #host: EngineHost;
  readonly #counters: WorkerCounters;
  /** Connections announced as opened and not yet as ended; kept only while somebody listens to both. */
  readonly #opened = new Map<number, ConnectionOpened>();
  #dropped = 0;

  constructor(host: EngineHost, counters: WorkerCounters) {
    this.#host = host;
    this.#counters = counters;
  }

  interestChanged(): void {
    if (!this.#host.interest.ended) this.#opened.clear();
  }

  /** Announces a batch; true if records were dropped since the last one. `listeners` are texts by number. */
  take(bytes: Uint8Array, listeners: readonly string[]): boolean {
    this.#counters.countRecordsRead(bytes.length);
    unpackRecords(bytes, listeners, {
      opened: connection => {
        if (this.#host.interest.ended) this.#opened.set(connection.id, connection);
        this.#host.opened(connection);
      },
      ended: connection => {
        this.#opened.delete(connection.id);
        this.#host.ended(connection);
      },
    });
    const { droppedRecords } = this.#counters;
    if (droppedRecords === this.#dropped) return false;
    const dropped = droppedRecords - this.#dropped;
    this.#dropped = droppedRecords;
    this.#host.notice({
      level: 'warn',
      message: `${dropped} records of connections were dropped: too slow to read them`,
    });
    return true;
  }

  /** Of all others the record of how they ended was dropped: nobody will ever take them out. */
  keepOnly(openIds: readonly number[]): void {
    const open = new Set(openIds);
    for (const id of this.#opened.keys()) if (!open.has(id)) this.#opened.delete(id);
  }

  /** Every connection that was announced as opened is announced as ended, with what is known of it. */
  workerDied(): void {
    for (const connection of this.#opened.values()) this.#host.ended(lostRecord(connection));
    this.#opened.clear();
  }
}
