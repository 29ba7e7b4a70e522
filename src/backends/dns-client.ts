/** Questions to DNS servers through Node's own resolver (c-ares): never blocks a thread, knows TTLs. */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DNS_TIMEOUT_MS_MIN, NAME_ADDRESSES_MAX, SERVICE_TARGETS_MAX } from '../limits.ts';
import { parseConfigName } from '../wire/host-name.ts';
import type { ResolvedAddress } from './names.ts';

/** `none`: there is no such record, for sure; `failed`: nobody knows. */
export type Absence =
  { readonly kind: 'none'; readonly code: string } | { readonly kind: 'failed'; readonly code: string };

export type AddressRecords =
  | { readonly kind: 'found'; readonly addresses: readonly ResolvedAddress[]; readonly ttlMs: number }
  | Absence;

export interface ServiceRecord {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export type ServiceRecords =
  { readonly kind: 'found'; readonly services: readonly ServiceRecord[] } | Absence;

/** What it answers with is bounded and checked: servers are not trusted. No promise rejects. */
export interface DnsClient {
  /** A or AAAA records of a whole name. */
  addresses(name: string, family: 4 | 6): Promise<AddressRecords>;
  /** SRV records of a whole name. Node does not tell their TTL. */
  services(name: string): Promise<ServiceRecords>;
  /** Begins anew with the servers the system is set up with, if none were chosen. */
  renew(): void;
  /** Ends what is under way as failed. */
  close(): void;
}

/** RFC 2181 section 8: a TTL with its first bit set counts as zero. */
const TTL_S_MAX = 2 ** 31 - 1;
/** Codes of Node (nodejs.org/api/dns.html#error-codes) that say that there is no such name or record. */
const NONE_CODES = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

export interface DnsClientOptions {
  /** Null: those the system is set up with. */
  readonly servers: readonly string[] | null;
  /** About what one question may take in all. */
  readonly timeoutMs: number;
  /** How often each server is asked, with twice the patience each time (c-ares). */
  readonly tries: number;
}

export function createDnsClient({ servers, timeoutMs, tries }: DnsClientOptions): DnsClient {
  const patience = 2 ** tries - 1;
  const create = (): Resolver => {
    const count = Math.max((servers ?? new Resolver().getServers()).length, 1);
    const timeout = Math.max(Math.floor(timeoutMs / (count * patience)), DNS_TIMEOUT_MS_MIN);
    const made = new Resolver({ timeout, tries });
    if (servers !== null) made.setServers(servers);
    return made;
  };
  let resolver = create();

  return {
    async addresses(name, family) {
      try {
        const ask =
          family === 4 ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true });
        return readAddresses(await ask, family);
      } catch (error) {
        return absence(error);
      }
    },
    async services(name) {
      try {
        return readServices(await resolver.resolveSrv(name));
      } catch (error) {
        return absence(error);
      }
    },
    renew() {
      if (servers === null) resolver = create();
    },
    close: () => resolver.cancel(),
  };
}

function readAddresses(
  records: readonly { readonly address: string; readonly ttl: number }[],
  family: 4 | 6,
): AddressRecords {
  const sound = records.filter(({ address }) => isIP(address) === family).slice(0, NAME_ADDRESSES_MAX);
  if (sound.length === 0) return { kind: 'none', code: 'ENODATA' };
  const ttls = sound.map(({ ttl }) => (ttl >= 0 && ttl <= TTL_S_MAX ? ttl : 0));
  const addresses = sound.map(({ address }) => ({ address, family }));
  return { kind: 'found', addresses, ttlMs: Math.min(...ttls) * 1_000 };
}

interface SrvAnswer {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** A target of `.` says that the service is not available there (RFC 2782). */
function readServices(records: readonly SrvAnswer[]): ServiceRecords {
  const services = records
    .toSorted((a, b) => a.priority - b.priority)
    .flatMap(({ name, port, priority, weight }): ServiceRecord[] => {
      const parsed = parseConfigName(name);
      return parsed.ok && port > 0 ? [{ host: parsed.name, port, priority, weight }] : [];
    })
    .slice(0, SERVICE_TARGETS_MAX);
  return services.length === 0 ? { kind: 'none', code: 'no-service' } : { kind: 'found', services };
}

function absence(error: unknown): Absence {
  const code = errorCode(error);
  return { kind: NONE_CODES.has(code) ? 'none' : 'failed', code };
}

/** The code of a system's error, such as ENOTFOUND. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
