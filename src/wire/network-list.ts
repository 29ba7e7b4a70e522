/** A few networks, and whether an address is in one of them. */
import { parsePeerAddress } from './peer-address.ts';
import type { PeerAddress } from './peer-address.ts';

interface Network {
  readonly family: 4 | 6;
  readonly words: PeerAddress['words'];
  /** By word; what is masked away is not compared. */
  readonly masks: readonly [number, number, number, number];
}

/** Prefix of IPv4 addresses wrapped in IPv6. */
const MAPPED_BITS = 96;

/** Immutable. Looks at each network in turn: meant for the handful that a person writes down. */
export class NetworkList {
  readonly #networks: readonly Network[];

  /** @param networks Checked, in CIDR form (`10.0.0.0/8`, `fd00::/8`). */
  constructor(networks: readonly string[]) {
    this.#networks = networks.map(parseNetwork);
  }

  has({ family, words }: PeerAddress): boolean {
    return this.#networks.some(
      network =>
        network.family === family &&
        network.masks.every((mask, index) => ((network.words[index]! ^ words[index]!) & mask) === 0),
    );
  }
}

function parseNetwork(text: string): Network {
  const [address = '', bits = ''] = text.split('/');
  const { family, words } = parsePeerAddress(address, 0);
  if (family === 0) throw new Error(`unchecked network: ${text}`);
  if (family === 6) return { family, words, masks: masksOf(Number(bits), 0) };
  const prefix = address.includes(':') ? Number(bits) - MAPPED_BITS : Number(bits);
  // Wider than all mapped addresses: no peer's address has that form, so that IPv6 is what was meant.
  if (prefix < 0) return { family: 6, words: [0, 0, 0xffff, 0], masks: masksOf(Number(bits), 0) };
  return { family, words, masks: masksOf(prefix, 3) };
}

/** Masks of the first `prefix` bits from this word on; words before it are not compared. */
function masksOf(prefix: number, first: number): Network['masks'] {
  const mask = (word: number): number => {
    const bits = word < first ? 0 : Math.min(32, Math.max(0, prefix - 32 * (word - first)));
    return bits === 0 ? 0 : (-1 << (32 - bits)) | 0;
  };
  return [mask(0), mask(1), mask(2), mask(3)];
}
