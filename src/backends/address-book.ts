/**
 * The addresses of configured host names as this thread knows them: published by the main thread, which resolves and
 * watches them, so that connections are dialled without waiting for a look-up.
 */
import type { Candidate, Endpoint } from '../verdict.ts';
import { candidatesOf } from './dial-order.ts';
import type { PlainBackend } from './plain-pool.ts';

/** What has become known of one host and port; no endpoints: nothing is known any more. */
export interface PublishedAddresses {
  readonly host: string;
  readonly port: number;
  /** In the order of the resolver; the guard lets all of them through. */
  readonly endpoints: readonly Endpoint[];
}

export class AddressBook {
  readonly #endpoints = new Map<string, readonly Endpoint[]>();
  /** Made once for each backend: the same objects for every connection, until its addresses change. */
  readonly #candidates = new Map<string, Map<PlainBackend, readonly Candidate[]>>();

  /** Takes over what was published; bounded by what the configuration names. */
  update(published: readonly PublishedAddresses[]): void {
    for (const { host, port, endpoints } of published) {
      const key = `${host}:${port}`;
      this.#candidates.delete(key);
      if (endpoints.length === 0) this.#endpoints.delete(key);
      else this.#endpoints.set(key, endpoints);
    }
  }

  /** The candidates of a backend that is known by a host name; null if its addresses are not known. */
  candidates(backend: PlainBackend, host: string, port: number): readonly Candidate[] | null {
    const key = `${host}:${port}`;
    const made = this.#candidates.get(key)?.get(backend);
    if (made !== undefined) return made;
    const endpoints = this.#endpoints.get(key);
    if (endpoints === undefined) return null;
    const candidates = candidatesOf(backend, endpoints);
    const known = this.#candidates.get(key) ?? new Map<PlainBackend, readonly Candidate[]>();
    this.#candidates.set(key, known.set(backend, candidates));
    return candidates;
  }
}
