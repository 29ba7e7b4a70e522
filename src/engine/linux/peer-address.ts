/** Addresses of clients: as the kernel writes them, and as they are shown. */
import type { ClientAddress } from '../../events.ts';
import { isIPv4Mapped } from '../../wire/address-text.ts';
import { UNIX_PEER, formatPeerAddress } from '../../wire/peer-address.ts';
import type { PeerAddress } from '../../wire/peer-address.ts';
import { AF_INET, AF_INET6 } from './syscalls/constants.ts';
import type { Region } from './syscalls/arena.ts';

/** Offsets in struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)). */
const PORT_OFFSET = 2;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;

/** The peer that accept4(2) has just written; an IPv4-mapped address comes out as IPv4. */
export function readPeer({ view, offset }: Region): PeerAddress {
  const family = view.getUint16(offset, true);
  if (family !== AF_INET && family !== AF_INET6) return UNIX_PEER;
  const port = view.getUint16(offset + PORT_OFFSET);
  const word = (at: number): number => view.getInt32(at);
  if (family === AF_INET) return { family: 4, port, words: [0, 0, 0, word(offset + IPV4_OFFSET)] };
  const start = offset + IPV6_OFFSET;
  if (isIPv4Mapped(view, start)) return { family: 4, port, words: [0, 0, 0, word(start + 12)] };
  return { family: 6, port, words: [word(start), word(start + 4), word(start + 8), word(start + 12)] };
}

/** The same as text. */
export function formatPeer(peer: PeerAddress): ClientAddress {
  return { address: formatPeerAddress(peer), port: peer.port };
}
