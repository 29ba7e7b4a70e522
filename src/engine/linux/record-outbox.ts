/**
 * Records of connections wait here for a moment to be sent together. A main thread that does not keep up gets no more
 * than a bound: what is beyond is dropped and counted, so that a slow reader never slows connections down.
 */
import type { EndReason } from '../../events.ts';
import { RECORDS_BATCH_BYTES, RECORDS_BYTES_MAX, RECORDS_DELAY_MS } from '../../limits.ts';
import { nowMs } from './clock.ts';
import type { LinuxConnection } from './connection.ts';
import { RecordPacker } from './records.ts';
import type { OpenedFacts } from './records.ts';
import type { WorkerCounters } from './shared-state.ts';

export class RecordOutbox {
  readonly #counters: WorkerCounters;
  readonly #send: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #packer = new RecordPacker(2 * RECORDS_BATCH_BYTES);
  #sinceMs = 0;

  /** @param send Takes a batch over. */
  constructor(counters: WorkerCounters, send: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#counters = counters;
    this.#send = send;
  }

  addOpened(facts: OpenedFacts): void {
    this.#makeRoom();
    this.#packer.addOpened(facts);
  }

  addEnded(connection: LinuxConnection, endReason: EndReason): void {
    this.#makeRoom();
    this.#packer.addEnded(connection, endReason);
  }

  flush(): void {
    const { count, length } = this.#packer;
    if (length === 0) return;
    const bytes = this.#packer.take();
    if (this.#counters.recordBytesUnderWay + length > RECORDS_BYTES_MAX) {
      this.#counters.countDropped(count);
      return;
    }
    this.#counters.countRecordsSent(length);
    this.#send(bytes);
  }

  /** Sends what has waited long enough; answers how long a sleep may be, in milliseconds, or -1 for any time. */
  beforeSleep(): number {
    if (this.#packer.length === 0) return -1;
    const leftMs = RECORDS_DELAY_MS - (nowMs() - this.#sinceMs);
    if (leftMs > 0) return Math.ceil(leftMs);
    this.flush();
    return -1;
  }

  #makeRoom(): void {
    if (this.#packer.length === 0) this.#sinceMs = nowMs();
    else if (this.#packer.length >= RECORDS_BATCH_BYTES) this.flush();
  }
}
