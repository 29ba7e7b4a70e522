/**
 * Who has how many connections and how much of its rate left: a table in shared memory that all threads count in, so
 * that a limit holds for the process and not for each worker.
 *
 * Slots are found by the hash of what is counted. They stand in sets of SET_SLOTS, each with its own spin lock; a key
 * belongs to one set, so that one lock covers all that is to be looked at. A slot in which nobody is connected and
 * whose buckets are full again says nothing, and is taken for another key. If a set has no such slot, one without
 * connections forgets its debts; if all have connections, the newcomer is not counted at all: a client must not be
 * able to lock others out by filling the table. Slots that have a number instead of a key are always there.
 */
import { randomInt } from 'node:crypto';
import { LIMIT_LOCK_SLEEP_MS, LIMIT_LOCK_SPINS, LIMIT_LOCK_STEAL_MS } from '../limits.ts';
import { KeyedHash } from './keyed-hash.ts';

/** A token bucket. */
export interface Rate {
  /** Connections, or bytes. */
  readonly perSecond: number;
  /** How many of them may come at once after a pause; at least 1. */
  readonly burst: number;
}

/** What is limited for one subject; null for what is not. */
export interface SubjectLimits {
  readonly connections: number | null;
  readonly rate: Rate | null;
  /** Bytes in both directions together. */
  readonly bandwidth: Rate | null;
}

/** Answers of `take` that are no slot. */
export const TAKE = { tooMany: -1, tooFast: -2, untracked: -3 } as const;

export interface LimitTableShape {
  /** Slots for keys; rounded up to whole sets. */
  readonly slots: number;
  /** Slots with numbers, from 0 on. */
  readonly fixed: number;
  /** Threads that count; each writes a column of its own, so that a dead one's connections can be given back. */
  readonly owners: number;
}

/** Everything a thread needs to count in the same table. */
export interface SharedLimitTable {
  readonly shape: LimitTableShape;
  readonly memory: SharedArrayBuffer;
  readonly hashKey: readonly [number, number];
}

const SET_SLOTS = 64;
const FIXED_LOCKS = 64;
/** Numbers before the locks. */
const SLEEPER = 0;
const UNTRACKED = 1;
const FORGOTTEN = 2;
const HEADER = 4;
/** Float rounding of a bucket must not cost a token. */
const EPSILON_MS = 1e-4;

export function createSharedLimitTable(shape: LimitTableShape): SharedLimitTable {
  const slots = shape.fixed + Math.ceil(shape.slots / SET_SLOTS) * SET_SLOTS;
  const sets = (slots - shape.fixed) / SET_SLOTS;
  const numbers = HEADER + FIXED_LOCKS + sets + slots * (3 + shape.owners);
  const memory = new SharedArrayBuffer(slots * 16 + numbers * 4);
  // randomInt() is secret, and its range is below 2^48.
  const key = (): number => randomInt(2 ** 32) | 0;
  return {
    shape: { ...shape, slots: sets * SET_SLOTS },
    memory,
    hashKey: [key(), key()],
  };
}

export class LimitTable {
  /** For the key of the next `takeKeyed`. */
  readonly hash: KeyedHash;
  readonly #owner: number;
  readonly #owners: number;
  readonly #fixed: number;
  readonly #sets: number;
  readonly #header: Int32Array;
  readonly #locks: Int32Array;
  readonly #low: Int32Array;
  readonly #high: Int32Array;
  readonly #counts: Int32Array;
  /** Connections by slot and owner. */
  readonly #columns: Int32Array;
  /** When the bucket of a slot is full again, by the shared clock (GCRA's theoretical arrival time). */
  readonly #rateFullAt: Float64Array;
  readonly #bandwidthFullAt: Float64Array;

  /** @param owner This thread's number, below the shape's `owners`. */
  constructor({ shape, memory, hashKey }: SharedLimitTable, owner: number) {
    const slots = shape.fixed + shape.slots;
    this.#owner = owner;
    this.#owners = shape.owners;
    this.#fixed = shape.fixed;
    this.#sets = shape.slots / SET_SLOTS;
    this.hash = new KeyedHash(hashKey[0], hashKey[1]);
    this.#rateFullAt = new Float64Array(memory, 0, slots);
    this.#bandwidthFullAt = new Float64Array(memory, slots * 8, slots);
    let offset = slots * 16;
    const numbers = (count: number): Int32Array => {
      const array = new Int32Array(memory, offset, count);
      offset += count * 4;
      return array;
    };
    this.#header = numbers(HEADER);
    this.#locks = numbers(FIXED_LOCKS + this.#sets);
    this.#low = numbers(slots);
    this.#high = numbers(slots);
    this.#counts = numbers(slots);
    this.#columns = numbers(slots * shape.owners);
  }

  /** Connections that were not counted because their set of slots was full of others. */
  get untracked(): number {
    return Atomics.load(this.#header, UNTRACKED);
  }

  /** Slots that gave up what they knew of a rate because another key needed one. */
  get forgotten(): number {
    return Atomics.load(this.#header, FORGOTTEN);
  }

  /** Connections counted in a slot. */
  count(slot: number): number {
    return Atomics.load(this.#counts, slot);
  }

  /** Connections counted in all slots together, and the slots of keys that say something; looks at every slot. */
  survey(nowMs: number): { readonly connections: number; readonly keys: number } {
    let connections = 0;
    let keys = 0;
    for (let slot = 0; slot < this.#counts.length; slot++) {
      connections += Atomics.load(this.#counts, slot);
      if (slot >= this.#fixed && !this.#saysNothing(slot, nowMs)) keys++;
    }
    return { connections, keys };
  }

  /** Counts one more connection in a numbered slot: that slot, or why not. */
  takeFixed(slot: number, limits: SubjectLimits, nowMs: number): number {
    const lock = slot % FIXED_LOCKS;
    this.#lock(lock);
    const taken = this.#take(slot, limits, nowMs);
    this.#unlock(lock);
    return taken;
  }

  /** Counts one more connection for the key in `hash`: its slot, or why not. */
  takeKeyed(limits: SubjectLimits, nowMs: number): number {
    const { low, high } = this.hash;
    const set = (low >>> 0) % this.#sets;
    const lock = FIXED_LOCKS + set;
    this.#lock(lock);
    const slot = this.#find(set, low, high, nowMs);
    const taken = slot === TAKE.untracked ? slot : this.#take(slot, limits, nowMs);
    this.#unlock(lock);
    return taken;
  }

  /** Gives a connection back. */
  release(slot: number): void {
    const lock = this.#lockOf(slot);
    this.#lock(lock);
    this.#count(slot, -1);
    this.#unlock(lock);
  }

  /** Gives back a connection that is not to be, with its part of the rate. */
  undo(slot: number, { rate }: SubjectLimits): void {
    const lock = this.#lockOf(slot);
    this.#lock(lock);
    this.#count(slot, -1);
    if (rate !== null) this.#rateFullAt[slot]! -= 1_000 / rate.perSecond;
    this.#unlock(lock);
  }

  /**
   * Takes up to `bytes` from the bandwidth of a slot that is held; answers how many, 0 if there are fewer than `least`
   * (and fewer than `bytes`). What is not used is given back with `refund`.
   */
  reserve(slot: number, bandwidth: Rate, { bytes, least }: { bytes: number; least: number }, nowMs: number) {
    const lock = this.#lockOf(slot);
    this.#lock(lock);
    const fullAt = Math.max(this.#bandwidthFullAt[slot]!, nowMs);
    const msPerByte = 1_000 / bandwidth.perSecond;
    const there = Math.floor(bandwidth.burst - (fullAt - nowMs) / msPerByte + EPSILON_MS);
    const granted = there < Math.min(bytes, least) ? 0 : Math.min(bytes, there);
    if (granted > 0) this.#bandwidthFullAt[slot] = fullAt + granted * msPerByte;
    this.#unlock(lock);
    return granted;
  }

  refund(slot: number, bandwidth: Rate, bytes: number): void {
    if (bytes === 0) return;
    const lock = this.#lockOf(slot);
    this.#lock(lock);
    this.#bandwidthFullAt[slot]! -= (bytes * 1_000) / bandwidth.perSecond;
    this.#unlock(lock);
  }

  /** Milliseconds until a bucket holds this many bytes. */
  bandwidthWaitMs(slot: number, { perSecond, burst }: Rate, bytes: number, nowMs: number): number {
    const missing = Math.min(bytes, burst) - burst;
    return Math.max(0, this.#bandwidthFullAt[slot]! - nowMs + (missing * 1_000) / perSecond);
  }

  /** Gives back all that a dead thread held, its locks first. Called when nothing of it runs any more. */
  forgetOwner(owner: number): void {
    for (let lock = 0; lock < this.#locks.length; lock++) {
      Atomics.compareExchange(this.#locks, lock, owner + 1, 0);
    }
    for (let slot = 0; slot < this.#counts.length; slot++) {
      const lock = this.#lockOf(slot);
      this.#lock(lock);
      this.#columns[slot * this.#owners + owner] = 0;
      // The thread may have died between a column and its sum.
      let sum = 0;
      for (let other = 0; other < this.#owners; other++) sum += this.#columns[slot * this.#owners + other]!;
      this.#counts[slot] = sum;
      this.#unlock(lock);
    }
  }

  #take(slot: number, { connections, rate }: SubjectLimits, nowMs: number): number {
    if (connections !== null && this.#counts[slot]! >= connections) return TAKE.tooMany;
    if (rate !== null) {
      const fullAt = Math.max(this.#rateFullAt[slot]!, nowMs);
      const interval = 1_000 / rate.perSecond;
      if (fullAt - nowMs > (rate.burst - 1) * interval + EPSILON_MS) return TAKE.tooFast;
      this.#rateFullAt[slot] = fullAt + interval;
    }
    this.#count(slot, 1);
    return slot;
  }

  #count(slot: number, change: number): void {
    this.#columns[slot * this.#owners + this.#owner]! += change;
    this.#counts[slot]! += change;
  }

  /** The slot of a key, a new one if it has none. */
  #find(set: number, low: number, high: number, nowMs: number): number {
    const first = this.#fixed + set * SET_SLOTS;
    let free = -1;
    for (let slot = first; slot < first + SET_SLOTS; slot++) {
      if (this.#low[slot] === low && this.#high[slot] === high) return slot;
      if (free === -1 && this.#saysNothing(slot, nowMs)) free = slot;
    }
    if (free === -1) free = this.#forgetOne(first);
    if (free === -1) {
      Atomics.add(this.#header, UNTRACKED, 1);
      return TAKE.untracked;
    }
    this.#low[free] = low;
    this.#high[free] = high;
    this.#rateFullAt[free] = 0;
    this.#bandwidthFullAt[free] = 0;
    return free;
  }

  #saysNothing(slot: number, nowMs: number): boolean {
    return (
      this.#counts[slot] === 0 && this.#rateFullAt[slot]! <= nowMs && this.#bandwidthFullAt[slot]! <= nowMs
    );
  }

  /** The slot of a set whose buckets are full soonest, of those without connections; -1 if there is none. */
  #forgetOne(first: number): number {
    let found = -1;
    let soonest = Number.POSITIVE_INFINITY;
    for (let slot = first; slot < first + SET_SLOTS; slot++) {
      if (this.#counts[slot] !== 0) continue;
      const fullAt = Math.max(this.#rateFullAt[slot]!, this.#bandwidthFullAt[slot]!);
      if (fullAt >= soonest) continue;
      soonest = fullAt;
      found = slot;
    }
    if (found !== -1) Atomics.add(this.#header, FORGOTTEN, 1);
    return found;
  }

  #lockOf(slot: number): number {
    return slot < this.#fixed
      ? slot % FIXED_LOCKS
      : FIXED_LOCKS + Math.floor((slot - this.#fixed) / SET_SLOTS);
  }

  /** Whoever holds a lock lets go of it within a microsecond, unless its thread was put aside, or died. */
  #lock(lock: number): void {
    if (Atomics.compareExchange(this.#locks, lock, 0, this.#owner + 1) === 0) return;
    for (let spin = 0; spin < LIMIT_LOCK_SPINS; spin++) {
      if (Atomics.compareExchange(this.#locks, lock, 0, this.#owner + 1) === 0) return;
    }
    for (let sleeps = 0; sleeps * LIMIT_LOCK_SLEEP_MS < LIMIT_LOCK_STEAL_MS; sleeps++) {
      Atomics.wait(this.#header, SLEEPER, 0, LIMIT_LOCK_SLEEP_MS);
      if (Atomics.compareExchange(this.#locks, lock, 0, this.#owner + 1) === 0) return;
    }
    Atomics.store(this.#locks, lock, this.#owner + 1);
  }

  #unlock(lock: number): void {
    // Not if it was taken for a dead thread's meanwhile.
    Atomics.compareExchange(this.#locks, lock, this.#owner + 1, 0);
  }
}
