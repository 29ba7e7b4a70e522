/**
 * What is known of the backends while the proxy runs: open connections, failures in a row, ejections, and what active
 * checks have found. It lies in memory that the main thread and all workers share, so that every thread decides by the
 * same facts without a message.
 */
import type { BackendOutcome } from '../verdict.ts';
import type { PlainBackend, PlainEjection } from './plain-pool.ts';

/** Numbers of one backend, 32 bits wide. */
const OPEN = 0;
/** 1 while active checks find it down. */
const DOWN = 1;
const FAILURES_IN_A_ROW = 2;
/** Number of the worker that writes an ejection, plus 1; 0 while none does. */
const EJECTING = 3;
/** Times in a row it was ejected soon after it had returned. */
const LEVEL = 4;
/** These three only count up, and wrap. */
const TAKEN = 5;
const FAILED = 6;
const EJECTIONS = 7;
const FIELDS = 8;

/** In front of all backends: how often anything was ejected, so that a reader sees at once whether to look. */
const EJECTED = 0;
/** Behind it: how many backends there is room for. */
const CAPACITY = 1;
const HEAD_BYTES = 8;
/** When its ejection ends. */
const TIME_BYTES = 8;
const FIELD_BYTES = 4;

/** Memory for backends with numbers below `capacity`, used by this many workers. */
export function createLedgerMemory(capacity: number, workers: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(
    HEAD_BYTES + capacity * (TIME_BYTES + (FIELDS + workers) * FIELD_BYTES),
  );
  new Int32Array(memory)[CAPACITY] = capacity;
  return memory;
}

/** A backend that has a number, and when it is ejected. */
export interface TrackedBackend {
  readonly plain: PlainBackend;
  readonly ejection: PlainEjection;
}

export interface LedgerOptions {
  readonly memory: SharedArrayBuffer;
  readonly backends: readonly TrackedBackend[];
  /** Whose column of open connections this thread writes. */
  readonly worker: number;
  /** Milliseconds of a monotonic clock that is the same in all threads. */
  readonly nowMs: () => number;
}

/** How often something has happened to a backend since the proxy started. */
export interface BackendCounts {
  readonly open: number;
  readonly taken: number;
  readonly failed: number;
  readonly ejections: number;
}

export class BackendLedger {
  /** Aligned 64-bit numbers: engines of 64-bit machines read and write each in one go. */
  readonly #ejectedUntil: Float64Array;
  readonly #numbers: Int32Array;
  readonly #head: Int32Array;
  /** By their numbers. */
  readonly #backends: (TrackedBackend | undefined)[] = [];
  readonly #capacity: number;
  readonly #worker: number;
  readonly #nowMs: () => number;

  constructor({ memory, backends, worker, nowMs }: LedgerOptions) {
    this.#head = new Int32Array(memory, 0, HEAD_BYTES / FIELD_BYTES);
    this.#capacity = this.#head[CAPACITY]!;
    this.#ejectedUntil = new Float64Array(memory, HEAD_BYTES, this.#capacity);
    this.#numbers = new Int32Array(memory, HEAD_BYTES + this.#capacity * TIME_BYTES);
    this.update(backends);
    this.#worker = worker;
    this.#nowMs = nowMs;
  }

  /** The numbers of all backends it knows. */
  get backends(): readonly number[] {
    return this.#backends.flatMap(backend => backend?.plain.id ?? []);
  }

  /** Takes over how backends are to be judged. What it knows of others stays: they may still be connected. */
  update(backends: readonly TrackedBackend[]): void {
    for (const backend of backends) this.#backends[backend.plain.id] = backend;
  }

  /** Changes whenever a backend is ejected. */
  get ejectionsSoFar(): number {
    return Atomics.load(this.#head, EJECTED);
  }

  /** Connections open to a backend now, over all workers. */
  open(backend: number): number {
    return Atomics.load(this.#numbers, backend * FIELDS + OPEN);
  }

  counts(backend: number): BackendCounts {
    const at = backend * FIELDS;
    const read = (field: number): number => Atomics.load(this.#numbers, at + field) >>> 0;
    return { open: read(OPEN), taken: read(TAKEN), failed: read(FAILED), ejections: read(EJECTIONS) };
  }

  /** Active checks find it down. */
  isDown(backend: number): boolean {
    return Atomics.load(this.#numbers, backend * FIELDS + DOWN) === 1;
  }

  isEjected(backend: number): boolean {
    const until = this.#ejectedUntil[backend]!;
    return until > 0 && until > this.#nowMs();
  }

  /** When the last ejection of a backend ends or has ended; 0 if there was none. */
  ejectedUntil(backend: number): number {
    return this.#ejectedUntil[backend]!;
  }

  isFull(backend: number): boolean {
    const limit = this.#limitOf(backend);
    return limit > 0 && this.open(backend) >= limit;
  }

  /**
   * Counts a connection to a backend before it is dialled; false if it is at its limit. The count of all workers and
   * this worker's own are written with nothing between them at which a thread could be ended.
   */
  take(backend: number): boolean {
    const at = backend * FIELDS + OPEN;
    const limit = this.#limitOf(backend);
    const column = this.#column(this.#worker) + backend;
    for (;;) {
      const open = Atomics.load(this.#numbers, at);
      if (limit > 0 && open >= limit) return false;
      if (Atomics.compareExchange(this.#numbers, at, open, open + 1) !== open) continue;
      this.#numbers[column]! += 1;
      Atomics.add(this.#numbers, backend * FIELDS + TAKEN, 1);
      return true;
    }
  }

  /** Gives back what was taken, and takes down how it went. */
  leave(backend: number, outcome: BackendOutcome): void {
    const column = this.#column(this.#worker) + backend;
    Atomics.sub(this.#numbers, backend * FIELDS + OPEN, 1);
    this.#numbers[column]! -= 1;
    if (outcome === 'failed' || outcome === 'lost') this.#fail(backend);
    else if (outcome === 'ended') this.answered(backend);
  }

  /** A backend has done what it should. */
  answered(backend: number): void {
    const at = backend * FIELDS + FAILURES_IN_A_ROW;
    // Mostly it has not failed: then nothing is written that other threads would have to fetch again.
    if (Atomics.load(this.#numbers, at) !== 0) Atomics.store(this.#numbers, at, 0);
  }

  // Called by the main thread.

  /** A number is given to another backend: nobody is connected to the one that had it. */
  forget(backend: number): void {
    for (let field = 0; field < FIELDS; field++) Atomics.store(this.#numbers, backend * FIELDS + field, 0);
    this.#ejectedUntil[backend] = 0;
  }

  setDown(backend: number, down: boolean): void {
    Atomics.store(this.#numbers, backend * FIELDS + DOWN, down ? 1 : 0);
  }

  /** A worker has died: its connections are given back, and an ejection that it was writing is left to others. */
  giveBack(worker: number): void {
    const column = this.#column(worker);
    for (const backend of this.backends) {
      Atomics.compareExchange(this.#numbers, backend * FIELDS + EJECTING, worker + 1, 0);
      const open = this.#numbers[column + backend]!;
      if (open === 0) continue;
      Atomics.sub(this.#numbers, backend * FIELDS + OPEN, open);
      this.#numbers[column + backend] = 0;
    }
  }

  #fail(backend: number): void {
    const at = backend * FIELDS;
    Atomics.add(this.#numbers, at + FAILED, 1);
    const failures = Atomics.add(this.#numbers, at + FAILURES_IN_A_ROW, 1) + 1;
    const ejection = this.#backends[backend]?.ejection ?? NEVER;
    if (ejection.failures === 0 || failures < ejection.failures || this.isEjected(backend)) return;
    // Whoever comes second leaves it to the first.
    if (Atomics.compareExchange(this.#numbers, at + EJECTING, 0, this.#worker + 1) !== 0) return;
    if (!this.isEjected(backend)) this.#eject(backend, ejection);
    Atomics.store(this.#numbers, at + EJECTING, 0);
  }

  /**
   * Failures in a row stay as they are: the first failure after the return ejects again, for twice as long, unless the
   * backend had been well for as long as it was ejected.
   */
  #eject(backend: number, { baseMs, maxMs }: PlainEjection): void {
    const at = backend * FIELDS;
    const now = this.#nowMs();
    const lasts = (level: number): number => Math.min(baseMs * 2 ** (level - 1), maxMs);
    const before = this.#numbers[at + LEVEL]!;
    const hasRecovered = now - this.#ejectedUntil[backend]! > lasts(before);
    const level = before === 0 || hasRecovered ? 1 : Math.min(before + 1, LEVEL_MAX);
    this.#numbers[at + LEVEL] = level;
    this.#ejectedUntil[backend] = now + lasts(level);
    Atomics.add(this.#numbers, at + EJECTIONS, 1);
    Atomics.add(this.#head, EJECTED, 1);
  }

  #column(worker: number): number {
    return this.#capacity * (FIELDS + worker);
  }

  #limitOf(backend: number): number {
    return this.#backends[backend]?.plain.maxConnections ?? 0;
  }
}

const NEVER: PlainEjection = { failures: 0, baseMs: 0, maxMs: 0 };

/** More doublings than any bound on the time allows. */
const LEVEL_MAX = 40;
