/** Which client networks may use a listener or a route. */
import { parsePeerAddress } from '../wire/peer-address.ts';
import type { PeerAddress } from '../wire/peer-address.ts';

/** The first 96 bits of IPv4-mapped addresses (RFC 4291 section 2.5.5.2). */
const MAPPED_BITS = 96;

/** Networks in CIDR form (`10.0.0.0/8`, `fd00::/8`). */
export interface PlainClients {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/**
 * Immutable. The most specific network that holds an address decides; the same network in both lists denies. An
 * address in none of them, or a client without an address, is admitted unless there are networks that are allowed.
 */
export interface AccessRules {
  admits(client: PeerAddress): boolean;
}

/** Rules for these lists, or null if both are empty. */
export function createAccessRules({ allow, deny }: PlainClients): AccessRules | null {
  if (allow.length === 0 && deny.length === 0) return null;
  const byDefault = allow.length === 0;
  const networks = [
    ...allow.map(text => parseNetwork(text, true)),
    ...deny.map(text => parseNetwork(text, false)),
  ];
  const v4 = new RangeTable(
    networks.filter(({ family }) => family === 4),
    byDefault,
  );
  const v6 = new RangeTable(
    networks.filter(({ family }) => family === 6),
    byDefault,
  );
  return {
    admits({ family, words }) {
      if (family === 4) return v4.admits(0, 0, 0, words[3]);
      return family === 6 ? v6.admits(words[0], words[1], words[2], words[3]) : byDefault;
    },
  };
}

interface Network {
  readonly family: 4 | 6;
  /** First and last address; IPv4 ones in their last number. */
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
  readonly allowed: boolean;
}

function parseNetwork(text: string, allowed: boolean): Network {
  const [address = '', bits] = text.split('/');
  const parsed = parsePeerAddress(address, 0);
  if (parsed.family === 0) throw new Error(`unchecked network: ${text}`);
  const width = parsed.family === 4 ? 32 : 128;
  const given = bits === undefined ? null : Number(bits);
  const wasMapped = parsed.family === 4 && address.includes(':');
  const prefix = given === null ? width : wasMapped ? given - MAPPED_BITS : given;
  // A prefix that ends before the mapped part holds all of it: as an IPv6 network, which mapped addresses never meet.
  if (prefix < 0) return toNetwork({ family: 6, words: [0, 0, 0xffff, 0] }, given ?? 0, allowed);
  return toNetwork(parsed, prefix, allowed);
}

function toNetwork(
  { family, words }: Pick<PeerAddress, 'family' | 'words'>,
  prefix: number,
  allowed: boolean,
): Network {
  const width = family === 4 ? 32 : 128;
  const address = words.reduce((number, word) => (number << 32n) | BigInt(word >>> 0), 0n);
  const size = 1n << BigInt(width - prefix);
  const first = (address / size) * size;
  return { family: family === 4 ? 4 : 6, first, last: first + size - 1n, prefix, allowed };
}

/**
 * Nested networks laid out flat: each range begins where the decision changes, so that a look-up is one binary search
 * over numbers, whatever the number of networks.
 */
class RangeTable {
  /** First addresses of the ranges, four numbers each, in ascending order. */
  readonly #starts: Uint32Array;
  readonly #allowed: Uint8Array;
  readonly #count: number;

  constructor(networks: readonly Network[], byDefault: boolean) {
    const ranges = flatten(networks, byDefault);
    this.#count = ranges.length;
    this.#starts = new Uint32Array(4 * ranges.length);
    this.#allowed = new Uint8Array(ranges.length);
    for (const [index, { start, allowed }] of ranges.entries()) {
      for (let word = 0; word < 4; word++) {
        this.#starts[4 * index + word] = Number((start >> BigInt(96 - 32 * word)) & 0xffff_ffffn);
      }
      this.#allowed[index] = allowed ? 1 : 0;
    }
  }

  // oxlint-disable-next-line max-params -- four numbers are one address, and an object for it would be garbage.
  admits(first: number, second: number, third: number, fourth: number): boolean {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const at = 4 * middle;
      const order =
        this.#compare(at, first) ||
        this.#compare(at + 1, second) ||
        this.#compare(at + 2, third) ||
        this.#compare(at + 3, fourth);
      if (order <= 0) low = middle;
      else high = middle - 1;
    }
    return this.#allowed[low] === 1;
  }

  #compare(at: number, word: number): number {
    return this.#starts[at]! - (word >>> 0);
  }
}

interface Range {
  readonly start: bigint;
  readonly allowed: boolean;
}

/** Networks are nested or apart, never overlapping: a stack of those that are open tells who decides where. */
function flatten(networks: readonly Network[], byDefault: boolean): Range[] {
  const ordered = networks.toSorted(
    (left, right) => compare(left.first, right.first) || left.prefix - right.prefix || denyLast(left, right),
  );
  const ranges: Range[] = [{ start: 0n, allowed: byDefault }];
  const open: Network[] = [];
  const put = (start: bigint, allowed: boolean): void => {
    if (ranges.at(-1)?.start === start) ranges.pop();
    if (ranges.at(-1)?.allowed !== allowed) ranges.push({ start, allowed });
  };
  const closeBefore = (address: bigint | null): void => {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (address !== null && top.last >= address) return;
      open.pop();
      put(top.last + 1n, open.at(-1)?.allowed ?? byDefault);
    }
  };
  for (const network of ordered) {
    closeBefore(network.first);
    open.push(network);
    put(network.first, network.allowed);
  }
  closeBefore(null);
  // The last network may end with the last address there is.
  return ranges.filter(({ start }) => start < 1n << 128n);
}

function denyLast(left: Network, right: Network): number {
  return Number(right.allowed) - Number(left.allowed);
}

function compare(left: bigint, right: bigint): number {
  return left < right ? -1 : Number(left > right);
}
