/**
 * Tells other threads where configured names lead, as the address cache finds it out. The guard has its say here: what
 * it refuses is not published.
 */
import type { AddressGuard } from './address-guard.ts';
import type { PublishedAddresses } from './address-book.ts';
import { lookUpName } from './backend-address.ts';
import type { Backend } from './backend-address.ts';
import type { AddressTarget, CachedAddresses } from './names.ts';
import { portOf } from './pool.ts';

export interface PublisherOptions {
  readonly backends: readonly Backend[];
  readonly guard: AddressGuard;
  readonly publish: (addresses: readonly PublishedAddresses[]) => void;
}

export class AddressPublisher {
  readonly #options: PublisherOptions;
  /** The ports each name is dialled at. */
  readonly #ports = new Map<string, Set<number>>();

  constructor(options: PublisherOptions) {
    this.#options = options;
    for (const backend of options.backends) {
      const host = lookUpName(backend);
      if (host === null) continue;
      const ports = this.#ports.get(host) ?? new Set<number>();
      this.#ports.set(host, ports.add(portOf(backend)));
    }
  }

  /** The names to watch. */
  get hosts(): readonly string[] {
    return [...this.#ports.keys()];
  }

  /** What the one after this one does not publish any more: nothing is known of it. */
  withdrawn(next: AddressPublisher): PublishedAddresses[] {
    return [...this.#ports].flatMap(([host, ports]) => {
      const left = next.#ports.get(host);
      const gone = [...ports].filter(port => left?.has(port) !== true);
      return gone.map(port => ({ host, port, addresses: null }));
    });
  }

  /** Called when a name leads somewhere else, or (null) nowhere any more. */
  change(host: string, addresses: CachedAddresses | null): void {
    const ports = [...(this.#ports.get(host) ?? [])];
    if (ports.length === 0) return;
    this.#options.publish(
      ports.map(port => ({
        host,
        port,
        addresses: addresses === null ? null : this.#allowed(addresses, port),
      })),
    );
  }

  /** Null if nothing is left: then connections ask, and are told why. */
  #allowed({ targets }: CachedAddresses, port: number): CachedAddresses | null {
    const left = targets.flatMap((target): AddressTarget[] => {
      const addresses = target.addresses.filter(({ address, family }) => {
        const endpoint = { kind: 'tcp', address, family, port: target.port ?? port } as const;
        return this.#options.guard.refusal(endpoint, false) === null;
      });
      return addresses.length === 0 ? [] : [{ ...target, addresses }];
    });
    return left.length === 0 ? null : { targets: left };
  }
}
