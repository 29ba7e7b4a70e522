/** Routes and suffixes of a configuration, each by itself. */
import { isBounded, parsePattern } from '../routing/pattern.ts';
import type { PlainClients } from '../limiting/access-rules.ts';
import type { PlainLimits } from '../limiting/limiter.ts';
import type { PlainRoute, RouteAction } from '../snapshot.ts';
import type { RelaySpans } from '../verdict.ts';
import { findAnswer } from './answer.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { quote } from './plain-text.ts';
import { findPoolProblems, poolOfOne, readPool } from './read-pool.ts';
import { readProxyOut } from './read-proxy.ts';
import type { PlacedText } from './read-value.ts';
import { ENDLESS, readClients, readLimits, readSpans } from './read-limits.ts';
import { asObject, asTexts, isObject } from './read-value.ts';
import { parseSuffix } from './suffix.ts';
import type { RouteFunction } from './user-types.ts';

/** A route on its way: what could be read of it, and where it stands. */
export interface RouteDraft {
  readonly path: ProblemPath;
  /** The name given, if one was. */
  readonly name: string | null;
  readonly patterns: readonly PlacedText[];
  readonly alpn: readonly string[];
  readonly ech: PlainRoute['ech'];
  /** Whether its backends stand in a list. */
  readonly isList: boolean;
  /** What decides its connections, where that is a function; bound to the route. */
  readonly decide: RouteFunction | null;
  /** Null if it is missing or wrong. */
  readonly action: RouteAction | null;
  readonly clients: PlainClients | null;
  readonly limits: PlainLimits | null;
  readonly spans: RelaySpans;
  readonly onRemove: PlainRoute['onRemove'];
}

/** The routes, then the suffixes, in the order they are given. */
export function readRoutes(input: unknown, findings: Finding[]): RouteDraft[] {
  const { routes, suffixes, timeouts } = asObject(input);
  const spans = readSpans(timeouts, ENDLESS);
  const drafts: RouteDraft[] = [];
  if (Array.isArray(routes)) {
    routes.forEach((route: unknown, index) => {
      if (isObject(route)) drafts.push(readRoute(route, { path: ['routes', index], spans }, findings));
    });
  }
  for (const { text, path } of asTexts(suffixes, ['suffixes'])) {
    const parsed = parseSuffix(text);
    if (!parsed.ok) continue;
    drafts.push({
      path,
      name: null,
      patterns: [{ text: parsed.pattern, path }],
      alpn: [],
      ech: 'optional',
      isList: false,
      decide: null,
      action: { kind: 'relay', pool: poolOfOne({ kind: 'server-name', port: parsed.port }) },
      clients: null,
      limits: null,
      spans,
      onRemove: 'keep',
    });
  }
  return drafts;
}

function readRoute(
  route: Readonly<Record<string, unknown>>,
  { path, spans }: { path: ProblemPath; spans: RelaySpans },
  findings: Finding[],
): RouteDraft {
  const patterns = asTexts(route.match, [...path, 'match']).filter(({ text }) => parsePattern(text).ok);
  const draft: RouteDraft = {
    path,
    name: typeof route.name === 'string' ? route.name : null,
    patterns,
    alpn: asTexts(route.alpn, path).map(({ text }) => text),
    ech: route.ech === 'off' || route.ech === 'required' ? route.ech : 'optional',
    isList: Array.isArray(route.backends),
    decide: typeof route.decide === 'function' ? (route.decide as RouteFunction).bind(route) : null,
    action: readAction(
      route,
      patterns.map(({ text }) => text),
    ),
    clients: readClients(route.clients),
    limits: readLimits(route.limits),
    spans: readSpans(route.timeouts, spans),
    onRemove: route.onRemove === 'drain' || route.onRemove === 'close' ? route.onRemove : 'keep',
  };
  findings.push(...findActionProblems(route, path), ...findUnboundedNames(draft));
  findings.push(...findPoolProblems(route, draft.action, path));
  return draft;
}

function readAction(
  route: Readonly<Record<string, unknown>>,
  patterns: readonly string[],
): RouteAction | null {
  if (typeof route.decide === 'function') return { kind: 'function', proxy: readProxyOut(route) };
  if (route.backend !== undefined || route.backends !== undefined) {
    const pool = readPool(route, patterns);
    return pool === null ? null : { kind: 'relay', pool };
  }
  const answer = typeof route.reject === 'string' ? findAnswer(route.reject) : null;
  return answer === null ? null : { kind: 'reject', answer };
}

function findActionProblems(route: Readonly<Record<string, unknown>>, path: ProblemPath): Finding[] {
  const given = ['backend', 'backends', 'reject', 'decide'].filter(key => route[key] !== undefined);
  if (given.length === 1) return [];
  if (given.length === 0) {
    const message = 'a route needs "backend" (10.0.0.5:443) or "reject" (unrecognized_name)';
    return [{ ...errorAt(path, message), missing: ['backend', 'backends', 'reject', 'decide'] }];
  }
  const message = given.includes('decide')
    ? 'where "decide" says what becomes of a connection, nothing else does: remove one'
    : given.includes('reject')
      ? 'a route has a backend or rejects, not both: remove one'
      : 'a route has "backend" or "backends", not both: put all of them into "backends"';
  return [{ ...errorAt([...path, given.at(-1)!], message), spot: 'key' }];
}

/** `{sni}` lets the client choose where to go: the pattern must say within which names. */
function findUnboundedNames({ action, patterns }: RouteDraft): Finding[] {
  if (action?.kind !== 'relay') return [];
  if (!action.pool.backends.some(({ backend }) => backend.kind === 'server-name')) return [];
  return patterns.flatMap(({ text, path }) => {
    const parsed = parsePattern(text);
    if (!parsed.ok || isBounded(parsed.pattern)) return [];
    const remedy = 'name a domain, as in "**.example.com"';
    return [
      errorAt(path, `{sni} under ${quote(text)} would dial whatever name a client asks for: ${remedy}`),
    ];
  });
}
