/**
 * A checked, plain configuration (it can be cloned to a worker thread) becomes an immutable snapshot that decisions
 * are made from. Whatever changes arrives as a new snapshot.
 */
import { candidatesOf } from './backends/candidates.ts';
import type { PlainPool } from './backends/plain-pool.ts';
import { Pool, literalEndpoint } from './backends/pool.ts';
import { SniwayError } from './errors.ts';
import { createRouteTable } from './routing/route-table.ts';
import type { RouteTable } from './routing/route-table.ts';
import type { Answer, Endpoint, RelayOptions, RelayVerdict } from './verdict.ts';

/** What one route does with the connections it matches. */
export type RouteAction =
  { readonly kind: 'relay'; readonly pool: PlainPool } | { readonly kind: 'reject'; readonly answer: Answer };

export interface PlainRoute {
  /** Shown in logs and labels: the `name` given, else its first pattern. Unique. */
  readonly name: string;
  /** At least one pattern, in its text form. */
  readonly patterns: readonly string[];
  /** The route matches only clients that offer one of these; empty means every client. */
  readonly alpn: readonly string[];
  readonly action: RouteAction;
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
}

/** What one listener does beside accepting. */
export interface PlainListener {
  /** Null where PROXY headers are refused. */
  readonly proxyIn: ProxyIn | null;
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

export interface PlainConfig {
  /** By the index of the listener. */
  readonly listeners: readonly PlainListener[];
  readonly routes: readonly PlainRoute[];
  readonly policies: Policies;
  /** Networks in CIDR form that the guard lets through although it refuses them by default. */
  readonly allowNets: readonly string[];
  /** Networks in CIDR form that the guard refuses in any case. */
  readonly denyNets: readonly string[];
}

/** A route as decisions see it. */
export interface SnapshotRoute {
  readonly name: string;
  readonly action: RouteAction;
  /** The verdict itself where it is the same for every client (one backend that needs no look-up); else null. */
  readonly verdict: RelayVerdict | null;
  /** Where a route relays; it remembers whose turn it is, and nothing else of it changes. */
  readonly pool: Pool | null;
  readonly options: RelayOptions;
}

/** Immutable; replaced as a whole, never changed. */
export interface Snapshot {
  readonly routes: readonly SnapshotRoute[];
  readonly policies: Policies;
  readonly table: RouteTable;
}

/**
 * Builds a snapshot; cheap enough for every worker to build its own.
 * @throws SniwayError `ERR_INVARIANT` if the configuration was not checked before.
 */
export function createSnapshot(plain: PlainConfig): Snapshot {
  const { table, problems } = createRouteTable(plain.routes);
  const fault = problems.find(problem => problem.severity === 'error');
  if (fault !== undefined) throw new SniwayError('ERR_INVARIANT', `unchecked routes: ${fault.message}`);
  return { routes: plain.routes.map(createRoute), policies: plain.policies, table };
}

function createRoute({ name, action }: PlainRoute): SnapshotRoute {
  if (action.kind === 'reject') return { name, action, verdict: null, pool: null, options: { retry: false } };
  const { backends, retry } = action.pool;
  const options = { retry: retry > 0 && backends.length > 1 };
  const endpoint = fixedEndpoint(action.pool);
  const verdict: RelayVerdict | null =
    endpoint === null
      ? null
      : { kind: 'relay', route: name, candidates: candidatesOf(backends[0]!, [endpoint]), options };
  return { name, action, verdict, pool: verdict === null ? new Pool(action.pool) : null, options };
}

/** The address of a pool that has only this one, whatever happens. */
function fixedEndpoint({ backends }: PlainPool): Endpoint | null {
  const backend = backends[0]?.backend;
  return backends.length > 1 || backend === undefined ? null : literalEndpoint(backend);
}
