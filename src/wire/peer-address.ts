/** A peer's address as numbers: cheap to keep and to compare, turned into text only when somebody reads it. */
import { isIPv4Mapped, readIPv4, readIPv6, writeIPv4, writeIPv6 } from './address-text.ts';

export interface PeerAddress {
  /** 4, 6, or 0 for a Unix-domain socket and for a peer whose address is not known. */
  readonly family: 0 | 4 | 6;
  readonly port: number;
  /** An IPv4 address is the last of the four numbers, most significant byte first; numbers are signed. */
  readonly words: readonly [number, number, number, number];
}

export const UNIX_PEER: PeerAddress = { family: 0, port: 0, words: [0, 0, 0, 0] };

const bytes = new DataView(new ArrayBuffer(16));

/** The address in text form, as it is shown: an IPv4-mapped one as IPv4, `unix` where there is none. */
export function formatPeerAddress({ family, words }: PeerAddress): string {
  if (family === 0) return 'unix';
  for (const [index, word] of words.entries()) bytes.setInt32(4 * index, word);
  return family === 4 ? readIPv4(bytes, 12) : readIPv6(bytes, 0);
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** Reads an address as the system gives it; what is none (`unix`, `unknown`) comes out with family 0. */
export function parsePeerAddress(text: string, port: number): PeerAddress {
  const bare = text.replace(/%.*$/, '');
  if (IPV4.test(bare)) {
    writeIPv4(bytes, 0, bare);
    return { family: 4, port, words: [0, 0, 0, bytes.getInt32(0)] };
  }
  if (!bare.includes(':')) return UNIX_PEER;
  writeIPv6(bytes, 0, bare);
  const word = (index: number): number => bytes.getInt32(4 * index);
  if (isIPv4Mapped(bytes, 0)) return { family: 4, port, words: [0, 0, 0, word(3)] };
  return { family: 6, port, words: [word(0), word(1), word(2), word(3)] };
}
