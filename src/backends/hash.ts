/**
 * Hashes that spread connections over backends: the same on every machine and in every version, so that proxies beside
 * each other agree. They keep no secret: who can choose a name or an address can choose a backend.
 */
import type { PeerAddress } from '../wire/peer-address.ts';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** 32 bits, unsigned. */
export function hashText(text: string, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  }
  return mix(hash);
}

/** 32 bits, unsigned; of the address alone, whatever the port. */
export function hashAddress({ words }: PeerAddress): number {
  let hash = FNV_OFFSET;
  for (const word of words) hash = mix(hash ^ word);
  return hash;
}

/** The finalizer of MurmurHash3: each bit of the result depends on every bit of the value. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
