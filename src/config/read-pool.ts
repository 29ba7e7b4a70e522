/** The backends of a route, and how they share its connections. */
import { formatBackend, parseBackend } from '../backends/backend-address.ts';
import type { Backend } from '../backends/backend-address.ts';
import { BALANCES } from '../backends/plain-pool.ts';
import type { PlainBackend, PlainEjection, PlainHealth, PlainPool } from '../backends/plain-pool.ts';
import {
  EJECTION_BASE_MS,
  EJECTION_FAILURES,
  EJECTION_MAX_MS,
  HEALTH_EXPIRY_DAYS,
  HEALTH_FALL,
  HEALTH_INTERVAL_MS,
  HEALTH_RISE,
  HEALTH_TIMEOUT_MS,
  RETRIES,
} from '../limits.ts';
import type { RouteAction } from '../snapshot.ts';
import { parseConfigName } from '../wire/host-name.ts';
import { parseDuration } from './duration.ts';
import { errorAt } from './findings.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { quote } from './plain-text.ts';
import { findProxyOutProblems, readProxyOut } from './read-proxy.ts';
import { asObject, asPlaced, isObject } from './read-value.ts';

type Values = Readonly<Record<string, unknown>>;

/** Keys of a route that say something about its backends. */
const POOL_KEYS = ['balance', 'retry', 'eject', 'health', 'onDown', 'proxyProtocol', 'tlvs'] as const;

/** Those of them that hold for the backends a function names, too. */
const HEADER_KEYS: ReadonlySet<string> = new Set(['proxyProtocol', 'tlvs']);

/** The pool of a route with a single backend and nothing more. */
export function poolOfOne(backend: Backend): PlainPool {
  return poolOf([plainBackend(backend, {})], {}, '');
}

/** The pool as far as it can be read; null without a sound backend. Numbers are given by `numberBackends`. */
export function readPool(route: Values, patterns: readonly string[]): PlainPool | null {
  const entries = Array.isArray(route.backends) ? (route.backends as unknown[]) : [route.backend];
  const backends = entries.flatMap(entry => readBackend(entry, route) ?? []);
  return backends.length === 0 ? null : poolOf(backends, route, patterns[0] ?? '');
}

/** Gives a number to each backend that connections are counted of, over all pools. */
export function numberBackends(actions: readonly RouteAction[]): RouteAction[] {
  let next = 0;
  return actions.map(action => {
    if (action.kind !== 'relay') return action;
    const { pool } = action;
    const isAlone = pool.backends.length === 1 && pool.health === null;
    const backends = pool.backends.map((backend): PlainBackend => {
      return isAlone && backend.maxConnections === 0 ? backend : { ...backend, id: next++ };
    });
    return { ...action, pool: { ...pool, backends } };
  });
}

/** What is wrong between the keys of a pool, each of which is sound by itself. */
export function findPoolProblems(route: Values, action: RouteAction | null, path: ProblemPath): Finding[] {
  if (route.backend === undefined && route.backends === undefined) {
    const given = POOL_KEYS.filter(key => route[key] !== undefined);
    const isFunction = action?.kind === 'function';
    const idle = isFunction ? given.filter(key => !HEADER_KEYS.has(key)) : given;
    const fitting = isFunction ? findProxyOutProblems(route, path) : [];
    if (!isFunction && route.reject === undefined) return [];
    const unfit = idle.map(key => {
      const message = `"${key}" is about backends, and this route has none: remove it`;
      return { ...errorAt([...path, key], message), spot: 'key' as const };
    });
    return [...unfit, ...fitting];
  }
  if (action?.kind !== 'relay') return [];
  return [
    ...findProxyOutProblems(route, path),
    ...asPlaced(route.backends, [...path, 'backends']).flatMap(({ value, path: place }) =>
      findProxyOutProblems(asObject(value), place),
    ),
    ...findTwins(route, path),
    ...findBackupsOnly(action.pool, path),
    ...findNameless(action.pool, path),
    ...findIdleEch(action.pool, path),
  ];
}

function findTwins({ backends }: Values, path: ProblemPath): Finding[] {
  if (!Array.isArray(backends)) return [];
  const seen = new Map<string, number>();
  return (backends as unknown[]).flatMap((entry, index) => {
    const read = readBackend(entry, {});
    if (read === null) return [];
    const text = formatBackend(read.backend);
    const earlier = seen.get(text);
    if (earlier === undefined) {
      seen.set(text, index);
      return [];
    }
    const remedy = 'give one entry a greater weight instead';
    return [errorAt([...path, 'backends', index], `${quote(text)} is listed twice: ${remedy}`)];
  });
}

function findBackupsOnly({ backends }: PlainPool, path: ProblemPath): Finding[] {
  if (backends.some(({ backup }) => !backup)) return [];
  return [errorAt([...path, 'backends'], 'all backends are backups: at least one must not be')];
}

function findNameless({ health, backends }: PlainPool, path: ProblemPath): Finding[] {
  if (health === null) return [];
  if (backends.some(({ backend }) => backend.kind === 'server-name')) {
    const message = '{sni} leads to a backend for each name, which cannot be checked: remove "health"';
    return [errorAt([...path, 'health'], message)];
  }
  if (health.check === 'tcp' || health.serverName !== '') return [];
  const message = 'a TLS check needs a name to ask for: health: { check: tls, name: www.example.com }';
  return [errorAt([...path, 'health'], message)];
}

function findIdleEch({ health }: PlainPool, path: ProblemPath): Finding[] {
  if (health?.check !== 'tcp' || !health.ech) return [];
  return [errorAt([...path, 'health', 'ech'], 'only a TLS check can find that out: write check: tls')];
}

function readBackend(entry: unknown, route: Values): PlainBackend | null {
  const given = isObject(entry) ? entry : { address: entry };
  const { proxyProtocol, tlvs } = route;
  const values = saysProxy(given) ? given : { ...given, proxyProtocol, tlvs };
  if (typeof values.address !== 'string') return null;
  const parsed = parseBackend(values.address);
  return parsed.ok ? plainBackend(parsed.backend, values) : null;
}

/** Where a backend says nothing about PROXY headers, what its route says counts. */
function saysProxy({ proxyProtocol, tlvs }: Values): boolean {
  return proxyProtocol !== undefined || tlvs !== undefined;
}

function plainBackend(backend: Backend, values: Values): PlainBackend {
  const { weight, backup, maxConnections } = values;
  return {
    id: -1,
    backend,
    weight: numberOr(weight, 1),
    backup: backup === true,
    maxConnections: numberOr(maxConnections, 0),
    proxy: readProxyOut(values),
  };
}

function poolOf(backends: readonly PlainBackend[], route: Values, firstPattern: string): PlainPool {
  return {
    backends,
    balance: BALANCES.find(balance => balance === route.balance) ?? 'round-robin',
    retry: Math.min(numberOr(route.retry, RETRIES), backends.length - 1),
    ejection: readEjection(asObject(route.eject), backends.length),
    health: readHealth(route.health, firstPattern),
    onDown: route.onDown === 'close' ? 'close' : 'keep',
  };
}

/** A backend without others cannot be left out. */
function readEjection({ failures, base, max }: Values, backends: number): PlainEjection {
  const baseMs = durationOr(base, EJECTION_BASE_MS);
  return {
    failures: backends === 1 ? 0 : numberOr(failures, EJECTION_FAILURES),
    baseMs,
    maxMs: Math.max(baseMs, durationOr(max, EJECTION_MAX_MS)),
  };
}

function readHealth(value: unknown, firstPattern: string): PlainHealth | null {
  const health = isObject(value) ? value : { check: value };
  if (health.check !== 'tcp' && health.check !== 'tls') return null;
  return {
    check: health.check,
    serverName: health.check === 'tls' ? readName(health.name ?? firstPattern) : '',
    ech: health.ech === true,
    intervalMs: durationOr(health.interval, HEALTH_INTERVAL_MS),
    timeoutMs: durationOr(health.timeout, HEALTH_TIMEOUT_MS),
    rise: numberOr(health.rise, HEALTH_RISE),
    fall: numberOr(health.fall, HEALTH_FALL),
    expiryDays: numberOr(health.expiryDays, HEALTH_EXPIRY_DAYS),
  };
}

/** Empty for a pattern that is more than one name. */
function readName(value: unknown): string {
  const parsed = typeof value === 'string' ? parseConfigName(value) : null;
  return parsed?.ok === true ? parsed.name : '';
}

function numberOr(value: unknown, byDefault: number): number {
  return typeof value === 'number' ? value : byDefault;
}

function durationOr(value: unknown, defaultMs: number): number {
  const parsed = typeof value === 'string' ? parseDuration(value) : null;
  return parsed?.ok === true ? parsed.ms : defaultMs;
}
