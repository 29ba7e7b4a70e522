/** Pools of backends as they are configured: plain data, which can be cloned to a worker thread. */
import type { ProxyOut } from '../verdict.ts';
import type { Backend } from './backend-address.ts';

/**
 * How a connection's backend is chosen: in turn by weight, the one with the fewest connections for its weight, the
 * less busy one of two picked at random, or always the same one for a client address or a name.
 */
export const BALANCES = [
  'round-robin',
  'least-connections',
  'random-of-two',
  'hash-client',
  'hash-name',
] as const;

export type Balance = (typeof BALANCES)[number];

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

/** When a backend that fails is left out for a while. */
export interface PlainEjection {
  /** Failures in a row that it takes; 0 for never. */
  readonly failures: number;
  /** How long the first time; doubled each time it happens again soon. */
  readonly baseMs: number;
  readonly maxMs: number;
}

/** How backends are looked after while nobody uses them. */
export interface PlainHealth {
  /** Whether they take a connection, or also show a certificate that is valid for the name. */
  readonly check: 'tcp' | 'tls';
  /** The server name of a TLS check; empty for a TCP check. */
  readonly serverName: string;
  /** Whether a TLS check also asks for Encrypted ClientHello in split mode. */
  readonly ech: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Good checks in a row after which a backend is up again. */
  readonly rise: number;
  /** Bad checks in a row after which it is down. */
  readonly fall: number;
  /** Days before a certificate expires from which on it is warned of. */
  readonly expiryDays: number;
}

export interface PlainPool {
  /** At least one. */
  readonly backends: readonly PlainBackend[];
  readonly balance: Balance;
  /** How many other backends a connection tries when the first one fails. */
  readonly retry: number;
  readonly ejection: PlainEjection;
  readonly health: PlainHealth | null;
  /** What becomes of the connections of a backend that checks have found down. */
  readonly onDown: 'keep' | 'close';
}
