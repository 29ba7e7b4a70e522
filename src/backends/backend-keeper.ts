/**
 * What the main thread does for the backends, whoever relays to them: it keeps their addresses known, checks them, and
 * tells what becomes of them.
 */
import { isDeepStrictEqual } from 'node:util';
import { RESOLVER_REST_MS } from '../limits.ts';
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
import type { HealthProgress } from './health-checker.ts';
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

/** What a reload replaces. */
export interface KeeperPlan {
  /** All of them, those without a number too. */
  readonly backends: readonly KeptBackend[];
  readonly resolver: ResolverSettings;
  readonly guard: AddressGuard;
}

export interface KeeperOptions extends KeeperPlan {
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
  #names: AddressCache;
  /** Those of earlier resolvers, with when they are closed. */
  readonly #retired = new Map<AddressCache, NodeJS.Timeout>();
  #options: KeeperOptions;
  readonly #reports: KeeperReports;
  #publisher: AddressPublisher;
  #checker: HealthChecker<KeptBackend>;
  readonly #ejections: EjectionWatch;
  /** Those that have a number, by it. */
  #tracked: ReadonlyMap<number, KeptBackend>;
  /** The names of the backends of each route. */
  #hosts: ReadonlyMap<string, readonly string[]>;

  constructor(options: KeeperOptions, reports: KeeperReports) {
    this.#options = options;
    this.#reports = reports;
    this.#publisher = this.#createPublisher();
    this.#names = this.#createNames();
    this.#checker = this.#createChecker(new Map());
    this.#hosts = hostsOf(options.backends);
    this.#tracked = trackedOf(options.backends);
    this.#ejections = new EjectionWatch(options.ledger, options.nowMs, {
      ejected: (id, forMs) => this.#announce(this.#tracked.get(id), 'ejected', `for ${seconds(forMs)}s`),
      returned: id => this.#announce(this.#tracked.get(id), 'returned', null),
    });
  }

  get names(): AddressCache {
    return this.#names;
  }

  start(): void {
    this.#names.watch(this.#publisher.hosts);
    this.#checker.start();
    this.#ejections.start();
  }

  /** Looks after other backends from now on. What is known of those that stay is kept. */
  update(plan: KeeperPlan): void {
    const before = { publisher: this.#publisher, names: this.#names, checker: this.#checker };
    const sameResolver = isDeepStrictEqual(plan.resolver, this.#options.resolver);
    this.#options = { ...this.#options, ...plan };
    this.#publisher = this.#createPublisher();
    if (!sameResolver) this.#names = this.#createNames();
    const tracked = trackedOf(plan.backends);
    this.#checker = this.#createChecker(before.checker.progress());
    before.checker.close();
    for (const { pool, plain } of tracked.values()) {
      if (pool.health === null) this.#options.ledger.setDown(plain.id, false);
    }
    this.#tracked = tracked;
    this.#hosts = hostsOf(plan.backends);
    this.#publish(before.publisher.withdrawn(this.#publisher));
    if (sameResolver) for (const host of this.#publisher.hosts) this.#republish(host);
    else this.#retire(before.names);
    this.start();
  }

  close(): void {
    for (const [names, timer] of this.#retired) {
      clearTimeout(timer);
      names.close();
    }
    this.#names.close();
    this.#checker.close();
    this.#ejections.close();
  }

  /** All backends whose connections are counted, as they are now. */
  states(): readonly BackendState[] {
    const { ledger } = this.#options;
    return [...this.#tracked.values()].map(({ route, plain: { id, backend } }) => {
      const state = ledger.isDown(id) ? 'down' : ledger.isEjected(id) ? 'ejected' : 'up';
      const { open, taken, failed, ejections } = ledger.counts(id);
      return { route, backend: formatBackend(backend), state, open, dialed: taken, failed, ejections };
    });
  }

  /** Connections of a route could connect to nothing: where its names lead may have changed. */
  dialFailed(route: string): void {
    for (const host of this.#hosts.get(route) ?? []) this.names.recheck(host);
  }

  /** Connections may be waiting for its answers. */
  #retire(names: AddressCache): void {
    names.watch([]);
    const timer = setTimeout(() => {
      this.#retired.delete(names);
      names.close();
    }, RESOLVER_REST_MS);
    this.#retired.set(names, timer.unref());
  }

  #createPublisher(): AddressPublisher {
    const { backends, guard } = this.#options;
    return new AddressPublisher({
      backends: backends.map(({ plain }) => plain.backend),
      guard,
      publish: published => this.#publish(published),
    });
  }

  #createNames(): AddressCache {
    return new AddressCache(this.#options.resolver, {
      onChange: (host, found) => this.#publisher.change(host, found),
      onTrouble: (host, code) => {
        // What an earlier resolver has found is used until then.
        if (code !== null) this.#publisher.change(host, null);
        this.#reports.notice(describeTrouble(host, code));
      },
    });
  }

  #createChecker(before: ReadonlyMap<KeptBackend, HealthProgress>): HealthChecker<KeptBackend> {
    const known = new Map([...before].map(([owner, progress]) => [owner.plain.id, { owner, progress }]));
    const { backends } = this.#options;
    return new HealthChecker(
      backends.flatMap(owner =>
        owner.pool.health === null ? [] : [{ owner, health: owner.pool.health, proxy: owner.plain.proxy }],
      ),
      {
        locate: (owner, timeoutMs) => this.#locate(owner, timeoutMs),
        changed: (owner, problem) => this.#onChecked(owner, problem),
        expires: (owner, expiresAtMs) => this.#warnOfExpiry(owner, expiresAtMs),
      },
      { resume: owner => resumeFrom(known.get(owner.plain.id), owner) },
    );
  }

  #publish(published: readonly PublishedAddresses[]): void {
    if (published.length === 0) return;
    this.#options.addresses.update(published);
    this.#reports.publish(published);
  }

  /** Other ports may want it, or another guard refuse it. */
  #republish(host: string): void {
    const known = this.#names.peek(host);
    if (known !== null) this.#publisher.change(host, known);
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

function trackedOf(backends: readonly KeptBackend[]): ReadonlyMap<number, KeptBackend> {
  const tracked = backends.filter(({ plain }) => plain.id >= 0);
  return new Map(tracked.map(backend => [backend.plain.id, backend]));
}

function hostsOf(backends: readonly KeptBackend[]): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const { route, plain } of backends) {
    const host = lookUpName(plain.backend);
    if (host === null) continue;
    const known = hosts.get(route);
    if (known === undefined) hosts.set(route, [host]);
    else known.push(host);
  }
  return hosts;
}

/** A backend whose checks are others now is checked at once, and stays what it is until then. */
function resumeFrom(
  before: { readonly owner: KeptBackend; readonly progress: HealthProgress } | undefined,
  { pool, plain }: KeptBackend,
): HealthProgress | null {
  if (before === undefined) return null;
  const { owner, progress } = before;
  const isSame =
    isDeepStrictEqual(owner.pool.health, pool.health) && isDeepStrictEqual(owner.plain.proxy, plain.proxy);
  return isSame ? progress : { ...progress, against: 0, dueAtMs: 0 };
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
