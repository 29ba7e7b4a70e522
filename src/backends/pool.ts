/** A pool at work: which of its backends a connection goes to, and which others it tries. */
import type { Candidate, Endpoint } from '../verdict.ts';
import type { PeerAddress } from '../wire/peer-address.ts';
import type { AddressBook } from './address-book.ts';
import type { Backend } from './backend-address.ts';
import type { BackendLedger } from './backend-ledger.ts';
import { candidatesOf } from './dial-order.ts';
import type { PlainBackend, PlainPool } from './plain-pool.ts';

/** The facts a choice depends on. */
export interface PoolFacts {
  readonly client: PeerAddress;
  readonly serverName: string;
  readonly ledger: BackendLedger;
  readonly addresses: AddressBook;
  readonly nowMs: () => number;
}

export class Pool {
  readonly plain: PlainPool;
  #turn = 0;

  constructor(plain: PlainPool) {
    this.plain = plain;
  }

  /** The backends to try, in this order: the one chosen, then those for the case that it fails. */
  order(_facts: PoolFacts): readonly PlainBackend[] {
    const { backends, retry } = this.plain;
    if (backends.length === 1) return backends;
    const start = this.#turn++ % backends.length;
    return [...backends.slice(start), ...backends.slice(0, start)].slice(0, 1 + retry);
  }
}

/** The candidates of a backend whose addresses are known; null where a look-up is needed. */
export function knownCandidates(backend: PlainBackend, facts: PoolFacts): readonly Candidate[] | null {
  const target = backend.backend;
  if (target.kind === 'server-name') return null;
  if (target.kind === 'host') return facts.addresses.candidates(backend, target.host, target.port);
  return literalCandidates(backend, target);
}

const literals = new WeakMap<PlainBackend, readonly Candidate[]>();

function literalCandidates(backend: PlainBackend, target: Backend): readonly Candidate[] {
  let candidates = literals.get(backend);
  if (candidates === undefined) {
    const endpoint = literalEndpoint(target);
    candidates = endpoint === null ? [] : candidatesOf(backend, [endpoint]);
    literals.set(backend, candidates);
  }
  return candidates;
}

/** The address that stands in the configuration itself; null for a name. */
export function literalEndpoint(backend: Backend): Endpoint | null {
  if (backend.kind === 'unix') return backend;
  if (backend.kind !== 'ip') return null;
  return { kind: 'tcp', address: backend.address, port: backend.port, family: backend.family };
}
