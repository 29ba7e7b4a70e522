/** The ways of choosing among the backends of a pool. Each answers all of them, in the order to try them. */
import { hashAddress, hashText } from './hash.ts';
import { buildMaglev } from './maglev.ts';
import type { Balance, PlainBackend } from './plain-pool.ts';
import type { PeerAddress } from '../wire/peer-address.ts';

/** One backend of a pool, with what balancers remember of it. */
export interface Member {
  readonly plain: PlainBackend;
  /** The address as it is configured. */
  readonly text: string;
  readonly weight: number;
  /** How much it is its turn; for weighted round robin. */
  turn: number;
}

/** What a balancer is asked for. */
export interface Request {
  readonly client: PeerAddress;
  readonly serverName: string;
  /** Connections open to a backend now. */
  readonly open: (member: Member) => number;
}

/** `members`: at least one, all usable. Answers a list of its own. */
export type Balancer = (members: readonly Member[], request: Request) => Member[];

/** `random` as Math.random. */
export function createBalancer(balance: Balance, random: () => number = Math.random): Balancer {
  switch (balance) {
    case 'round-robin':
      return roundRobin;
    case 'least-connections':
      return createLeastConnections();
    case 'random-of-two':
      return (members, request) => randomOfTwo(members, request, random);
    case 'hash-client':
      return createHash(({ client }) => hashAddress(client));
    case 'hash-name':
      return createHash(({ serverName }) => hashText(serverName));
  }
}

/**
 * Smooth weighted round robin: everybody gains its weight, the one with the most goes first and pays the whole round.
 * The turns of a heavy backend are spread over the round instead of coming in a row.
 */
function roundRobin(members: readonly Member[]): Member[] {
  let total = 0;
  for (const member of members) {
    member.turn += member.weight;
    total += member.weight;
  }
  const order = members.toSorted((a, b) => b.turn - a.turn);
  order[0]!.turn -= total;
  return order;
}

/** The fewest connections for the weight; those with equally few take turns. */
function createLeastConnections(): Balancer {
  let start = 0;
  return (members, request) => {
    start = (start + 1) % members.length;
    const rotated = [...members.slice(start), ...members.slice(0, start)];
    const loads = new Map(rotated.map(member => [member, loadOf(member, request)]));
    return rotated.toSorted((a, b) => loads.get(a)! - loads.get(b)!);
  };
}

/**
 * The less busy one of two picked at random (Mitzenmacher 2001): nearly as even as the fewest connections, but many
 * proxies that see the same counts do not all run to the same backend.
 */
function randomOfTwo(members: readonly Member[], request: Request, random: () => number): Member[] {
  const rest = [...members];
  const [first, second] = [draw(rest, random), draw(rest, random)];
  if (first === undefined) return rest;
  if (second === undefined) return [first];
  const ordered = loadOf(second, request) < loadOf(first, request) ? [second, first] : [first, second];
  for (let next = draw(rest, random); next !== undefined; next = draw(rest, random)) ordered.push(next);
  return ordered;
}

/** Takes one out, by weight. */
function draw(members: Member[], random: () => number): Member | undefined {
  let left = random() * members.reduce((sum, { weight }) => sum + weight, 0);
  for (const [index, member] of members.entries()) {
    left -= member.weight;
    if (left < 0) return members.splice(index, 1)[0];
  }
  return members.pop();
}

/** One more connection, for the weight. */
function loadOf(member: Member, { open }: Request): number {
  return (open(member) + 1) / member.weight;
}

interface HashTable {
  readonly members: readonly Member[];
  readonly slots: Uint16Array;
}

/** Tables kept: that of all members, and that of the members that were usable last. */
const TABLES_KEPT = 2;

function createHash(keyOf: (request: Request) => number): Balancer {
  const tables: HashTable[] = [];
  const tableOf = (members: readonly Member[]): HashTable => {
    const known = tables.find(table => isSame(table.members, members));
    if (known !== undefined) return known;
    const made = { members: [...members], slots: buildMaglev(members) };
    const fullest = tables.toSorted((a, b) => b.members.length - a.members.length).slice(0, TABLES_KEPT - 1);
    tables.splice(0, tables.length, made, ...fullest);
    return made;
  };
  return (members, request) => {
    if (members.length === 1) return [...members];
    const { slots } = tableOf(members);
    return walk(members, slots, keyOf(request));
  };
}

/** The member of the key's slot, then those of the slots after it, as they come. */
function walk(members: readonly Member[], slots: Uint16Array, key: number): Member[] {
  const order = new Set<Member>();
  for (let step = 0; step < slots.length && order.size < members.length; step++) {
    order.add(members[slots[(key + step) % slots.length]!]!);
  }
  return [...order];
}

function isSame(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member, index) => member === b[index]);
}
