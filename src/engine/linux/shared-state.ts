/**
 * What a worker and the main thread see of each other without a message: counters that one side writes and the other
 * reads, and who owns which descriptor.
 */
import { END_REASONS } from '../../events.ts';
import type { ConnectionCounts, EndReason } from '../../events.ts';
import { DESCRIPTORS_TRACKED_MAX } from '../../limits.ts';
import type { RecordInterest } from '../engine.ts';

/** Numbers of one worker; each has one writer, which needs no atomic operation. */
const OPEN = 0;
const ACCEPTED = 1;
const DROPPED_RECORDS = 2;
const RECORD_BYTES_SENT = 3;
/** Written by the main thread. */
const RECORD_BYTES_READ = 4;
/** Written by the main thread: 1 if somebody listens to opened connections, 2 to ended ones, 4 with fingerprints. */
const INTEREST = 5;
const FIRST_REASON = 6;
const NUMBERS = FIRST_REASON + END_REASONS.length;

const REASON_INDEX = Object.fromEntries(END_REASONS.map((reason, index) => [reason, index])) as Record<
  EndReason,
  number
>;

/** Counters of one worker. */
export class WorkerCounters {
  readonly memory: SharedArrayBuffer;
  readonly #numbers: Float64Array;

  constructor(memory = new SharedArrayBuffer(NUMBERS * 8)) {
    this.memory = memory;
    this.#numbers = new Float64Array(memory);
  }

  /** Connections open now, those that linger included. */
  get open(): number {
    return this.#numbers[OPEN]!;
  }

  get accepted(): number {
    return this.#numbers[ACCEPTED]!;
  }

  /** Records that were not announced because the main thread was too busy. */
  get droppedRecords(): number {
    return this.#numbers[DROPPED_RECORDS]!;
  }

  get recordBytesUnderWay(): number {
    return this.#numbers[RECORD_BYTES_SENT]! - this.#numbers[RECORD_BYTES_READ]!;
  }

  get wantsOpened(): boolean {
    return (this.#numbers[INTEREST]! & 1) !== 0;
  }

  get wantsEnded(): boolean {
    return (this.#numbers[INTEREST]! & 2) !== 0;
  }

  get wantsFingerprints(): boolean {
    return (this.#numbers[INTEREST]! & 4) !== 0;
  }

  ended(reason: EndReason): number {
    return this.#numbers[FIRST_REASON + REASON_INDEX[reason]]!;
  }

  // Called by the worker.

  /** Counts an accepted connection; answers how many there were before. */
  countAccepted(): number {
    this.#numbers[OPEN]! += 1;
    return this.#numbers[ACCEPTED]!++;
  }

  countEnded(reason: EndReason): void {
    this.#numbers[OPEN]! -= 1;
    this.#numbers[FIRST_REASON + REASON_INDEX[reason]]! += 1;
  }

  countDropped(records: number): void {
    this.#numbers[DROPPED_RECORDS]! += records;
  }

  countRecordsSent(bytes: number): void {
    this.#numbers[RECORD_BYTES_SENT]! += bytes;
  }

  // Called by the main thread.

  countRecordsRead(bytes: number): void {
    this.#numbers[RECORD_BYTES_READ]! += bytes;
  }

  setInterest({ opened, ended, fingerprints }: RecordInterest): void {
    this.#numbers[INTEREST] = (opened ? 1 : 0) | (ended ? 2 : 0) | (fingerprints ? 4 : 0);
  }

  /** Takes down that a worker died: answers how many connections it took along. */
  countLost(): number {
    const lost = this.open;
    this.#numbers[OPEN] = 0;
    this.#numbers[FIRST_REASON + REASON_INDEX['internal-error']]! += lost;
    this.#numbers[RECORD_BYTES_READ] = this.#numbers[RECORD_BYTES_SENT]!;
    return lost;
  }
}

/** What all workers of an engine have counted together. */
export function sumCounts(workers: readonly WorkerCounters[]): ConnectionCounts {
  const sum = (of: (worker: WorkerCounters) => number): number =>
    workers.reduce((total, worker) => total + of(worker), 0);
  const ended = END_REASONS.map(reason => [reason, sum(worker => worker.ended(reason))] as const);
  return {
    accepted: sum(({ accepted }) => accepted),
    open: sum(({ open }) => open),
    ended: Object.fromEntries(ended) as Record<EndReason, number>,
    recordsDropped: sum(({ droppedRecords }) => droppedRecords),
  };
}

/**
 * Which worker opened which descriptor. Threads share their descriptors, so that those of a dead worker stay open
 * until somebody closes them.
 */
export class DescriptorOwners {
  readonly memory: SharedArrayBuffer;
  readonly #owners: Uint16Array;

  constructor(memory = new SharedArrayBuffer(DESCRIPTORS_TRACKED_MAX * 2)) {
    this.memory = memory;
    this.#owners = new Uint16Array(memory);
  }

  set(descriptor: number, worker: number): void {
    if (descriptor < DESCRIPTORS_TRACKED_MAX) this.#owners[descriptor] = worker + 1;
  }

  clear(descriptor: number): void {
    if (descriptor < DESCRIPTORS_TRACKED_MAX) this.#owners[descriptor] = 0;
  }

  /** Descriptors of a worker, in ascending order. */
  of(worker: number): number[] {
    const found: number[] = [];
    for (let at = this.#owners.indexOf(worker + 1); at >= 0; at = this.#owners.indexOf(worker + 1, at + 1))
      found.push(at);
    return found;
  }
}
