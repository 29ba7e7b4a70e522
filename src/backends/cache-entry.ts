/** What the address cache holds of one name. */
import type { CachedAddresses, LookUpAnswer } from './names.ts';

export interface Failure {
  readonly code: string;
  /** Nobody is asked again before. */
  readonly untilMs: number;
}

/** All that is known about one name. */
export interface CacheEntry {
  readonly host: string;
  readonly fromClient: boolean;
  addresses: CachedAddresses | null;
  /** When the last look-up ended, whatever it brought. */
  answeredAtMs: number;
  refreshAtMs: number;
  freshUntilMs: number;
  staleUntilMs: number;
  /** Of the last look-up, if it brought no addresses. */
  failure: Failure | null;
  failuresInRow: number;
  running: Promise<LookUpAnswer> | null;
  watched: boolean;
  inTrouble: boolean;
  /** Of a watched name: of its next look-up, and of the end of its expired addresses. */
  callOff: (() => void) | null;
  callOffEnd: (() => void) | null;
}

export function createEntry(host: string, fromClient: boolean): CacheEntry {
  return {
    host,
    fromClient,
    addresses: null,
    answeredAtMs: Number.NEGATIVE_INFINITY,
    refreshAtMs: 0,
    freshUntilMs: 0,
    staleUntilMs: 0,
    failure: null,
    failuresInRow: 0,
    running: null,
    watched: false,
    inTrouble: false,
    callOff: null,
    callOffEnd: null,
  };
}

/** The same text for the same machines in whatever order: servers turn their answers around. */
export function textOf(addresses: CachedAddresses | null): string {
  if (addresses === null) return '';
  const texts = addresses.targets.map(target => {
    const { port, priority, weight } = target;
    const sorted = target.addresses.map(({ address }) => address).toSorted();
    return JSON.stringify([port, priority, weight, ...sorted]);
  });
  return texts.toSorted().join();
}
