/**
 * What is known of the backends while the proxy runs: open connections, failures in a row, ejections, and what active
 * checks have found. It lies in memory that the main thread and all workers share, so that every thread decides by the
 * same facts without a message.
 */
import type { BackendOutcome } from '../verdict.ts';
import type { PlainBackend } from './plain-pool.ts';

/** Numbers of one backend, all 32 bits wide. */
const OPEN = 0;
const FIELDS = 1;
const FIELD_BYTES = 4;

/** Memory for a ledger of this many backends, used by this many workers. */
export function createLedgerMemory(backends: number, workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(backends * (FIELDS + workers) * FIELD_BYTES);
}

export interface LedgerOptions {
  readonly memory: SharedArrayBuffer;
  /** The backends that have a number, in the order of their numbers. */
  readonly backends: readonly PlainBackend[];
  /** Whose column of open connections this thread writes. */
  readonly worker: number;
}

export class BackendLedger {
  readonly #numbers: Int32Array;
  readonly #limits: readonly number[];
  readonly #worker: number;

  constructor({ memory, backends, worker }: LedgerOptions) {
    this.#numbers = new Int32Array(memory);
    this.#limits = backends.map(({ maxConnections }) => maxConnections);
    this.#worker = worker;
  }

  get size(): number {
    return this.#limits.length;
  }

  /** Connections open to a backend now, over all workers. */
  open(backend: number): number {
    return Atomics.load(this.#numbers, backend * FIELDS + OPEN);
  }

  /**
   * Counts a connection to a backend before it is dialled; false if it is at its limit. The count of all workers and
   * this worker's own are written with nothing between them at which a thread could be ended.
   */
  take(backend: number): boolean {
    const at = backend * FIELDS + OPEN;
    const limit = this.#limits[backend] ?? 0;
    const column = this.#column(this.#worker) + backend;
    for (;;) {
      const open = Atomics.load(this.#numbers, at);
      if (limit > 0 && open >= limit) return false;
      if (Atomics.compareExchange(this.#numbers, at, open, open + 1) !== open) continue;
      this.#numbers[column]! += 1;
      return true;
    }
  }

  /** Gives back what was taken. */
  leave(backend: number, _outcome: BackendOutcome): void {
    const column = this.#column(this.#worker) + backend;
    Atomics.sub(this.#numbers, backend * FIELDS + OPEN, 1);
    this.#numbers[column]! -= 1;
  }

  /** Called by the main thread when a worker has died: its connections are given back. */
  giveBack(worker: number): void {
    const column = this.#column(worker);
    for (let backend = 0; backend < this.size; backend++) {
      const open = this.#numbers[column + backend]!;
      if (open === 0) continue;
      Atomics.sub(this.#numbers, backend * FIELDS + OPEN, open);
      this.#numbers[column + backend] = 0;
    }
  }

  #column(worker: number): number {
    return this.size * (FIELDS + worker);
  }
}
