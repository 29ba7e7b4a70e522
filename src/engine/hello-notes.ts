/** What a record keeps of a hello, whose own bytes go when it has been decided on. */
import type { EchOffer } from '../events.ts';
import type { EchKind } from '../wire/hello-layout.ts';
import type { ClientHello } from '../wire/client-hello.ts';

export interface Fingerprints {
  readonly ja3: string;
  readonly ja4: string;
}

/** What ech values are called in records; by their index they travel between threads. */
const ECH_OFFERS: readonly EchOffer[] = ['none', 'offered', 'inner'];
const ECH_INDEX: Readonly<Record<EchKind, number>> = { none: 0, outer: 1, inner: 2 };

/** No hello was read. */
export const NO_ECH = 0xff;

export function echIndex(kind: EchKind): number {
  return ECH_INDEX[kind];
}

export function echOffer(index: number): EchOffer | null {
  return ECH_OFFERS[index] ?? null;
}

/** Both hashes of a hello; some 15 microseconds, which is why they are asked for. */
export function fingerprintsOf({ ja3, ja4 }: ClientHello): Fingerprints {
  return { ja3, ja4 };
}
