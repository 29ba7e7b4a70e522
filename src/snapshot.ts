/**
 * A checked, plain configuration (it can be cloned to a worker thread) becomes an immutable snapshot that decisions
 * are made from. Whatever changes arrives as a new snapshot.
 */
import { candidatesOf } from './backends/candidates.ts';
import type { PlainPool } from './backends/plain-pool.ts';
import { Pool, literalEndpoint } from './backends/pool.ts';
import { EchOpener } from './ech/ech-opener.ts';
import type { EchKey } from './ech/ech-opener.ts';
import { RetryResponder } from './ech/retry-responder.ts';
import type { RetryTerms } from './ech/retry-responder.ts';
import { RetryShares } from './ech/retry-shares.ts';
import { SniwayError } from './errors.ts';
import type { PlainClients } from './limiting/access-rules.ts';
import { createAccessRules } from './limiting/access-rules.ts';
import type { AccessRules } from './limiting/access-rules.ts';
import type { LimitScope, PlainLimits } from './limiting/limiter.ts';
import { FIRST_SCOPE_SLOT, PROXY_SLOT } from './limiting/limiter.ts';
import { createRouteTable } from './routing/route-table.ts';
import type { RouteTable } from './routing/route-table.ts';
import type {
  Answer,
  Endpoint,
  ListenerFacts,
  ProxyOut,
  RelayOptions,
  RelaySpans,
  RelayVerdict,
} from './verdict.ts';

/** What one route does with the connections it matches. */
export type RouteAction =
  | { readonly kind: 'relay'; readonly pool: PlainPool }
  | { readonly kind: 'reject'; readonly answer: Answer }
  /** A function of the user's decides, which the main thread knows by the route's name; its backends get this header. */
  | { readonly kind: 'function'; readonly proxy: ProxyOut | null };

export interface PlainRoute {
  /** Shown in logs and labels: the `name` given, else its first pattern. Unique. */
  readonly name: string;
  /** At least one pattern, in its text form. */
  readonly patterns: readonly string[];
  /** The route matches only clients that offer one of these; empty means every client. */
  readonly alpn: readonly string[];
  /** Whether its names are answered in clear, through Encrypted ClientHello, or both. */
  readonly ech: 'off' | 'optional' | 'required';
  readonly action: RouteAction;
  /** Null if every client may use it. */
  readonly clients: PlainClients | null;
  /** Null if nothing is limited. */
  readonly limits: PlainLimits | null;
  readonly spans: RelaySpans;
  /** What becomes of its connections when a reload removes it: they go on, or end after the drain time, or at once. */
  readonly onRemove: 'keep' | 'drain' | 'close';
}

/** What a listener adds to its address. */
export interface PlainListener {
  readonly clients: PlainClients | null;
  readonly limits: PlainLimits | null;
  /** Null where PROXY headers are refused. */
  readonly proxyIn: ProxyIn | null;
}

/** The least pace of a hello, beside its deadline. */
export interface HelloPace {
  /** Milliseconds from accept in which no pace is asked for. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

/** Connections whose hello has not come yet. */
export interface PendingLimits {
  readonly all: number;
  readonly perClient: number;
  readonly pace: HelloPace | null;
}

/** `parser`: the alert that fits the fault. */
export type MalformedAnswer = Answer | { readonly kind: 'parser' };

/** What each kind of refused client gets to see. None of them ever falls through to another, or to a route. */
export interface Policies {
  readonly noSni: Answer;
  readonly unknownName: Answer;
  readonly malformed: MalformedAnswer;
  readonly notTls: Answer;
  readonly helloTimeout: Answer;
  readonly dialFailed: Answer;
  readonly limit: Answer;
  readonly denied: Answer;
}

/** From whom PROXY headers are taken. */
export interface ProxyIn {
  /** Networks in CIDR form. */
  readonly from: readonly string[];
  /** Whether peers of a Unix-domain socket are trusted. */
  readonly fromUnix: boolean;
  readonly timeoutMs: number;
  /** Whether a trusted peer must send one. */
  readonly required: boolean;
}

/** Encrypted ClientHello. Plain data, private keys included: nothing shows it. */
export interface PlainEch {
  readonly keys: readonly EchKey[];
  /** What this proxy itself tells clients with an old key; keys of certificates included. */
  readonly retry: readonly RetryTerms[];
  readonly requirePublicName: boolean;
  readonly trialDecryption: boolean;
  /** Name of the route for hellos to a public name that no key opens; null for the route of that name. */
  readonly fallback: string | null;
  /** Name of the route for inner names that no route takes; null for an alert. */
  readonly unknownInner: string | null;
  /** Whether it is told which backends do not know inner hellos. */
  readonly verifiesBackends: boolean;
  /** Whether records have outer names in place of inner ones. */
  readonly hidesInnerNames: boolean;
}

/** Numbers of the limits in the table that all threads count in, for each listener and each route. */
export interface LimitSlots {
  /** -1 where nothing is limited. */
  readonly listeners: readonly number[];
  readonly routes: readonly number[];
}

export interface PlainConfig {
  readonly routes: readonly PlainRoute[];
  readonly policies: Policies;
  /** In the order of the listeners. */
  readonly listeners: readonly PlainListener[];
  /** What all connections together may take; null if nothing is limited. */
  readonly limits: PlainLimits | null;
  readonly slots: LimitSlots;
  readonly pending: PendingLimits;
  /** Whether hooks on the main thread have a say in each decision. */
  readonly asksHooks: boolean;
  /** Null where encrypted_client_hello is an extension like any other. */
  readonly ech: PlainEch | null;
  /** Networks in CIDR form that the guard lets through although it refuses them by default. */
  readonly allowNets: readonly string[];
  /** Networks in CIDR form that the guard refuses in any case. */
  readonly denyNets: readonly string[];
}

/** A route as decisions see it. */
export interface SnapshotRoute {
  readonly name: string;
  readonly ech: PlainRoute['ech'];
  readonly action: RouteAction;
  /** The verdict itself where it is the same for every client (one backend that needs no look-up); else null. */
  readonly verdict: RelayVerdict | null;
  /** Where a route relays; it remembers whose turn it is, and nothing else of it changes. */
  readonly pool: Pool | null;
  readonly options: RelayOptions;
  readonly rules: AccessRules | null;
  readonly scope: LimitScope | null;
}

/** What opens encrypted hellos, and where those go that have no route of their own. */
export interface SnapshotEch {
  readonly opener: EchOpener;
  readonly responder: RetryResponder;
  readonly shares: RetryShares;
  readonly fallback: SnapshotRoute | null;
  readonly unknownInner: SnapshotRoute | null;
  readonly verifiesBackends: boolean;
  readonly hidesInnerNames: boolean;
}

/** Immutable; replaced as a whole, never changed. */
export interface Snapshot {
  readonly routes: readonly SnapshotRoute[];
  readonly policies: Policies;
  /** What is found in them are indices of `routes`. */
  readonly tables: {
    readonly all: RouteTable;
    /** For hellos in clear: without the routes that are reached only encrypted. */
    readonly clear: RouteTable;
    /** For hellos that were opened: without the routes that are reached only in clear. */
    readonly encrypted: RouteTable;
  };
  readonly listeners: readonly ListenerFacts[];
  /** Limits of the whole proxy. */
  readonly scope: LimitScope | null;
  readonly pending: PendingLimits;
  readonly asksHooks: boolean;
  readonly ech: SnapshotEch | null;
}

/**
 * Builds a snapshot; cheap enough for every worker to build its own.
 * @throws SniwayError `ERR_INVARIANT` if the configuration was not checked before.
 */
export function createSnapshot(plain: PlainConfig): Snapshot {
  const { table, problems } = createRouteTable(plain.routes);
  const fault = problems.find(problem => problem.severity === 'error');
  if (fault !== undefined) throw new SniwayError('ERR_INVARIANT', `unchecked routes: ${fault.message}`);
  const { ech, limits, slots } = plain;
  const routes = plain.routes.map((route, index) => createRoute(route, slots.routes[index] ?? -1));
  return {
    routes,
    policies: plain.policies,
    tables: {
      all: table,
      clear: tableWithout(plain.routes, 'required', table),
      encrypted: tableWithout(plain.routes, 'off', table),
    },
    listeners: plain.listeners.map((listener, index) => ({
      rules: listener.clients === null ? null : createAccessRules(listener.clients),
      scope: scopeOf(`listener ${index + 1}`, slots.listeners[index] ?? -1, listener.limits),
    })),
    scope: scopeOf('the proxy', PROXY_SLOT, limits),
    pending: plain.pending,
    asksHooks: plain.asksHooks,
    ech: ech === null ? null : createEch(ech, routes),
  };
}

/** A table of the routes that are not so, under the indices they have among all; `all` itself if none is. */
function tableWithout(routes: readonly PlainRoute[], ech: PlainRoute['ech'], all: RouteTable): RouteTable {
  const kept = [...routes.keys()].filter(index => routes[index]!.ech !== ech);
  if (kept.length === routes.length) return all;
  const { table } = createRouteTable(kept.map(index => routes[index]!));
  return {
    match: (name, hello) => kept[table.match(name, hello)] ?? -1,
    explain: (name, hello) =>
      table.explain(name, hello).map(candidate => ({ ...candidate, route: kept[candidate.route]! })),
  };
}

function createEch(plain: PlainEch, routes: readonly SnapshotRoute[]): SnapshotEch {
  const { keys, retry, fallback, unknownInner, verifiesBackends, hidesInnerNames } = plain;
  const named = (name: string | null): SnapshotRoute | null =>
    routes.find(route => route.name === name) ?? null;
  return {
    opener: new EchOpener(keys, plain),
    responder: new RetryResponder(retry, () => performance.now()),
    shares: new RetryShares(() => performance.now()),
    fallback: named(fallback),
    unknownInner: named(unknownInner),
    verifiesBackends,
    hidesInnerNames,
  };
}

interface Limited {
  readonly limits: PlainLimits | null;
}

/** A slot for each limit, as they come. */
export function numberSlots(listeners: readonly Limited[], routes: readonly Limited[]): LimitSlots {
  let next = FIRST_SCOPE_SLOT;
  const slotOf = ({ limits }: Limited): number => (limits === null ? -1 : next++);
  return { listeners: listeners.map(slotOf), routes: routes.map(slotOf) };
}

function scopeOf(title: string, slot: number, limits: PlainLimits | null): LimitScope | null {
  return limits === null ? null : { slot, title, limits };
}

function createRoute(plain: PlainRoute, slot: number): SnapshotRoute {
  const { name, ech, action, clients, limits, spans } = plain;
  const rules = clients === null ? null : createAccessRules(clients);
  const common = { name, ech, action, rules, scope: scopeOf(`route ${name}`, slot, limits) };
  if (action.kind !== 'relay') {
    return { ...common, verdict: null, pool: null, options: { retry: false, ...spans } };
  }
  const { backends, retry } = action.pool;
  const options = { retry: retry > 0 && backends.length > 1, ...spans };
  const endpoint = fixedEndpoint(action.pool);
  const verdict: RelayVerdict | null =
    endpoint === null
      ? null
      : { kind: 'relay', route: name, candidates: candidatesOf(backends[0]!, [endpoint]), options };
  return { ...common, verdict, pool: verdict === null ? new Pool(action.pool) : null, options };
}

/** The address of a pool that has only this one, whatever happens. */
function fixedEndpoint({ backends }: PlainPool): Endpoint | null {
  const backend = backends[0]?.backend;
  return backends.length > 1 || backend === undefined ? null : literalEndpoint(backend);
}
