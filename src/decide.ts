/**
 * The one path that decides: hello -> route -> backend -> addresses -> verdict. Pure as far as it goes; what it cannot
 * know without waiting is handed back as a question, which {@link settle} answers.
 */
import { GuardRefusal } from './backends/address-guard.ts';
import type { AddressGuard } from './backends/address-guard.ts';
import { lookUpName } from './backends/backend-address.ts';
import type { Backend } from './backends/backend-address.ts';
import { candidatesOf } from './backends/candidates.ts';
import { dialOrder } from './backends/dial-order.ts';
import { ResolveError } from './backends/names.ts';
import type { NameResolver } from './backends/names.ts';
import type { PlainBackend } from './backends/plain-pool.ts';
import { knownCandidates, portOf } from './backends/pool.ts';
import type { PoolFacts } from './backends/pool.ts';
import { takePlaces } from './limiting/limiter.ts';
import type { LimitScope } from './limiting/limiter.ts';
import type { Live } from './live.ts';
import type { Policies, Snapshot, SnapshotRoute } from './snapshot.ts';
import type {
  Answer,
  Candidate,
  Client,
  ClientEch,
  ProxyOut,
  Refusal,
  RejectVerdict,
  RelayOptions,
  Verdict,
} from './verdict.ts';
import { copyOffer } from './wire/hello-offer.ts';
import type { HelloOffer } from './wire/hello-offer.ts';
import type { PeerAddress } from './wire/peer-address.ts';
import { ALERTS } from './wire/tls-alert.ts';

/** What a client gets to see whose encrypted hello was opened, and whose name is not known (RFC 9849 section 7.1). */
const UNKNOWN_INNER: Answer = { kind: 'alert', description: ALERTS.unrecognized_name };

/** The detail of a refusal by access rules. */
const CLIENT_NETWORK = 'client network';

/** A backend of a question, with the name to look up where it is known by one. */
export interface AskedBackend {
  readonly id: number;
  readonly proxy: ProxyOut | null;
  readonly target: Exclude<Backend, { kind: 'server-name' }>;
  /** The name was chosen by the client, so that every address must pass the guard. */
  readonly fromClient: boolean;
  /** Null where the name has to be looked up. */
  readonly known: readonly Candidate[] | null;
}

/** A verdict that waits for the addresses of a name. Plain data: a worker thread can ask the main thread. */
export interface NameQuestion {
  readonly kind: 'resolve';
  readonly route: string;
  /** In the order to try them; of the first one no address is known. */
  readonly backends: readonly AskedBackend[];
  readonly options: RelayOptions;
}

/** A route whose function has to be asked where its connection goes. */
export interface FunctionQuestion {
  readonly kind: 'function';
  readonly route: string;
  readonly proxy: ProxyOut | null;
  readonly options: RelayOptions;
}

/** A verdict that functions of the user have a say in; only the main thread knows them. Plain data. */
export interface UserQuestion {
  readonly kind: 'user';
  readonly offer: HelloOffer;
  readonly client: { readonly peer: PeerAddress; readonly listener: string; readonly ech: ClientEch | null };
  /** What holds, or has to be asked, if no hook refuses the connection. */
  readonly next: Verdict | NameQuestion | FunctionQuestion;
}

export type Question = NameQuestion | UserQuestion;

export type Decision = Verdict | Question;

/** The hello facts that a decision looks at, and those that users' functions are told of. */
export type HelloFacts = Pick<HelloOffer, 'serverName' | 'alpnProtocols'> & Partial<HelloOffer>;

/** What decisions are made from. */
export interface Decider {
  readonly snapshot: Snapshot;
  readonly live: Live;
}

/** What a question is settled with. */
export interface SettleContext {
  readonly resolver: NameResolver;
  readonly guard: AddressGuard;
  readonly policies: Policies;
  /** Bound on the look-up. */
  readonly timeoutMs: number;
}

/** Decides at once whatever can be decided without a look-up and without functions of the user. */
export function decide(hello: HelloFacts, client: Client, decider: Decider): Decision {
  const next = decideRoute(hello, client, decider);
  if (next.kind !== 'function' && (!decider.snapshot.asksHooks || isKeptOut(next))) return next;
  const { peer, listener, ech } = client;
  return { kind: 'user', offer: copyOffer(hello), client: { peer, listener: listener.text, ech }, next };
}

/** Refused by a limit or a client's network: these protect users' functions too. */
function isKeptOut(next: Decision): boolean {
  if (next.kind !== 'reject') return false;
  return next.endReason === 'limit' || (next.endReason === 'denied' && next.detail === CLIENT_NETWORK);
}

function decideRoute(hello: HelloFacts, client: Client, decider: Decider): UserQuestion['next'] {
  const { snapshot, live } = decider;
  const found = findRoute(hello, client, snapshot);
  if ('kind' in found) return found;
  const { route, name } = found;
  if (route.action.kind === 'reject') {
    return {
      kind: 'reject',
      endReason: 'denied',
      answer: route.action.answer,
      route: route.name,
      detail: null,
    };
  }
  client.route = route.name;
  const refusal = admitToRoute(route, { name, client }, decider);
  if (refusal === null && route.action.kind === 'function') {
    return { kind: 'function', route: route.name, proxy: route.action.proxy, options: route.options };
  }
  return refusal ?? route.verdict ?? choose(route, name, { client: client.peer, live });
}

/** The route of a name, and the name its backend is chosen by. */
function findRoute(
  hello: HelloFacts,
  { ech }: Client,
  snapshot: Snapshot,
): { route: SnapshotRoute; name: string } | RejectVerdict {
  const { policies, tables, routes } = snapshot;
  const name = hello.serverName;
  const fallback = ech?.kind === 'undecryptable' && ech.isPublicName ? snapshot.ech?.fallback : null;
  if (fallback) return { route: fallback, name: name ?? '' };
  const isOpened = ech?.kind === 'accepted';
  const table = isOpened ? tables.encrypted : tables.clear;
  const route = name === null ? undefined : routes[table.match(name, hello)];
  if (name !== null && route !== undefined) return { route, name };
  // The outer hello counts no more: a client that came so far would come again and again.
  const unknown = isOpened ? snapshot.ech?.unknownInner : null;
  if (unknown) return { route: unknown, name: name ?? '' };
  if (name === null) return reject('no-sni', isOpened ? UNKNOWN_INNER : policies.noSni);
  const hidden = routes[tables.all.match(name, hello)]?.ech;
  const detail = hidden === undefined || hidden === 'optional' ? null : `ech: ${hidden}`;
  return reject('unknown-name', isOpened ? UNKNOWN_INNER : policies.unknownName, detail);
}

/**
 * Answers a question: resolves the name of the first backend and lets the guard choose among its addresses; the next
 * ones are looked up only where that fails. Never rejects.
 */
export async function settle(question: NameQuestion, context: SettleContext): Promise<Verdict> {
  const { route, backends, options } = question;
  let failure: RejectVerdict | null = null;
  for (const [index, backend] of backends.entries()) {
    try {
      const first = await resolveBackend(backend, context);
      const others = backends.slice(index + 1).flatMap(({ known }) => known ?? []);
      return { kind: 'relay', route, candidates: [...first, ...others], options };
    } catch (error) {
      failure ??= resolveFailure(error, route, context.policies);
    }
  }
  return failure ?? resolveFailure(new Error('no backend'), route, context.policies);
}

async function resolveBackend(backend: AskedBackend, context: SettleContext): Promise<readonly Candidate[]> {
  const { target, fromClient, known } = backend;
  const host = lookUpName(target);
  if (known !== null || host === null) return known ?? [];
  const found = await context.resolver.resolve(host, { timeoutMs: context.timeoutMs, fromClient });
  const endpoints = dialOrder(found, portOf(target));
  return candidatesOf(backend, context.guard.filter(endpoints, fromClient));
}

/** The verdict for a backend that cannot be dialled because of its name or its address. */
export function resolveFailure(error: unknown, route: string, policies: Policies): RejectVerdict {
  const refused = error instanceof GuardRefusal;
  const known = refused || error instanceof ResolveError;
  return {
    kind: 'reject',
    endReason: refused ? 'guard-refused' : 'dns-failed',
    answer: policies.dialFailed,
    route,
    detail: known ? error.message : String(error),
  };
}

/** What a client that never got to a route sees, by the policy for its kind of failure. */
export function decideRefusal(refusal: Refusal, policies: Policies): RejectVerdict {
  switch (refusal.kind) {
    case 'hello-timeout':
      return reject('hello-timeout', policies.helloTimeout, refusal.isSlow ? 'too slow' : null);
    case 'limit':
      return reject('limit', policies.limit, refusal.detail);
    case 'proxy-timeout':
      return reject('proxy-timeout', policies.helloTimeout);
    case 'proxy-malformed':
      return reject('proxy-malformed', policies.notTls, refusal.code);
    case 'dial-failed':
      return {
        kind: 'reject',
        endReason: refusal.endReason,
        answer: policies.dialFailed,
        route: refusal.route,
        detail: refusal.detail,
      };
    case 'illegal-ech': {
      const { code, alert } = refusal.illegal;
      return reject('hello-malformed', malformedAnswer(policies, alert), code);
    }
    case 'ech-retry':
      return reject('ech-retry', { kind: 'flight', bytes: refusal.flight });
    case 'invalid-hello': {
      const { code, alert } = refusal.invalid;
      if (code === 'not-tls') return reject('not-tls', policies.notTls, refusal.protocol ?? code);
      const answer = malformedAnswer(policies, alert);
      const tooLarge = code === 'hello-too-large' || code === 'too-many-records';
      return reject(tooLarge ? 'hello-too-large' : 'hello-malformed', answer, code);
    }
  }
}

function malformedAnswer({ malformed }: Policies, alert: number): Answer {
  return malformed.kind === 'parser' ? { kind: 'alert', description: alert } : malformed;
}

/** Called for each client before anything of it is read: a verdict if its network may not use the listener, or null. */
export function admit({ peer, listener }: Client, { policies }: Snapshot): RejectVerdict | null {
  const { rules } = listener.facts;
  return rules === null || rules.admits(peer) ? null : reject('denied', policies.denied, CLIENT_NETWORK);
}

/** A place within every limit that holds for the connection; a verdict if there is none, or no right to one. */
function admitToRoute(
  route: SnapshotRoute,
  { name, client }: { name: string; client: Client },
  { snapshot, live }: Decider,
): RejectVerdict | null {
  const { policies } = snapshot;
  if (route.rules !== null && !route.rules.admits(client.peer)) {
    return { ...reject('denied', policies.denied, CLIENT_NETWORK), route: route.name };
  }
  const listener = client.listener.facts.scope;
  if (route.scope === null && listener === null && snapshot.scope === null) return null;
  const scopes = [route.scope, listener, snapshot.scope].filter((one): one is LimitScope => one !== null);
  const taken = takePlaces(live.limits, scopes, { peer: client.peer, serverName: name });
  if (!taken.ok) return { ...reject('limit', policies.limit, taken.limit), route: route.name };
  client.ticket = taken.ticket;
  return null;
}

interface Choice {
  readonly client: PeerAddress;
  readonly live: Live;
}

/** A verdict where the addresses of the first backend are known; other backends are left out while theirs are not. */
function choose(route: SnapshotRoute, serverName: string, { client, live }: Choice): Verdict | NameQuestion {
  const { pool, name, options } = route;
  if (pool === null) throw new Error(`route ${name} has no backends`);
  const facts: PoolFacts = { client, serverName, ...live };
  const order = pool.order(facts);
  const known = order.map(backend => knownCandidates(backend, facts));
  if (known[0] !== null) {
    return { kind: 'relay', route: name, candidates: known.flatMap(found => found ?? []), options };
  }
  const backends = order.map((backend, index) => askFor(backend, serverName, known[index] ?? null));
  return { kind: 'resolve', route: name, backends, options };
}

function askFor(
  { id, proxy, backend }: PlainBackend,
  serverName: string,
  known: readonly Candidate[] | null,
): AskedBackend {
  if (backend.kind !== 'server-name') return { id, proxy, target: backend, fromClient: false, known };
  const target = { kind: 'host', host: serverName, port: backend.port } as const;
  return { id, proxy, target, fromClient: true, known };
}

function reject(
  endReason: RejectVerdict['endReason'],
  answer: RejectVerdict['answer'],
  detail: string | null = null,
): RejectVerdict {
  return { kind: 'reject', endReason, answer, route: null, detail };
}
