/**
 * Where the addresses of a name come from: localhost itself, the hosts file, then DNS or the system. Remembers no
 * answer; that is the address cache's part.
 */
import { isIP } from 'node:net';
import {
  DNS_CLIENT_TRIES,
  DNS_TRIES,
  HOSTS_TTL_MS,
  RESOLUTION_DELAY_MS,
  RESOLV_CONF_BYTES_MAX,
  SERVICE_TTL_MS,
} from '../limits.ts';
import { createDnsClient } from './dns-client.ts';
import type { AddressRecords, DnsClient, ServiceRecord } from './dns-client.ts';
import { createFamilyOrder, wantedFamilies } from './family-order.ts';
import type { OrderFamilies } from './family-order.ts';
import { followFile } from './followed-file.ts';
import type { FollowedFile } from './followed-file.ts';
import { followHostsFile } from './hosts-file.ts';
import type { Hosts } from './hosts-file.ts';
import { SERVICE_PREFIX } from './names.ts';
import type { LookUp, LookUpAnswer, LookUpQuestion, NameSource, ResolverSettings } from './names.ts';
import { parseResolvConf, searchNames } from './resolv-conf.ts';
import type { ResolvConf } from './resolv-conf.ts';
import { createSystemLookUp } from './system-look-up.ts';
import type { AskSystem } from './system-look-up.ts';
import { within } from './within.ts';

export interface NameSourceOptions {
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Stand-ins of tests. */
  readonly resolvConf?: string;
  /** In place of the servers that the system is set up with. */
  readonly systemServers?: readonly string[];
  readonly platform?: NodeJS.Platform;
  readonly askSystem?: AskSystem;
}

/** These ask different servers for different names or networks, in ways only their own look-up knows. */
const SYSTEM_LOOK_UP_PLATFORMS: ReadonlySet<NodeJS.Platform> = new Set(['darwin', 'win32']);
const LOOPBACK = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
] as const;

export function createNameSource(settings: ResolverSettings, options: NameSourceOptions): NameSource {
  return new ComposedSource(settings, options);
}

/** One look-up: what it has under way, and whether its time is over. */
class Job {
  isOver = false;
  readonly question: LookUpQuestion;
  readonly #started: Promise<unknown>[] = [];

  constructor(question: LookUpQuestion) {
    this.question = question;
  }

  track<T>(promise: Promise<T>): Promise<T> {
    this.#started.push(promise);
    return promise;
  }

  async allOver(): Promise<void> {
    await Promise.allSettled(this.#started);
  }
}

class ComposedSource implements NameSource {
  readonly #settings: ResolverSettings;
  readonly #hosts: FollowedFile<Hosts>;
  readonly #resolvConf: FollowedFile<ResolvConf>;
  readonly #order: OrderFamilies;
  readonly #askSystem: AskSystem;
  readonly #usesSystem: boolean;
  /** Names that clients chose have a client of their own, so that theirs stand in nobody's way. */
  readonly #clients: { readonly configured: DnsClient; readonly chosen: DnsClient };

  constructor(settings: ResolverSettings, options: NameSourceOptions) {
    const { now, resolvConf, systemServers = null, platform, askSystem } = options;
    const { servers, timeoutMs } = settings;
    this.#settings = settings;
    this.#hosts = followHostsFile(settings.hostsFile, now);
    this.#order = createFamilyOrder(settings.family, now);
    this.#askSystem = askSystem ?? createSystemLookUp();
    this.#usesSystem =
      servers === 'system' ||
      (servers === 'auto' && SYSTEM_LOOK_UP_PLATFORMS.has(platform ?? process.platform));
    const chosen = typeof servers === 'string' ? systemServers : servers;
    this.#clients = {
      configured: createDnsClient({ servers: chosen, timeoutMs, tries: DNS_TRIES }),
      chosen: createDnsClient({ servers: chosen, timeoutMs, tries: DNS_CLIENT_TRIES }),
    };
    this.#resolvConf = followFile({
      path: resolvConf ?? '/etc/resolv.conf',
      bytesMax: RESOLV_CONF_BYTES_MAX,
      parse: text => {
        this.#clients.configured.renew();
        this.#clients.chosen.renew();
        return parseResolvConf(text);
      },
      now,
    });
  }

  lookUp(question: LookUpQuestion): LookUp {
    const job = new Job(question);
    const found = this.#find(job).catch((error: unknown): LookUpAnswer => ({
      kind: 'failed',
      code: String(error),
    }));
    const answer = within(found, this.#settings.timeoutMs).then((inTime): LookUpAnswer => {
      job.isOver = true;
      return inTime ?? { kind: 'failed', code: 'timeout' };
    });
    return { answer, over: found.then(() => job.allOver()) };
  }

  close(): void {
    this.#clients.configured.close();
    this.#clients.chosen.close();
  }

  async #find(job: Job): Promise<LookUpAnswer> {
    const { host } = job.question;
    if (host.startsWith(SERVICE_PREFIX))
      return await this.#findService(host.slice(SERVICE_PREFIX.length), job);
    const found = await this.#findHost(host, job);
    return found.kind === 'found' ? toAnswer(found) : found;
  }

  /** Addresses of a configured or chosen name, or of an SRV record's target. */
  async #findHost(name: string, job: Job, isWhole = job.question.fromClient): Promise<AddressRecords> {
    // getaddrinfo would take 127.1 for an address: what looks like one is never a name here.
    if (isIP(name) !== 0) return { kind: 'none', code: 'address-literal' };
    const hosts = await this.#hosts.read();
    const fixed = hosts.get(name) ?? (isLocalhost(name) ? LOOPBACK : null);
    // RFC 6761 section 6.4: such names lead nowhere, and nobody need be asked.
    if (fixed === null && name.endsWith('.invalid')) return { kind: 'none', code: 'ENOTFOUND' };
    const found: AddressRecords =
      fixed === null
        ? await this.#ask(name, job, isWhole)
        : { kind: 'found', addresses: fixed, ttlMs: HOSTS_TTL_MS };
    if (found.kind !== 'found') return found;
    const addresses = this.#order(found.addresses);
    return addresses.length === 0 ? { kind: 'none', code: 'no-address' } : { ...found, addresses };
  }

  async #ask(name: string, job: Job, isWhole: boolean): Promise<AddressRecords> {
    if (this.#usesSystem) return await this.#system(name, job);
    if (this.#settings.servers !== 'auto') return await this.#records(name, job);
    const conf = await this.#resolvConf.read();
    if (conf.nameservers.length === 0 || isMulticastName(name)) return await this.#system(name, job);
    const found = await this.#search(isWhole ? [name] : searchNames(name, conf), job);
    // What DNS does not know of bare names, the system may: this machine's own name, NetBIOS and their like.
    const isBare = !isWhole && !name.includes('.');
    return found.kind !== 'found' && isBare ? await this.#system(name, job) : found;
  }

  /** The first of these names that has addresses. A failure on the way counts if none has (as in glibc). */
  async #search(names: readonly string[], job: Job): Promise<AddressRecords> {
    let outcome: AddressRecords = { kind: 'none', code: 'ENOTFOUND' };
    for (const name of names) {
      if (job.isOver) break;
      const found = await this.#records(name, job);
      if (found.kind === 'found') return found;
      if (outcome.kind === 'none') outcome = found;
    }
    return outcome;
  }

  /** A and AAAA records together; if somebody waits, one kind waits for the other a moment only (RFC 8305 section 3). */
  async #records(name: string, job: Job): Promise<AddressRecords> {
    const { fromClient, urgent } = job.question;
    const client = fromClient ? this.#clients.chosen : this.#clients.configured;
    const got: AddressRecords[] = [];
    const asked = wantedFamilies(this.#settings.family).map(async (family, index) => {
      const records = await job.track(client.addresses(name, family));
      got[index] = records;
      if (records.kind !== 'found') throw new Error(records.code);
    });
    const all = Promise.allSettled(asked);
    const isAnyFound = await Promise.any(asked).then(
      () => true,
      () => false,
    );
    if (isAnyFound && urgent) await within(all, RESOLUTION_DELAY_MS);
    else await all;
    return combine(asked.map((_, index) => got[index] ?? { kind: 'failed', code: 'timeout' }));
  }

  async #system(name: string, job: Job): Promise<AddressRecords> {
    const { fromClient } = job.question;
    return await job.track(this.#askSystem({ name, fromClient, isOver: () => job.isOver }));
  }

  async #findService(name: string, job: Job): Promise<LookUpAnswer> {
    const records = await job.track(this.#clients.configured.services(name));
    if (records.kind !== 'found') return records;
    const found = await Promise.all(
      records.services.map(async service => ({
        service,
        records: await this.#findHost(service.host, job, true),
      })),
    );
    return combineServices(found);
  }
}

/** Addresses of all families, with the TTL of the shortest. An incomplete answer is asked for again soon. */
function combine(records: readonly AddressRecords[]): AddressRecords {
  const found = records.filter(each => each.kind === 'found');
  const failed = records.find(each => each.kind === 'failed');
  const none = records.find(each => each.kind === 'none');
  if (found.length === 0) {
    const isNoName = records.some(each => each.kind === 'none' && each.code === 'ENOTFOUND');
    if (isNoName) return { kind: 'none', code: 'ENOTFOUND' };
    return failed ?? none ?? { kind: 'none', code: 'ENODATA' };
  }
  const ttlMs = failed === undefined ? Math.min(...found.map(each => each.ttlMs)) : 0;
  return { kind: 'found', addresses: found.flatMap(each => each.addresses), ttlMs };
}

interface FoundService {
  readonly service: ServiceRecord;
  readonly records: AddressRecords;
}

function combineServices(all: readonly FoundService[]): LookUpAnswer {
  const failed = all.map(({ records }) => records).find(records => records.kind === 'failed');
  const targets = all.flatMap(({ service: { port, priority, weight }, records }) =>
    records.kind === 'found' ? [{ port, priority, weight, addresses: records.addresses }] : [],
  );
  if (targets.length === 0) return failed ?? { kind: 'none', code: 'no-address' };
  const ttls = all.flatMap(({ records }) => (records.kind === 'found' ? [records.ttlMs] : []));
  return { kind: 'found', targets, ttlMs: failed === undefined ? Math.min(SERVICE_TTL_MS, ...ttls) : 0 };
}

function toAnswer({ addresses, ttlMs }: Extract<AddressRecords, { kind: 'found' }>): LookUpAnswer {
  return { kind: 'found', targets: [{ port: null, priority: 0, weight: 1, addresses }], ttlMs };
}

/** RFC 6761 section 6.3: never asked of anybody. */
function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** `name.local` belongs to multicast DNS (RFC 6762 section 3); longer names there are usually a cluster's own. */
function isMulticastName(name: string): boolean {
  return /^[^.]+\.local$/.test(name);
}
