/**
 * The addresses of configured names as this thread knows them: published by the main thread, which resolves and watches
 * them, so that connections are dialled without waiting for a look-up.
 */
import { dialOrder } from './dial-order.ts';
import type { CachedAddresses } from './names.ts';
import type { Endpoint } from '../verdict.ts';

/** Where a name leads to for backends of one port; plain data. */
export interface PublishedAddresses {
  /** As `lookUpName` gives it. */
  readonly host: string;
  /** 0 for a service, whose records give the ports. */
  readonly port: number;
  /** What the guard lets through; null: nothing is known any more, and connections have to ask. */
  readonly addresses: CachedAddresses | null;
}

export class AddressBook {
  readonly #known = new Map<string, CachedAddresses>();

  /** Takes over what was published; bounded by what the configuration names. */
  update(published: readonly PublishedAddresses[]): void {
    for (const { host, port, addresses } of published) {
      if (addresses === null) this.#known.delete(keyOf(host, port));
      else this.#known.set(keyOf(host, port), addresses);
    }
  }

  /** In the order to try them, drawn anew each time; null if they are not known. */
  endpoints(host: string, port: number): readonly Endpoint[] | null {
    const addresses = this.#known.get(keyOf(host, port));
    return addresses === undefined ? null : dialOrder(addresses, port);
  }
}

function keyOf(host: string, port: number): string {
  return `${host}:${port}`;
}
