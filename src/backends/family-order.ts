/** Which of a name's addresses come first: as configured, or as this machine's own addresses suggest (RFC 6724). */
import { networkInterfaces } from 'node:os';
import { OWN_ADDRESSES_TTL_MS } from '../limits.ts';
import type { FamilyPreference, ResolvedAddress } from './names.ts';

type Scope = 'loopback' | 'link' | 'local' | 'global';

/** Puts addresses in order, and drops the families that are not wanted; equals keep their order. */
export type OrderFamilies = (addresses: readonly ResolvedAddress[]) => readonly ResolvedAddress[];

/** The record types to ask for, the preferred one first. */
export function wantedFamilies(preference: FamilyPreference): readonly (4 | 6)[] {
  if (preference === 'ipv4-only') return [4];
  if (preference === 'ipv6-only') return [6];
  return preference === 'ipv4-first' ? [4, 6] : [6, 4];
}

/** `now` is a monotonic clock in milliseconds; this machine's addresses are read again now and then. */
export function createFamilyOrder(
  preference: FamilyPreference,
  now: () => number,
  ownAddresses: () => readonly string[] = readOwnAddresses,
): OrderFamilies {
  if (preference !== 'auto') {
    const wanted = wantedFamilies(preference);
    return addresses => wanted.flatMap(family => addresses.filter(entry => entry.family === family));
  }
  let scopes: ReadonlySet<Scope> = new Set();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return addresses => {
    if (now() - readAtMs > OWN_ADDRESSES_TTL_MS) {
      scopes = new Set(ownAddresses().map(scopeOf));
      readAtMs = now();
    }
    // An IPv6 address that this machine has no like of is most likely out of reach: it comes behind IPv4.
    const rank = ({ address, family }: ResolvedAddress): number =>
      family === 4 ? 1 : scopes.has(scopeOf(address)) ? 0 : 2;
    return addresses.toSorted((a, b) => rank(a) - rank(b));
  };
}

/** The scope of an IPv6 address, by its first group: fe80::/10, fc00::/7, and everything else. */
function scopeOf(address: string): Scope {
  if (address === '::1') return 'loopback';
  const first = Number.parseInt(address.split(':')[0] ?? '', 16);
  if ((first & 0xffc0) === 0xfe80) return 'link';
  return (first & 0xfe00) === 0xfc00 ? 'local' : 'global';
}

function readOwnAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap(entries => entries ?? [])
    .flatMap(({ address, family }) => (family === 'IPv6' ? [address] : []));
}
