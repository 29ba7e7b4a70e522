/** Access rules, limits and times of routes, listeners and the whole proxy, as decisions use them. */
import {
  HELLO_PACE_BYTES_PER_S,
  HELLO_PACE_GRACE_MS,
  PENDING_HELLOS,
  PENDING_HELLOS_PER_CLIENT,
} from '../limits.ts';
import type { PlainClients } from '../limiting/access-rules.ts';
import type { Rate, SubjectLimits } from '../limiting/limit-table.ts';
import type { PlainLimits } from '../limiting/limiter.ts';
import type { HelloPace, PendingLimits } from '../snapshot.ts';
import type { RelaySpans } from '../verdict.ts';
import { parseDuration } from './duration.ts';
import { parseNetwork } from './network.ts';
import type { ParsedRate } from './rate.ts';
import { parseBandwidth, parsePace, parseRate } from './rate.ts';
import { asObject, asTexts } from './read-value.ts';

/** The times of relays where none are given. */
export const ENDLESS: RelaySpans = { idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 };

type Values = Readonly<Record<string, unknown>>;

/** Null if every client is welcome. */
export function readClients(value: unknown): PlainClients | null {
  const { allow, deny } = asObject(value);
  const clients = { allow: readNetworks(allow), deny: readNetworks(deny) };
  return clients.allow.length + clients.deny.length === 0 ? null : clients;
}

/** Networks in CIDR form; those that cannot be read are left out, and told by the schema. */
export function readNetworks(value: unknown): string[] {
  return asTexts(value, []).flatMap(({ text }) => {
    const parsed = parseNetwork(text);
    return parsed.ok ? [parsed.network] : [];
  });
}

/** Null if nothing is limited. */
export function readLimits(value: unknown): PlainLimits | null {
  const given = asObject(value);
  const limits = {
    all: readSubject(given, ''),
    perClient: readSubject(given, 'PerClient'),
    perName: readSubject(given, 'PerName'),
  };
  return Object.values(limits).every(subject => subject === null) ? null : limits;
}

export function readPending(value: unknown): PendingLimits {
  const { pendingHellos, pendingHellosPerClient, helloPace } = asObject(value);
  return {
    all: typeof pendingHellos === 'number' ? pendingHellos : PENDING_HELLOS,
    perClient:
      typeof pendingHellosPerClient === 'number' ? pendingHellosPerClient : PENDING_HELLOS_PER_CLIENT,
    pace: readPace(helloPace),
  };
}

/** Times of relays; those that are not given are `defaults`. */
export function readSpans(value: unknown, defaults: RelaySpans): RelaySpans {
  const { idle, halfClose, lifetime } = asObject(value);
  return {
    idleMs: readSpan(idle, defaults.idleMs),
    halfCloseMs: readSpan(halfClose, defaults.halfCloseMs),
    lifetimeMs: readSpan(lifetime, defaults.lifetimeMs),
  };
}

function readSubject(given: Values, suffix: string): SubjectLimits | null {
  const connections = given[`connections${suffix}`];
  const limits = {
    connections: typeof connections === 'number' ? connections : null,
    rate: readRate(given[`rate${suffix}`], parseRate),
    bandwidth: readRate(given[`bandwidth${suffix}`], parseBandwidth),
  };
  return Object.values(limits).every(limit => limit === null) ? null : limits;
}

function readRate(value: unknown, parse: (text: string) => ParsedRate): Rate | null {
  if (typeof value !== 'string') return null;
  const parsed = parse(value);
  return parsed.ok ? parsed.rate : null;
}

function readPace(value: unknown): HelloPace | null {
  const rate = readRate(value, parsePace);
  const bytesPerSecond = rate?.perSecond ?? HELLO_PACE_BYTES_PER_S;
  return bytesPerSecond === 0 ? null : { graceMs: HELLO_PACE_GRACE_MS, bytesPerSecond };
}

function readSpan(value: unknown, defaultMs: number): number {
  if (typeof value !== 'string') return defaultMs;
  const parsed = parseDuration(value);
  return parsed.ok ? parsed.ms : defaultMs;
}
