/** A pool at work: which of its backends a connection goes to, and which others it tries. */
import type { Candidate, Endpoint } from '../verdict.ts';
import type { PeerAddress } from '../wire/peer-address.ts';
import type { AddressBook } from './address-book.ts';
import { formatBackend, lookUpName } from './backend-address.ts';
import type { Backend } from './backend-address.ts';
import type { BackendLedger } from './backend-ledger.ts';
import { candidatesOf } from './candidates.ts';
import { createBalancer } from './balancers.ts';
import type { Balancer, Member, Request } from './balancers.ts';
import type { PlainBackend, PlainPool } from './plain-pool.ts';

/** The facts a choice depends on. */
export interface PoolFacts {
  readonly client: PeerAddress;
  readonly serverName: string;
  readonly ledger: BackendLedger;
  readonly addresses: AddressBook;
}

export class Pool {
  readonly plain: PlainPool;
  readonly #primaries: readonly Member[];
  readonly #backups: readonly Member[];
  readonly #balance: Balancer;
  readonly #balanceBackups: Balancer;

  constructor(plain: PlainPool) {
    this.plain = plain;
    const members = plain.backends.map((backend): Member => {
      return { plain: backend, text: formatBackend(backend.backend), weight: backend.weight, turn: 0 };
    });
    this.#primaries = members.filter(member => !member.plain.backup);
    this.#backups = members.filter(member => member.plain.backup);
    this.#balance = createBalancer(plain.balance);
    this.#balanceBackups = createBalancer(plain.balance);
  }

  /**
   * The backends to try, in this order: the one chosen, then those for the case that it fails. Backends that are down,
   * ejected or full are left out; backups come after all others. Where none is left, all of them are tried: they may
   * be better than their reputation.
   */
  order(facts: PoolFacts): readonly PlainBackend[] {
    const { backends, retry } = this.plain;
    if (backends.length === 1) return backends;
    const { ledger } = facts;
    const open = (member: Member): number => ledger.open(member.plain.id);
    const request: Request = { client: facts.client, serverName: facts.serverName, open };
    const most = 1 + retry;
    const order = arrange(this.#primaries, { ledger, request, balance: this.#balance });
    if (order.length < most && this.#backups.length > 0) {
      order.push(...arrange(this.#backups, { ledger, request, balance: this.#balanceBackups }));
    }
    // The last resort: those that were ejected, or really all.
    if (order.length < most) order.push(...this.#leftOver(order, ledger));
    return order.slice(0, most).map(({ plain }) => plain);
  }

  #leftOver(order: readonly Member[], ledger: BackendLedger): Member[] {
    const members = [...this.#primaries, ...this.#backups].filter(member => !order.includes(member));
    if (order.length === 0 && members.every(({ plain }) => ledger.isDown(plain.id))) return members;
    return members.filter(({ plain }) => !ledger.isDown(plain.id));
  }
}

interface Arrangement {
  readonly ledger: BackendLedger;
  readonly request: Request;
  readonly balance: Balancer;
}

/** The usable ones. A full one keeps its place in the hash, so that its clients come back when it is not. */
function arrange(members: readonly Member[], { ledger, request, balance }: Arrangement): Member[] {
  const usable = members.filter(({ plain: { id } }) => !ledger.isDown(id) && !ledger.isEjected(id));
  if (usable.length === 0) return [];
  return balance(usable, request).filter(({ plain }) => !ledger.isFull(plain.id));
}

/** The candidates of a backend whose addresses are known; null where a look-up is needed. */
export function knownCandidates(backend: PlainBackend, facts: PoolFacts): readonly Candidate[] | null {
  const target = backend.backend;
  if (target.kind === 'server-name') return null;
  const host = lookUpName(target);
  if (host === null) return literalCandidates(backend, target);
  const endpoints = facts.addresses.endpoints(host, portOf(target));
  return endpoints === null ? null : candidatesOf(backend, endpoints);
}

/** The port that a backend's name is looked up for; 0 where its records give it. */
export function portOf(target: Backend): number {
  return 'port' in target ? target.port : 0;
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
