/** A configuration as a person writes it becomes a checked one, or a list of all that is wrong with it. */
import { availableParallelism, cpus, networkInterfaces } from 'node:os';
import type { ResolverSettings } from '../backends/names.ts';
import type { ListenTarget, TcpSettings } from '../engine/engine.ts';
import type { EchKeyInfo } from '../events.ts';
import { ConfigError, SniwayError } from '../errors.ts';
import type { ConfigProblem } from '../errors.ts';
import {
  CONFIG_PROBLEMS_MAX,
  DECIDE_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  DRAIN_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  KEEPALIVE_DELAY_MS,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_PROBES,
  LISTENERS_MAX,
  WORKERS_MAX,
} from '../limits.ts';
import { numberSlots } from '../snapshot.ts';
import type { MalformedAnswer, PlainConfig, PlainListener, Policies } from '../snapshot.ts';
import type { Answer } from '../verdict.ts';
import { findAdminProblems, readAdmin } from './admin.ts';
import type { AdminTarget } from './admin.ts';
import { findAnswer } from './answer.ts';
import { NO_ROUTES, findRouteProblems, nameRoutes } from './check-routes.ts';
import { describePath } from './describe-path.ts';
import { parseDuration } from './duration.ts';
import type { Finding, ProblemPath, SpottedProblem } from './findings.ts';
import { errorAt, settleFindings } from './findings.ts';
import { formatListenTarget, parseListenTarget } from './listen-target.ts';
import { createOwnListenerSearch, findListenerConflict } from './own-listeners.ts';
import { findEchProblems, readEch } from './read-ech.ts';
import type { ReadEch } from './read-ech.ts';
import { readClients, readLimits, readNetworks, readPending } from './read-limits.ts';
import { findProxyInProblems, readProxyIn } from './read-proxy.ts';
import type { RouteDraft } from './read-routes.ts';
import { readRoutes } from './read-routes.ts';
import { findResolverProblems, readResolver } from './resolver.ts';
import { asObject, asPlaced, isObject } from './read-value.ts';
import { findSchemaProblems } from './schema.ts';
import type { EngineName } from './sniway-config.ts';
import { asksHooks, readFunctions } from './user-functions.ts';
import type { UserFunctions } from './user-functions.ts';

/** Plain data but for the functions of the user: without them it can be cloned to a worker thread, and compared. */
export interface CheckedConfig extends PlainConfig {
  /** At least one. */
  readonly listen: readonly ListenTarget[];
  readonly helloTimeoutMs: number;
  readonly dialTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly functions: UserFunctions;
  readonly echKeys: readonly EchKeyInfo[];
  readonly resolver: ResolverSettings;
  readonly tcp: TcpSettings;
  readonly workers: number;
  readonly spin: boolean;
  readonly engine: EngineName;
  /** Whether records have JA3 and JA4. */
  readonly fingerprints: boolean;
  /** Where the command serves metrics; null for nowhere. */
  readonly admin: AdminTarget | null;
}

export interface InspectedConfig {
  /** Null if any problem is an error. */
  readonly config: CheckedConfig | null;
  /** All of them, warnings too, in the order they were found; `renderProblems` sorts and bounds what is shown. */
  readonly problems: readonly SpottedProblem[];
}

/**
 * Checks a configuration (a `SniwayConfig`, whatever its source) and fills in the defaults.
 * @throws ConfigError with every error that was found, the first CONFIG_PROBLEMS_MAX and a count of the rest.
 */
export function checkConfig(input: unknown): CheckedConfig {
  return requireSound(inspectConfig(input));
}

/** The configuration, where it is sound; @throws ConfigError as {@link checkConfig} does, where it is not. */
export function requireSound({ config, problems }: InspectedConfig): CheckedConfig {
  if (config !== null) return config;
  const errors: ConfigProblem[] = problems.filter(({ severity }) => severity === 'error');
  const rest = errors.length - CONFIG_PROBLEMS_MAX;
  if (rest <= 0) throw new ConfigError(errors);
  throw new ConfigError([...errors.slice(0, CONFIG_PROBLEMS_MAX), errorAt([], `and ${rest} more problems`)]);
}

export interface InspectOptions {
  /** How messages about one place name another, such as `routes[2]`. */
  readonly describe?: (path: ProblemPath) => string;
}

/** As {@link checkConfig}, but throws nothing and tells the warnings too. */
export function inspectConfig(
  input: unknown,
  { describe = describePath }: InspectOptions = {},
): InspectedConfig {
  const findings = findSchemaProblems(input);
  if (!isObject(input)) return { config: null, problems: settleFindings(findings) };
  const listening = readListeners(input, findings);
  const listeners = listening.map(({ target }) => target);
  const drafts = readRoutes(input, findings);
  findings.push(...(hasNoRoutes(input) ? [NO_ROUTES] : findRouteProblems(drafts, describe)));
  findings.push(...findLoops(drafts, listeners), ...findUnread(input));
  const ech = readEch(input, drafts, findings);
  findings.push(...findEchProblems(ech, drafts));
  findings.push(...findResolverProblems(input), ...findAdminProblems(input, listeners));
  const problems = settleFindings(findings);
  const isSound = problems.every(({ severity }) => severity === 'warning');
  return { config: isSound ? fillIn(input, { listening, drafts, ech }) : null, problems };
}

/** A listener that could be read. */
interface ReadListener {
  readonly target: ListenTarget;
  readonly plain: PlainListener;
}

function readListeners(input: unknown, findings: Finding[]): ReadListener[] {
  const { listen } = asObject(input);
  const placed = asPlaced(listen, ['listen']);
  if (isNone(listen)) {
    const message =
      'no listener: say where to accept connections, such as listen: [443] or listen: ["127.0.0.1:8443"]';
    findings.push({ ...errorAt([], message), missing: ['listen'] });
  }
  if (placed.length > LISTENERS_MAX) {
    findings.push(errorAt(['listen'], `${placed.length} listeners are too many: at most ${LISTENERS_MAX}`));
    return [];
  }
  const listeners: ReadListener[] = [];
  for (const { value, path } of placed) {
    const { address, clients, limits, proxyProtocol } = isObject(value) ? value : { address: value };
    const parsed =
      typeof address === 'string' || typeof address === 'number' ? parseListenTarget(address) : null;
    if (parsed?.ok !== true) continue;
    const { target } = parsed;
    const others = listeners.map(listener => listener.target);
    const conflict = findListenerConflict(target, others);
    if (conflict !== null) findings.push(errorAt(isObject(value) ? [...path, 'address'] : path, conflict));
    const proxyIn = readProxyIn(proxyProtocol, target);
    findings.push(...findProxyInProblems(proxyIn, [...path, 'proxyProtocol']));
    listeners.push({ target, plain: { clients: readClients(clients), limits: readLimits(limits), proxyIn } });
  }
  return listeners;
}

function hasNoRoutes(input: unknown): boolean {
  const { routes, suffixes } = asObject(input);
  return isNone(routes) && isNone(suffixes);
}

/** Whoever loads a file has read what it includes, and removed the key. */
function findUnread({ include }: Readonly<Record<string, unknown>>): Finding[] {
  if (include === undefined) return [];
  const message = 'only configuration files include others: give the routes themselves, or load a file';
  return [{ ...errorAt(['include'], message), spot: 'key' }];
}

function isNone(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function findLoops(drafts: readonly RouteDraft[], listeners: readonly ListenTarget[]): Finding[] {
  const ownAddresses = Object.values(networkInterfaces()).flatMap(entries => entries ?? []);
  const search = createOwnListenerSearch(
    listeners,
    ownAddresses.map(({ address }) => address),
  );
  return drafts.flatMap(({ action, isList, path }) => {
    const backends = action?.kind === 'relay' ? action.pool.backends : [];
    return backends.flatMap(({ backend }, index) => {
      const own = search(backend);
      if (own === null) return [];
      const message = `this is Sniway's own listener ${formatListenTarget(own)}: connections would go in circles`;
      return [errorAt([...path, ...(isList ? ['backends', index] : ['backend'])], message)];
    });
  });
}

/** What was read from a configuration on the way. */
interface ReadParts {
  readonly listening: readonly ReadListener[];
  readonly drafts: readonly RouteDraft[];
  readonly ech: ReadEch | null;
}

function fillIn(input: unknown, { listening, drafts, ech }: ReadParts): CheckedConfig {
  const { fingerprints, guard, limits, timeouts, engine, policies, resolver, spin, tcp, workers } =
    asObject(input);
  const { allowNets, denyNets } = asObject(guard);
  const { hello, decide, dial, drain } = asObject(timeouts);
  const routes = nameRoutes(drafts);
  const listeners = listening.map(({ plain }) => plain);
  return {
    listen: listening.map(({ target }) => target),
    listeners,
    routes,
    slots: numberSlots(listeners, routes),
    limits: readLimits(limits),
    pending: readPending(limits),
    policies: readPolicies(asObject(policies)),
    allowNets: readNetworks(allowNets),
    denyNets: readNetworks(denyNets),
    helloTimeoutMs: readTimeout(hello, HELLO_TIMEOUT_MS),
    dialTimeoutMs: readTimeout(dial, DIAL_TIMEOUT_MS),
    drainTimeoutMs: readTimeout(drain, DRAIN_TIMEOUT_MS),
    functions: readFunctions(input, drafts, readTimeout(decide, DECIDE_TIMEOUT_MS)),
    asksHooks: asksHooks(input),
    ech: ech?.plain ?? null,
    echKeys: ech?.keys ?? [],
    resolver: readResolver(resolver),
    tcp: readTcp(asObject(tcp)),
    workers: typeof workers === 'number' ? workers : Math.min(availableParallelism(), WORKERS_MAX),
    // With a single processor, the one who is waited for could not run meanwhile.
    spin: typeof spin === 'boolean' ? spin : cpus().length > 1,
    engine: engine === 'portable' || engine === 'linux' ? engine : 'auto',
    fingerprints: fingerprints === true,
    admin: readAdmin(input),
  };
}

function readTcp(tcp: Readonly<Record<string, unknown>>): TcpSettings {
  const { keepaliveIdle, keepaliveInterval, keepaliveProbes, userTimeout } = tcp;
  return {
    keepaliveIdleMs: readTimeout(keepaliveIdle, KEEPALIVE_DELAY_MS),
    keepaliveIntervalMs: readTimeout(keepaliveInterval, KEEPALIVE_INTERVAL_MS),
    keepaliveProbes: typeof keepaliveProbes === 'number' ? keepaliveProbes : KEEPALIVE_PROBES,
    userTimeoutMs: readTimeout(userTimeout, 0),
  };
}

function readPolicies(policies: Readonly<Record<string, unknown>>): Policies {
  return {
    noSni: readAnswer(policies.noSni, 'unrecognized_name'),
    unknownName: readAnswer(policies.unknownName, 'unrecognized_name'),
    malformed: readMalformed(policies.malformed),
    notTls: readAnswer(policies.notTls, 'close'),
    helloTimeout: readAnswer(policies.helloTimeout, 'close'),
    dialFailed: readAnswer(policies.dialFailed, 'internal_error'),
    limit: readAnswer(policies.limit, 'close'),
    denied: readAnswer(policies.denied, 'close'),
  };
}

function readMalformed(value: unknown): MalformedAnswer {
  return value === undefined || value === 'parser' ? { kind: 'parser' } : readAnswer(value, '');
}

function readAnswer(value: unknown, byDefault: string): Answer {
  return sound(findAnswer(typeof value === 'string' ? value : byDefault), 'answer');
}

function readTimeout(value: unknown, defaultMs: number): number {
  if (typeof value !== 'string') return defaultMs;
  const parsed = parseDuration(value);
  return sound(parsed.ok ? parsed.ms : null, 'duration');
}

/** The schema lets nothing through that cannot be read. */
function sound<T>(value: T | null, what: string): T {
  if (value === null)
    throw new SniwayError('ERR_INVARIANT', `an unchecked ${what} in a checked configuration`);
  return value;
}
