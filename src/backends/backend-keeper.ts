/**
 * What the main thread does for the backends, whoever relays to them: it keeps their addresses known, checks them, and
 * tells what becomes of them.
 */
import type { BackendChange, BackendState, Notice } from '../events.ts';
import type { AddressGuard } from './address-guard.ts';
import type { AddressBook, PublishedAddresses } from './address-book.ts';
import { AddressCache } from './address-cache.ts';
import { AddressPublisher } from './address-publisher.ts';
import { formatBackend, lookUpName } from './backend-address.ts';
import type { BackendLedger } from './backend-ledger.ts';
import { dialOrder } from './dial-order.ts';
import { EjectionWatch } from './ejection-watch.ts';
import { HealthChecker } from './health-checker.ts';
import type { ResolverSettings } from './names.ts';
import type { PlainBackend, PlainPool } from './plain-pool.ts';
import { literalEndpoint, portOf } from './pool.ts';
import type { Endpoint } from '../verdict.ts';

/** A backend with the route and the pool it belongs to. */
export interface KeptBackend {
  readonly route: string;
  readonly pool: PlainPool;
  readonly plain: PlainBackend;
}

export interface KeeperOptions {
  /** All of them, those without a number too. */
  readonly backends: readonly KeptBackend[];
  readonly resolver: ResolverSettings;
  readonly guard: AddressGuard;
  readonly ledger: BackendLedger;
  readonly addresses: AddressBook;
  /** The ledger's clock. */
  readonly nowMs: () => number;
}

/** Where it all goes. */
export interface KeeperReports {
  readonly publish: (addresses: readonly PublishedAddresses[]) => void;
  /** Ends the relays to a backend. */
  readonly endBackend: (backend: number) => void;
  readonly changed: (change: BackendChange) => void;
  readonly notice: (notice: Notice) => void;
}

export class BackendKeeper {
  readonly names: AddressCache;
  readonly #options: KeeperOptions;
  readonly #reports: KeeperReports;
  readonly #publisher: AddressPublisher;
  readonly #checker: HealthChecker<KeptBackend>;
  readonly #ejections: EjectionWatch;
  /** Those that have a number, in the order of their numbers. */
  readonly #tracked: readonly KeptBackend[];
  /** The names of the backends of each route. */
  readonly #hosts = new Map<string, string[]>();

  constructor(options: KeeperOptions, reports: KeeperReports) {
    const { backends, guard, ledger, addresses } = options;
    this.#options = options;
    this.#reports = reports;
    this.#publisher = new AddressPublisher({
      backends: backends.map(({ plain }) => plain.backend),
      guard,
      publish: published => {
        addresses.update(published);
        reports.publish(published);
      },
    });
    this.names = new AddressCache(options.resolver, {
      onChange: (host, found) => this.#publisher.change(host, found),
      onTrouble: (host, code) => reports.notice(describeTrouble(host, code)),
    });
    this.#checker = new HealthChecker(
      backends.flatMap(owner =>
        owner.pool.health === null ? [] : [{ owner, health: owner.pool.health, proxy: owner.plain.proxy }],
      ),
      {
        locate: (owner, timeoutMs) => this.#locate(owner, timeoutMs),
        changed: (owner, problem) => this.#onChecked(owner, problem),
        expires: (owner, expiresAtMs) => this.#warnOfExpiry(owner, expiresAtMs),
      },
    );
    for (const { route, plain } of backends) {
      const host = lookUpName(plain.backend);
      if (host !== null) this.#hosts.set(route, [...(this.#hosts.get(route) ?? []), host]);
    }
    const tracked = backends.filter(({ plain }) => plain.id >= 0);
    this.#tracked = tracked;
    this.#ejections = new EjectionWatch(ledger, options.nowMs, {
      ejected: (id, forMs) => this.#announce(tracked[id], 'ejected', `for ${seconds(forMs)}s`),
      returned: id => this.#announce(tracked[id], 'returned', null),
    });
  }

  start(): void {
    this.names.watch(this.#publisher.hosts);
    this.#checker.start();
    this.#ejections.start();
  }

  close(): void {
    this.names.close();
    this.#checker.close();
    this.#ejections.close();
  }

  /** All backends whose connections are counted, as they are now. */
  states(): readonly BackendState[] {
    const { ledger } = this.#options;
    return this.#tracked.map(({ route, plain: { id, backend } }) => {
      const state = ledger.isDown(id) ? 'down' : ledger.isEjected(id) ? 'ejected' : 'up';
      const { open, taken, failed, ejections } = ledger.counts(id);
      return { route, backend: formatBackend(backend), state, open, dialed: taken, failed, ejections };
    });
  }

  /** Connections of a route could connect to nothing: where its names lead may have changed. */
  dialFailed(route: string): void {
    for (const host of this.#hosts.get(route) ?? []) this.names.recheck(host);
  }

  async #locate({ plain: { backend } }: KeptBackend, timeoutMs: number): Promise<readonly Endpoint[]> {
    const literal = literalEndpoint(backend);
    if (literal !== null) return [literal];
    const found = await this.names.resolve(lookUpName(backend) ?? '', { timeoutMs, fromClient: false });
    return this.#options.guard.filter(dialOrder(found, portOf(backend)), false);
  }

  #onChecked(owner: KeptBackend, problem: string | null): void {
    const { id } = owner.plain;
    this.#options.ledger.setDown(id, problem !== null);
    this.#announce(owner, problem === null ? 'up' : 'down', problem);
    if (problem !== null && owner.pool.onDown === 'close') this.#reports.endBackend(id);
  }

  #warnOfExpiry({ route, plain }: KeptBackend, expiresAtMs: number): void {
    const day = new Date(expiresAtMs).toISOString().slice(0, 10);
    const message = `the certificate of backend ${formatBackend(plain.backend)} of route ${route} expires on ${day}`;
    this.#reports.notice({ level: 'warn', message });
  }

  #announce(owner: KeptBackend | undefined, state: BackendChange['state'], detail: string | null): void {
    if (owner === undefined) return;
    const change: BackendChange = {
      route: owner.route,
      backend: formatBackend(owner.plain.backend),
      state,
      detail,
    };
    this.#reports.notice(describeChange(change));
    this.#reports.changed(change);
  }
}

const WORDS: Readonly<Record<BackendChange['state'], string>> = {
  up: 'is up again',
  down: 'is down',
  ejected: 'keeps failing and is left out',
  returned: 'is used again',
};

function describeChange({ route, backend, state, detail }: BackendChange): Notice {
  const told = state === 'ejected' ? ` ${detail}` : detail === null ? '' : `: ${detail}`;
  return {
    level: state === 'down' || state === 'ejected' ? 'warn' : 'info',
    message: `backend ${backend} of route ${route} ${WORDS[state]}${told}`,
  };
}

function describeTrouble(host: string, code: string | null): Notice {
  return code === null
    ? { level: 'info', message: `the backend name ${host} leads somewhere again` }
    : {
        level: 'warn',
        message: `the backend name ${host} leads nowhere (${code}): its connections fail until it does`,
      };
}

function seconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}
