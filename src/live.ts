/**
 * What decisions look at beside the snapshot: facts that change while the proxy runs. They lie in memory that all
 * threads share, or are published by the main thread, so that one code decides everywhere and never waits.
 */
import { AddressBook } from './backends/address-book.ts';
export type { PublishedAddresses } from './backends/address-book.ts';
import { BackendLedger, createLedgerMemory } from './backends/backend-ledger.ts';
import type { TrackedBackend } from './backends/backend-ledger.ts';
import type { KeptBackend } from './backends/backend-keeper.ts';
import { LIMIT_KEYS_MAX } from './limits.ts';
import { LimitTable, createSharedLimitTable } from './limiting/limit-table.ts';
import type { SharedLimitTable } from './limiting/limit-table.ts';
import { sharedNowMs } from './limiting/shared-clock.ts';
import type { PlainConfig } from './snapshot.ts';

/** Memory shared by all threads of one proxy; can be sent to a worker as it is. */
export interface SharedMemory {
  readonly backends: SharedArrayBuffer;
  readonly limits: SharedLimitTable;
}

/** How many numbers there are to count by. */
export interface Room {
  readonly backends: number;
  readonly slots: number;
}

export interface Live {
  readonly ledger: BackendLedger;
  readonly addresses: AddressBook;
  readonly limits: LimitTable;
  /** Milliseconds of a monotonic clock that is the same in all threads. */
  readonly nowMs: () => number;
}

/**
 * Made once by the main thread; `workers` as in the engine's settings. `room` is how many backends and limits there may
 * be after all reloads: pages that nobody has written to cost nothing.
 */
export function createSharedMemory(room: Room, workers: number): SharedMemory {
  return {
    backends: createLedgerMemory(room.backends, workers),
    limits: createSharedLimitTable({ slots: LIMIT_KEYS_MAX, fixed: room.slots, owners: workers }),
  };
}

/** One thread's view: `worker` is its index, 0 for an engine that runs on the main thread. */
export function openLive(plain: PlainConfig, shared: SharedMemory, worker: number): Live {
  const backends = trackedBackends(plain);
  const ledger = new BackendLedger({ memory: shared.backends, backends, worker, nowMs: sharedNowMs });
  const limits = new LimitTable(shared.limits, worker);
  return { ledger, addresses: new AddressBook(), limits, nowMs: sharedNowMs };
}

/** All backends, in the order of the configuration. */
export function listBackends({ routes }: PlainConfig): readonly KeptBackend[] {
  return routes.flatMap(({ name, action }) => {
    if (action.kind !== 'relay') return [];
    const { pool } = action;
    return pool.backends.map(plain => ({ route: name, pool, plain }));
  });
}

/** The backends that have a number. */
export function trackedBackends(plain: PlainConfig): readonly TrackedBackend[] {
  const tracked = listBackends(plain).filter(backend => backend.plain.id >= 0);
  return tracked.map(({ plain: backend, pool }) => ({ plain: backend, ejection: pool.ejection }));
}
