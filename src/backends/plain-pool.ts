/** Pools of backends as they are configured: plain data, which can be cloned to a worker thread. */
import type { ProxyOut } from '../verdict.ts';
import type { Backend } from './backend-address.ts';

/**
 * How a connection's backend is chosen: in turn by weight, the one with the fewest connections for its weight, the
 * less busy one of two picked at random, or always the same one for a client address or a name.
 */
export type Balance = 'round-robin' | 'least-connections' | 'random-of-two' | 'hash-client' | 'hash-name';

export interface PlainBackend {
  /** Counts up over the whole configuration where connections to it are counted or judged; else -1. */
  readonly id: number;
  readonly backend: Backend;
  /** Share of the connections, against the others of the pool; at least 1. */
  readonly weight: number;
  /** Used only while no other backend of the pool is usable. */
  readonly backup: boolean;
  /** Connections at once; 0 for no limit. */
  readonly maxConnections: number;
  readonly proxy: ProxyOut | null;
}

export interface PlainPool {
  /** At least one. */
  readonly backends: readonly PlainBackend[];
  readonly balance: Balance;
  /** How many other backends a connection tries when the first one fails. */
  readonly retry: number;
}
