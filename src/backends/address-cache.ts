/**
 * The addresses of names, kept for as long as DNS says, within bounds: fetched anew before they expire while a name is
 * in use, and used for longer while nobody can say anything new. A connection waits only where nothing usable is known.
 */
import { performance } from 'node:perf_hooks';
import type { NameStats } from '../events.ts';
import {
  ABSENT_NAMES_MAX,
  CLIENT_LOOKUPS_MAX,
  CLIENT_NAMES_MAX,
  CLIENT_REFRESHES_MAX,
  CONFIGURED_NAMES_MAX,
  DURATION_MS_MAX,
  LOOKUPS_MAX,
  LOOKUP_RETRY_MS,
  LOOKUP_RETRY_MS_MAX,
  REFRESHES_MAX,
  REFRESH_JITTER,
  REFRESH_SHARE,
  STALE_REFRESH_MS,
  STALE_WAIT_MS,
} from '../limits.ts';
import { createEntry, textOf } from './cache-entry.ts';
import type { CacheEntry } from './cache-entry.ts';
import { NameShelf } from './name-shelf.ts';
import { createNameSource } from './name-source.ts';
import { ResolveError } from './names.ts';
import type {
  CachedAddresses,
  LookUpAnswer,
  NameResolver,
  NameSource,
  ResolveOptions,
  ResolverSettings,
} from './names.ts';
import { within } from './within.ts';

/** A monotonic clock in milliseconds, and timers by it that keep no process alive. */
export interface CacheClock {
  readonly now: () => number;
  /** Returns how to call it off. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

export interface AddressCacheOptions {
  /** Stand-ins of tests. */
  readonly source?: NameSource;
  readonly clock?: CacheClock;
  /** A watched name leads somewhere else, or (null) nowhere any more. Called with its first addresses too. */
  readonly onChange?: (host: string, addresses: CachedAddresses | null) => void;
  /** A watched name leads nowhere, and why; null: it does again. */
  readonly onTrouble?: (host: string, code: string | null) => void;
}

type Counter = Exclude<
  keyof NameStats,
  'configuredNames' | 'clientNames' | 'absentNames' | 'lookUpsUnderWay' | 'clientLookUpsUnderWay'
>;

/** What a look-up counts against. */
class Budget {
  underWay = 0;
  readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  get isSpent(): boolean {
    return this.underWay >= this.max;
  }
}

export class AddressCache implements NameResolver {
  readonly #options: AddressCacheOptions;
  readonly #clock: CacheClock;
  readonly #settings: ResolverSettings;
  readonly #source: NameSource;
  readonly #configured = new NameShelf<CacheEntry>(CONFIGURED_NAMES_MAX, entry => entry.watched);
  readonly #chosen = new NameShelf<CacheEntry>(CLIENT_NAMES_MAX);
  readonly #absent = new NameShelf<CacheEntry>(ABSENT_NAMES_MAX);
  readonly #budgets = {
    configured: new Budget(LOOKUPS_MAX),
    refresh: new Budget(REFRESHES_MAX),
    client: new Budget(CLIENT_LOOKUPS_MAX),
    clientRefresh: new Budget(CLIENT_REFRESHES_MAX),
  };
  /** Watched names that are due, while REFRESHES_MAX others are under way. */
  readonly #due = new Set<CacheEntry>();
  readonly #counts: Record<Counter, number> = {
    hits: 0,
    staleHits: 0,
    negativeHits: 0,
    waits: 0,
    lookUps: 0,
    found: 0,
    none: 0,
    failed: 0,
    refused: 0,
    evicted: 0,
    changes: 0,
  };
  #isClosed = false;

  constructor(settings: ResolverSettings, options: AddressCacheOptions = {}) {
    const { clock = systemClock, source } = options;
    this.#settings = settings;
    this.#options = options;
    this.#clock = clock;
    this.#source = source ?? createNameSource(settings, { now: clock.now });
  }

  /** What a configured name leads to, as far as it is known; null if it has to be resolved. Never waits. */
  peek(host: string): CachedAddresses | null {
    const entry = this.#configured.peek(host);
    return entry !== undefined && this.#isUsable(entry) ? entry.addresses : null;
  }

  async resolve(host: string, { timeoutMs, fromClient }: ResolveOptions): Promise<CachedAddresses> {
    const entry = this.#find(host, fromClient) ?? createEntry(host, fromClient);
    const { addresses, failure } = entry;
    const now = this.#clock.now();
    if (addresses !== null && this.#isUsable(entry)) {
      this.#counts[now < entry.freshUntilMs ? 'hits' : 'staleHits']++;
      if (now >= entry.refreshAtMs) this.#refresh(entry);
      return addresses;
    }
    if (addresses === null && failure !== null && now < failure.untilMs) {
      this.#counts.negativeHits++;
      throw new ResolveError(failure.code);
    }
    return await this.#wait(entry, timeoutMs);
  }

  /**
   * From now on these configured names, and no others, are looked up before their addresses expire, used or not. Of
   * more than CONFIGURED_NAMES_MAX - 1 the rest is looked up when it is used.
   */
  watch(hosts: Iterable<string>): void {
    const wanted = new Set([...new Set(hosts)].slice(0, CONFIGURED_NAMES_MAX - 1));
    for (const entry of this.#configured) {
      if (wanted.has(entry.host)) continue;
      entry.watched = false;
      callOff(entry);
      this.#due.delete(entry);
    }
    for (const host of wanted) {
      const entry = this.#configured.peek(host) ?? createEntry(host, false);
      if (entry.watched) continue;
      entry.watched = true;
      this.#shelve(entry);
      this.#due.add(entry);
      if (entry.addresses !== null) this.#announce(entry, null);
    }
    this.#lookUpDue();
  }

  /** Looks a watched name up before its time, its addresses being of no use; not if it was asked just now. */
  recheck(host: string): void {
    const entry = this.#configured.peek(host);
    if (entry?.watched !== true || this.#clock.now() < entry.answeredAtMs + this.#settings.ttlMinMs) return;
    this.#refresh(entry);
  }

  /** Counts since the cache was created, and what it holds now. */
  stats(): NameStats {
    const { configured, refresh, client, clientRefresh } = this.#budgets;
    return {
      ...this.#counts,
      configuredNames: this.#configured.size,
      clientNames: this.#chosen.size,
      absentNames: this.#absent.size,
      lookUpsUnderWay: configured.underWay + refresh.underWay,
      clientLookUpsUnderWay: client.underWay + clientRefresh.underWay,
    };
  }

  /** Looks nothing up any more, and calls nobody back. */
  close(): void {
    this.#isClosed = true;
    this.#due.clear();
    for (const entry of this.#configured) callOff(entry);
    this.#source.close();
  }

  #find(host: string, fromClient: boolean): CacheEntry | undefined {
    if (!fromClient) return this.#configured.use(host);
    return this.#chosen.use(host) ?? this.#absent.use(host);
  }

  /** Fresh; or expired, but not for long, or with nobody to say anything newer. */
  #isUsable({ addresses, freshUntilMs, staleUntilMs, failure, watched }: CacheEntry): boolean {
    const now = this.#clock.now();
    if (addresses === null) return false;
    if (now < freshUntilMs) return true;
    if (now >= staleUntilMs) return false;
    return watched || now < freshUntilMs + STALE_REFRESH_MS || (failure !== null && now < failure.untilMs);
  }

  async #wait(entry: CacheEntry, timeoutMs: number): Promise<CachedAddresses> {
    const isStale = entry.addresses !== null && this.#clock.now() < entry.staleUntilMs;
    const running = entry.running ?? this.#start(entry, this.#budgetOf(entry, true));
    let code = 'too-many-lookups';
    if (running !== null) {
      this.#counts.waits++;
      const answer = await within(running, isStale ? Math.min(timeoutMs, STALE_WAIT_MS) : timeoutMs);
      if (answer?.kind === 'found') return answer;
      if (answer?.kind === 'none') throw new ResolveError(answer.code);
      code = answer?.code ?? 'timeout';
    }
    if (!isStale || entry.addresses === null) throw new ResolveError(code);
    this.#counts.staleHits++;
    return entry.addresses;
  }

  /** Beside the connections that use what is known; not before its time after a failure. */
  #refresh(entry: CacheEntry): void {
    if (entry.running !== null || this.#clock.now() < (entry.failure?.untilMs ?? 0)) return;
    if (entry.watched) {
      this.#due.add(entry);
      this.#lookUpDue();
    } else void this.#start(entry, this.#budgetOf(entry, false));
  }

  #lookUpDue(): void {
    for (const entry of this.#due) {
      if (this.#budgets.refresh.isSpent) return;
      this.#due.delete(entry);
      if (entry.running === null) void this.#start(entry, this.#budgets.refresh);
    }
  }

  #budgetOf({ fromClient }: CacheEntry, urgent: boolean): Budget {
    const { configured, refresh, client, clientRefresh } = this.#budgets;
    if (urgent) return fromClient ? client : configured;
    return fromClient ? clientRefresh : refresh;
  }

  /** Null if there is no budget for it; the entry is kept only if there is. */
  #start(entry: CacheEntry, budget: Budget): Promise<LookUpAnswer> | null {
    if (this.#isClosed || budget.isSpent) {
      this.#counts.refused++;
      return null;
    }
    const { host, fromClient } = entry;
    const urgent = budget === this.#budgets.configured || budget === this.#budgets.client;
    budget.underWay++;
    this.#counts.lookUps++;
    this.#shelve(entry);
    const { answer, over } = this.#source.lookUp({ host, fromClient, urgent });
    const running = answer.then(given => {
      entry.running = null;
      this.#take(entry, given);
      return given;
    });
    entry.running = running;
    void over.then(() => {
      budget.underWay--;
      this.#lookUpDue();
    });
    return running;
  }

  #take(entry: CacheEntry, answer: LookUpAnswer): void {
    if (this.#isClosed) return;
    this.#counts[answer.kind]++;
    const before = entry.addresses;
    entry.answeredAtMs = this.#clock.now();
    if (answer.kind === 'found') this.#keep(entry, answer);
    else this.#note(entry, answer);
    if (entry.fromClient) {
      (entry.addresses === null ? this.#chosen : this.#absent).remove(entry);
      this.#shelve(entry);
    }
    if (!entry.watched) return;
    this.#schedule(entry);
    this.#announce(entry, before);
  }

  #keep(entry: CacheEntry, { targets, ttlMs }: Extract<LookUpAnswer, { kind: 'found' }>): void {
    const { ttlMinMs, ttlMaxMs, staleMs } = this.#settings;
    const now = this.#clock.now();
    const keptMs = Math.min(Math.max(ttlMs, ttlMinMs), ttlMaxMs);
    entry.addresses = { targets };
    entry.refreshAtMs = now + keptMs * (REFRESH_SHARE - REFRESH_JITTER * Math.random());
    entry.freshUntilMs = now + keptMs;
    entry.staleUntilMs = entry.freshUntilMs + staleMs;
    entry.failure = null;
    entry.failuresInRow = 0;
  }

  /** A name that is gone is gone; one that nobody can tell about keeps its addresses for a while. */
  #note(entry: CacheEntry, { kind, code }: Exclude<LookUpAnswer, { kind: 'found' }>): void {
    const { negativeTtlMs } = this.#settings;
    const now = this.#clock.now();
    if (kind === 'none' || now >= entry.staleUntilMs) entry.addresses = null;
    const longestMs =
      entry.addresses === null ? Math.max(negativeTtlMs, LOOKUP_RETRY_MS) : LOOKUP_RETRY_MS_MAX;
    const retryMs = Math.min(LOOKUP_RETRY_MS * 2 ** Math.min(entry.failuresInRow, 10), longestMs);
    entry.failuresInRow = kind === 'none' ? 0 : entry.failuresInRow + 1;
    entry.failure = { code, untilMs: now + (kind === 'none' ? negativeTtlMs : retryMs) };
  }

  #schedule(entry: CacheEntry): void {
    const dueAtMs = entry.failure === null ? entry.refreshAtMs : entry.failure.untilMs;
    const delayMs = Math.max(dueAtMs - this.#clock.now(), LOOKUP_RETRY_MS / 2);
    callOff(entry);
    entry.callOff = this.#clock.after(delayMs, () => {
      this.#due.add(entry);
      this.#lookUpDue();
    });
    if (entry.addresses === null) return;
    const leftMs = Math.min(entry.staleUntilMs - this.#clock.now(), DURATION_MS_MAX);
    entry.callOffEnd = this.#clock.after(leftMs, () => this.#drop(entry));
  }

  /** Others use the addresses of watched names until they are told otherwise. */
  #drop(entry: CacheEntry): void {
    if (this.#clock.now() < entry.staleUntilMs) return;
    const before = entry.addresses;
    entry.addresses = null;
    this.#announce(entry, before);
  }

  #announce(entry: CacheEntry, before: CachedAddresses | null): void {
    const { onChange, onTrouble } = this.#options;
    if (textOf(before) !== textOf(entry.addresses)) {
      this.#counts.changes++;
      onChange?.(entry.host, entry.addresses);
    }
    const inTrouble = entry.addresses === null;
    if (inTrouble === entry.inTrouble) return;
    entry.inTrouble = inTrouble;
    onTrouble?.(entry.host, inTrouble ? (entry.failure?.code ?? 'timeout') : null);
  }

  #shelve(entry: CacheEntry): void {
    const shelf = !entry.fromClient
      ? this.#configured
      : entry.addresses === null
        ? this.#absent
        : this.#chosen;
    this.#counts.evicted += shelf.put(entry);
  }
}

function callOff(entry: CacheEntry): void {
  entry.callOff?.();
  entry.callOffEnd?.();
}

const systemClock: CacheClock = {
  now: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
