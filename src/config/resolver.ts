/** Who is asked for the addresses of names, and for how long answers are kept. */
import { isIP, isIPv6 } from 'node:net';
import { parsePort } from '../backends/backend-address.ts';
import { systemHostsFile } from '../backends/hosts-file.ts';
import type { FamilyPreference, ResolverSettings } from '../backends/names.ts';
import {
  DNS_SERVERS_MAX,
  LOOKUP_TIMEOUT_MS,
  NAME_TTL_MS_MAX,
  NAME_TTL_MS_MIN,
  NEGATIVE_TTL_MS,
  STALE_MS,
} from '../limits.ts';
import { parseDuration } from './duration.ts';
import { errorAt } from './findings.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { quote } from './plain-text.ts';
import { asObject, asTexts, isObject } from './read-value.ts';

export type ParsedServer =
  { readonly ok: true; readonly server: string } | { readonly ok: false; readonly message: string };

export const FAMILY_WORDS = [
  'auto',
  'ipv4-first',
  'ipv6-first',
  'ipv4-only',
  'ipv6-only',
] as const satisfies FamilyPreference[];
/** `hosts: none`. */
const NO_HOSTS_FILE = 'none';
const FORMS = 'write system, auto, 10.0.0.53, 10.0.0.53:5353, fd00::53 or "[fd00::53]:5353"';

/** Parses the address of a DNS server, with or without its port. */
export function parseDnsServer(text: string): ParsedServer {
  const [, bracketed, port] = /^\[([^\]]*)\](?::([0-9]+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed) || bracketed.includes('%'))
      return fail(`${quote(bracketed)} is not an IPv6 address`);
    return withPort(`[${bracketed}]`, port ?? '53', text);
  }
  if (isIP(text) === 4) return { ok: true, server: text };
  if (isIP(text) === 6 && !text.includes('%')) return { ok: true, server: `[${text}]:53` };
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(colon, 0));
  if (isIP(host) === 4) return withPort(host, text.slice(colon + 1), text);
  return fail(`${quote(text)} is not the address of a DNS server: ${FORMS}`);
}

/** As {@link parseDnsServer}, and the words that stand for a whole list. */
export function checkServers(text: string): ParsedServer {
  return isWord(text) ? { ok: true, server: text } : parseDnsServer(text);
}

/** An absolute path, or `none`. */
export function checkHostsFile(
  text: string,
): { readonly ok: true } | { readonly ok: false; readonly message: string } {
  if (text === NO_HOSTS_FILE || /^(?:\/|[A-Za-z]:\\)[^\0]*$/.test(text)) return { ok: true };
  return { ok: false, message: `${quote(text)} needs an absolute path, such as /etc/hosts, or none` };
}

/** What the values of a resolver say only together. */
export function findResolverProblems(input: unknown): Finding[] {
  const { resolver } = asObject(input);
  const { ttlMin, ttlMax } = asObject(resolver);
  const path: ProblemPath = isObject(resolver) ? ['resolver', 'servers'] : ['resolver'];
  const servers = asTexts(serversOf(resolver), path);
  const mixed = servers.find(({ text }) => isWord(text));
  const findings: Finding[] = [];
  if (servers.length > 1 && mixed !== undefined) {
    const message = `${quote(mixed.text)} stands for a whole list: give it alone, or addresses only`;
    findings.push(errorAt(mixed.path, message));
  }
  if (servers.length > DNS_SERVERS_MAX) {
    findings.push(errorAt(path, `${servers.length} DNS servers are too many: at most ${DNS_SERVERS_MAX}`));
  }
  if (readTime(ttlMin, NAME_TTL_MS_MIN) > readTime(ttlMax, NAME_TTL_MS_MAX)) {
    const [key, other] = ttlMin === undefined ? ['ttlMax', 'ttlMin'] : ['ttlMin', 'ttlMax'];
    const message = `ttlMin is longer than ttlMax: change it, or give ${other} too`;
    findings.push(errorAt(['resolver', key], message));
  }
  return findings;
}

/** The settings of a checked configuration. */
export function readResolver(resolver: unknown): ResolverSettings {
  const { family, timeout, ttlMin, ttlMax, negativeTtl, stale, hosts } = asObject(resolver);
  const servers = asTexts(serversOf(resolver), []).map(({ text }) => text);
  const [first = 'auto'] = servers;
  return {
    servers: isWord(first) ? first : servers.flatMap(readServer),
    family: FAMILY_WORDS.find(word => word === family) ?? 'auto',
    timeoutMs: readTime(timeout, LOOKUP_TIMEOUT_MS),
    ttlMinMs: readTime(ttlMin, NAME_TTL_MS_MIN),
    ttlMaxMs: readTime(ttlMax, NAME_TTL_MS_MAX),
    negativeTtlMs: readTime(negativeTtl, NEGATIVE_TTL_MS),
    staleMs: readTime(stale, STALE_MS),
    hostsFile: hosts === NO_HOSTS_FILE ? null : typeof hosts === 'string' ? hosts : systemHostsFile(),
  };
}

function serversOf(resolver: unknown): unknown {
  return isObject(resolver) ? resolver['servers'] : resolver;
}

function readServer(text: string): string[] {
  const parsed = parseDnsServer(text);
  return parsed.ok ? [parsed.server] : [];
}

function readTime(value: unknown, defaultMs: number): number {
  const parsed = typeof value === 'string' ? parseDuration(value) : null;
  return parsed?.ok === true ? parsed.ms : defaultMs;
}

function isWord(text: string): text is 'auto' | 'system' {
  return text === 'auto' || text === 'system';
}

function withPort(host: string, port: string, text: string): ParsedServer {
  return parsePort(port) === null
    ? fail(`${quote(text)} needs a port from 1 to 65535 behind its last colon, or none`)
    : { ok: true, server: `${host}:${Number(port)}` };
}

function fail(message: string): ParsedServer {
  return { ok: false, message };
}
