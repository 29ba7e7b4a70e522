/** What a record keeps of a hello, whose own bytes go when it has been decided on. */
import type { BackendConfirmation } from '../ech/ech-handshake.ts';
import { ECH_BACKENDS, ECH_OFFERS } from '../events.ts';
import type { EchBackend, EchOffer } from '../events.ts';
import type { Client, ClientEch } from '../verdict.ts';
import type { EchKind } from '../wire/hello-layout.ts';
import type { ClientHello } from '../wire/client-hello.ts';

export interface Fingerprints {
  readonly ja3: string;
  readonly ja4: string;
}

/** By their index in ECH_OFFERS they travel between threads. */
const ECH_INDEX: Readonly<Record<EchKind, number>> = { none: 0, outer: 1, inner: 2 };

/** No backend has answered an inner hello. */
export const NO_CONFIRMATION = 0xff;

/** No hello was read. */
export const NO_ECH = 0xff;

/** Of a hello that was not looked into. */
export function echIndex(kind: EchKind): number {
  return ECH_INDEX[kind];
}

/** Of a hello that was. */
export function openedIndex(ech: ClientEch | 'illegal'): number {
  if (ech === 'illegal') return ECH_OFFERS.indexOf('illegal');
  return ECH_OFFERS.indexOf(ech.kind === 'undecryptable' && !ech.isPublicName ? 'not-ours' : ech.kind);
}

/** Of what a backend has made of an inner hello. */
export function confirmationIndex(confirmation: BackendConfirmation): number {
  return confirmation === 'pending' ? NO_CONFIRMATION : ECH_BACKENDS.indexOf(confirmation);
}

export function echBackend(index: number): EchBackend | null {
  return ECH_BACKENDS[index] ?? null;
}

interface Named {
  readonly client: Pick<Client, 'ech'>;
  /** The name that was asked for. */
  readonly serverName: string | null;
}

/** The name that may be told of a connection: the outer one where the inner one may not. */
export function shownName({ client: { ech }, serverName }: Named): string | null {
  return hidesName(ech) ? ech.outerName : serverName;
}

/** What may be told beside an end reason, which names what could not be looked up. */
export function shownDetail({ client: { ech }, serverName }: Named, detail: string | null): string | null {
  if (!hidesName(ech) || serverName === null) return detail;
  return detail?.toLowerCase().includes(serverName) === true ? null : detail;
}

function hidesName(ech: ClientEch | null): ech is ClientEch {
  return ech?.kind === 'accepted' && ech.isHidden;
}

export function echOffer(index: number): EchOffer | null {
  return ECH_OFFERS[index] ?? null;
}

/** Both hashes of a hello; some 15 microseconds, which is why they are asked for. */
export function fingerprintsOf({ ja3, ja4 }: ClientHello): Fingerprints {
  return { ja3, ja4 };
}
