/** Limits as they stand in a configuration, and who holds a place within them. */
import { PACE_BYTES_MIN } from '../limits.ts';
import type { PeerAddress } from '../wire/peer-address.ts';
import { TAKE } from './limit-table.ts';
import type { LimitTable, Rate, SubjectLimits } from './limit-table.ts';
import { sharedNowMs } from './shared-clock.ts';

/** Numbered slots of the table; those of listeners and routes follow. */
export const PROXY_SLOT = 0;
export const PENDING_SLOT = 1;
export const FIRST_SCOPE_SLOT = 2;

/** Whose connections are counted together. */
export const SUBJECTS = ['all', 'perClient', 'perName'] as const;

export type Subject = (typeof SUBJECTS)[number];

/** Limits of one route, of one listener or of the whole proxy; null where a subject is not limited. */
export type PlainLimits = Readonly<Record<Subject, SubjectLimits | null>>;

/** Where limits hold: each place has a number in the table. */
export interface LimitScope {
  /** Its numbered slot, and a part of the keys of its clients and names. */
  readonly slot: number;
  /** As it is told: `route api`, `listener 1`, `proxy`. */
  readonly title: string;
  readonly limits: PlainLimits;
}

/** Who asks for a place. */
export interface LimitedClient {
  readonly peer: PeerAddress;
  /** Canonical server name that a route took. */
  readonly serverName: string;
}

/** Why a place is refused, as it is told. */
const REFUSALS: Readonly<Record<number, string>> = {
  [TAKE.tooMany]: 'connections',
  [TAKE.tooFast]: 'rate',
};
const SUBJECT_TITLES: Readonly<Record<Subject, string>> = {
  all: '',
  perClient: ' per client',
  perName: ' per name',
};
/** The most specific first: whoever is over a limit of their own takes nothing from what all share. */
const ORDER: readonly Subject[] = ['perClient', 'perName', 'all'];

/** The places of one connection. Made by `takePlaces`; given back exactly once. */
export class Ticket {
  readonly #table: LimitTable;
  readonly #places: Place[] = [];
  readonly #paced: PacedPlace[] = [];

  constructor(table: LimitTable) {
    this.#table = table;
  }

  /** Whether its bytes have to be reserved. */
  get isPaced(): boolean {
    return this.#paced.length > 0;
  }

  /** For `takePlaces` alone. */
  add(slot: number, limits: SubjectLimits): void {
    this.#places.push({ slot, limits });
    if (limits.bandwidth !== null) this.#paced.push({ slot, bandwidth: limits.bandwidth });
  }

  /** Gives all its places back; does nothing when called again. */
  release(): void {
    for (const { slot } of this.#places.splice(0)) this.#table.release(slot);
    this.#paced.length = 0;
  }

  /** Takes everything back as if it had never been asked for. */
  undo(): void {
    for (const { slot, limits } of this.#places.splice(0)) this.#table.undo(slot, limits);
    this.#paced.length = 0;
  }

  /** How many of these bytes may be moved now; 0 to wait for `waitMs`. The rest is to be refunded. */
  reserve(bytes: number): number {
    const nowMs = sharedNowMs();
    let granted = bytes;
    for (const [index, { slot, bandwidth }] of this.#paced.entries()) {
      const least = Math.min(PACE_BYTES_MIN, bandwidth.burst);
      const got = this.#table.reserve(slot, bandwidth, { bytes: granted, least }, nowMs);
      for (const earlier of this.#paced.slice(0, index)) {
        this.#table.refund(earlier.slot, earlier.bandwidth, granted - got);
      }
      granted = got;
      if (granted === 0) return 0;
    }
    return granted;
  }

  refund(bytes: number): void {
    for (const { slot, bandwidth } of this.#paced) this.#table.refund(slot, bandwidth, bytes);
  }

  /** Milliseconds until it is worth while to ask again. */
  waitMs(): number {
    const nowMs = sharedNowMs();
    return this.#paced.reduce((longest, { slot, bandwidth }) => {
      const bytes = Math.min(PACE_BYTES_MIN, bandwidth.burst);
      return Math.max(longest, this.#table.bandwidthWaitMs(slot, bandwidth, bytes, nowMs));
    }, 0);
  }
}

interface Place {
  readonly slot: number;
  readonly limits: SubjectLimits;
}

interface PacedPlace {
  readonly slot: number;
  readonly bandwidth: Rate;
}

export type TakenPlaces =
  | { readonly ok: true; readonly ticket: Ticket }
  /** Which limit is in the way: `connections per client of route api`. */
  | { readonly ok: false; readonly limit: string };

/** A place in every scope for one connection, or none at all. */
export function takePlaces(
  table: LimitTable,
  scopes: readonly LimitScope[],
  client: LimitedClient,
): TakenPlaces {
  const ticket = new Ticket(table);
  const nowMs = sharedNowMs();
  for (const subject of ORDER) {
    for (const scope of scopes) {
      const limits = scope.limits[subject];
      if (limits === null) continue;
      const slot = take(table, { scope, subject, limits, client }, nowMs);
      const refusal = REFUSALS[slot];
      if (refusal !== undefined) {
        ticket.undo();
        return { ok: false, limit: `${refusal}${SUBJECT_TITLES[subject]} of ${scope.title}` };
      }
      if (slot >= 0) ticket.add(slot, limits);
    }
  }
  return { ok: true, ticket };
}

interface Wanted {
  readonly scope: LimitScope;
  readonly subject: Subject;
  readonly limits: SubjectLimits;
  readonly client: LimitedClient;
}

function take(table: LimitTable, { scope, subject, limits, client }: Wanted, nowMs: number): number {
  switch (subject) {
    case 'all':
      return table.takeFixed(scope.slot, limits, nowMs);
    case 'perClient':
      // A client without an address is one of many that look the same.
      if (client.peer.family === 0) return TAKE.untracked;
      hashClient(table, scope.slot, client.peer);
      return table.takeKeyed(limits, nowMs);
    case 'perName':
      table.hash.begin();
      table.hash.add(KEY_NAME);
      table.hash.add(scope.slot);
      table.hash.addText(client.serverName);
      table.hash.finish();
      return table.takeKeyed(limits, nowMs);
  }
}

const KEY_CLIENT = 1;
const KEY_NAME = 2;

/** Sets the key of a client in one scope: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function hashClient(table: LimitTable, slot: number, { family, words }: PeerAddress): void {
  const { hash } = table;
  hash.begin();
  hash.add(KEY_CLIENT);
  hash.add(slot);
  hash.add(family);
  if (family === 4) {
    hash.add(words[3]);
  } else {
    hash.add(words[0]);
    hash.add(words[1]);
  }
  hash.finish();
}
