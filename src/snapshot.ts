/**
 * A checked, plain configuration (it can be cloned to a worker thread) becomes an immutable snapshot that decisions
 * are made from. Whatever changes arrives as a new snapshot.
 */
import type { Backend } from './backends/backend-address.ts';
import { SniwayError } from './errors.ts';
import { createRouteTable } from './routing/route-table.ts';
import type { RouteTable } from './routing/route-table.ts';
import type { Answer, Endpoint, Verdict } from './verdict.ts';

/** What one route does with the connections it matches. */
export type RouteAction =
  | { readonly kind: 'relay'; readonly backend: Backend }
  | { readonly kind: 'reject'; readonly answer: Answer };

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

export interface PlainConfig {
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
  /** The verdict itself where it is the same for every client (an address needs no look-up); else null. */
  readonly verdict: Verdict | null;
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
  const routes = plain.routes.map(({ name, action }) => ({
    name,
    action,
    verdict: action.kind === 'relay' ? fixedVerdict(name, action.backend) : null,
  }));
  return { routes, policies: plain.policies, table };
}

function fixedVerdict(route: string, backend: Backend): Verdict | null {
  if (backend.kind !== 'ip' && backend.kind !== 'unix') return null;
  const endpoint: Endpoint =
    backend.kind === 'unix'
      ? backend
      : { kind: 'tcp', address: backend.address, port: backend.port, family: backend.family };
  return { kind: 'relay', route, endpoints: [endpoint] };
}
