/** `sniway explain`: which route takes a name, why, and what would be dialled or shown instead. */
import { isIPv6 } from 'node:net';
import { createAddressGuard } from '../backends/address-guard.ts';
import type { AddressGuard } from '../backends/address-guard.ts';
import { AddressPublisher } from '../backends/address-publisher.ts';
import { lookUpName } from '../backends/backend-address.ts';
import type { Backend } from '../backends/backend-address.ts';
import { AddressCache } from '../backends/address-cache.ts';
import type { PlainPool } from '../backends/plain-pool.ts';
import { portOf } from '../backends/pool.ts';
import { dialOrder } from '../backends/dial-order.ts';
import type { CachedAddresses, NameResolver } from '../backends/names.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import { escapeControls, quote } from '../config/plain-text.ts';
import { describePool } from './explain-pool.ts';
import type { Line } from './explain-pool.ts';
import { decide, settle } from '../decide.ts';
import type { Decider, HelloFacts, Question, SettleContext } from '../decide.ts';
import { SniwayError } from '../errors.ts';
import { createSharedMemory, openLive } from '../live.ts';
import type { Live } from '../live.ts';
import type { RouteCandidate } from '../routing/route-table.ts';
import { Numbering } from '../numbering.ts';
import { createSnapshot } from '../snapshot.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Client, Endpoint, RejectVerdict, Verdict } from '../verdict.ts';
import { parseConfigName, parseServerName } from '../wire/host-name.ts';
import { UNIX_PEER } from '../wire/peer-address.ts';
import { alertName } from '../wire/tls-alert.ts';
import type { ConfigFlags } from './config-flags.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { loadCommandConfig } from './load-config.ts';
import { ownListeners } from './own-listeners.ts';

/** Nothing is opened, so a configuration without a listener can be explained too. */
const LISTEN_DEFAULT = '127.0.0.1:0';
const WORD_WIDTH = 10;
/** It is not called: it may ask others, and knows clients that are real. */
const FUNCTION_DECIDES = 'the function of the route (decide), for each connection';

/** Without keys nothing can be encrypted. */
const NO_ECH_KEYS = 'error: --ech: the configuration has no keys for it: add "ech", or --ech-keys PATH';

export interface ExplainFlags {
  /** Protocols that the client offers. */
  readonly alpn?: readonly string[];
  /** Whether the name comes through Encrypted ClientHello. */
  readonly ech?: boolean;
}

/**
 * The text for stdout: what the proxy would do with a client that asks for this name and offers these protocols. It
 * is decided by the code that decides for clients. A look-up that fails is part of the answer.
 * @throws CommandError if the configuration is unfit, or the name is no host name.
 */
export async function explainName(
  name: string,
  { alpn = [], ech = false }: ExplainFlags,
  flags: ConfigFlags,
): Promise<string> {
  const hello: HelloFacts = { serverName: readName(name), alpnProtocols: alpn };
  const { config, warnings } = await loadCommandConfig(flags, { listenDefault: LISTEN_DEFAULT });
  const snapshot = createSnapshot(config);
  if (ech && snapshot.ech === null) throw new CommandError(NO_ECH_KEYS, EXIT.usage);
  const live = openLive(config, createSharedMemory(new Numbering(config).room, 1), 0);
  const lines = [
    ...describeClient(name, hello),
    ...describeRoutes(hello, snapshot, ech),
    ...(await describeDecision(hello, { config, snapshot, live, ech })),
    ...describeHooks(config),
  ];
  const body = lines.map(([word, text]) => `${word.padEnd(WORD_WIDTH)}${text}\n`).join('');
  return warnings === '' ? body : `${warnings}\n${body}`;
}

/** The canonical name; null for an IP literal, which counts as no name. */
function readName(text: string): string | null {
  if (parseServerName(Buffer.from(text)).kind === 'ip-literal') return null;
  const parsed = parseConfigName(text);
  if (parsed.ok) return parsed.name;
  throw new CommandError(`error: ${quote(text)} is not a host name: ${parsed.message}`, EXIT.usage);
}

function describeClient(name: string, { serverName, alpnProtocols }: HelloFacts): Line[] {
  const asked =
    serverName ?? `none: ${escapeControls(name)} is an IP address, which clients do not send as a name`;
  const alpn = alpnProtocols.map(escapeControls).join(', ');
  return [['name', asked], ...(alpn === '' ? [] : [['alpn', alpn] as const])];
}

/** They are not called either. */
function describeHooks({ asksHooks }: CheckedConfig): Line[] {
  return asksHooks ? [['hooks', 'onHello and onVerdict may refuse each connection']] : [];
}

/** Which pattern takes the name, and which others cover it. */
function describeRoutes(hello: HelloFacts, { tables, routes }: Snapshot, ech: boolean): Line[] {
  const { serverName } = hello;
  if (serverName === null) return [];
  const candidates = (ech ? tables.encrypted : tables.clear).explain(serverName, hello);
  const isAmong = ({ route }: RouteCandidate): boolean => candidates.some(one => one.route === route);
  const elsewhere = tables.all.explain(serverName, hello).filter(other => !isAmong(other));
  const nameOf = ({ route }: RouteCandidate): string => escapeControls(routes[route]?.name ?? '');
  const chosen = candidates.find(({ outcome }) => outcome === 'chosen');
  const others = candidates.filter(candidate => candidate !== chosen);
  const passed = others.map((other, index): Line => {
    const text = `${describePattern(other)} of route ${nameOf(other)}: ${describeOutcome(other)}`;
    return [index === 0 ? 'passed' : '', text];
  });
  const how = ech ? 'is reached only in clear (ech: off)' : 'is reached only encrypted (ech: required)';
  passed.push(
    ...elsewhere.map((other, index): Line => {
      const text = `${describePattern(other)} of route ${nameOf(other)}: ${how}`;
      return [others.length === 0 && index === 0 ? 'passed' : '', text];
    }),
  );
  if (chosen === undefined) return [['route', 'none'], ...passed];
  return [['route', nameOf(chosen)], ['pattern', describePattern(chosen)], ...passed];
}

function describePattern({ pattern, alpn }: RouteCandidate): string {
  const kind = pattern.startsWith('/')
    ? 'regular expression'
    : pattern.startsWith('**.')
      ? 'one or more labels'
      : pattern.startsWith('*.')
        ? 'one label'
        : 'exact';
  const condition = alpn.length === 0 ? '' : `, ALPN ${alpn.map(escapeControls).join(' or ')}`;
  return `${escapeControls(pattern)} (${kind}${condition})`;
}

function describeOutcome({ outcome }: RouteCandidate): string {
  return outcome === 'not-offered'
    ? 'the client offers no such protocol'
    : 'comes after the one that takes it';
}

/** A client that no network and no limit keeps out: what is explained holds for those who are let in. */
const ANYBODY: Client = {
  peer: UNIX_PEER,
  listener: { facts: { rules: null, scope: null }, text: '' },
  ticket: null,
  ech: null,
  route: null,
};

/** The same, whose hello was opened. */
const ENCRYPTED: Client = {
  ...ANYBODY,
  ech: { kind: 'accepted', configId: 0, outerName: null, isPublicName: true, isHidden: false, openMs: 0 },
};

function withoutLimits(snapshot: Snapshot): Snapshot {
  const routes = snapshot.routes.map(route => ({ ...route, rules: null, scope: null }));
  return { ...snapshot, routes, scope: null, asksHooks: false };
}

interface Explained extends Decider {
  readonly config: CheckedConfig;
  readonly ech: boolean;
}

/** The names of all its backends are looked up first, so that the order shown has all of them. */
async function describeDecision(
  hello: HelloFacts,
  { config, snapshot, live, ech }: Explained,
): Promise<Line[]> {
  const client = ech ? ENCRYPTED : ANYBODY;
  const open = { snapshot: withoutLimits(snapshot), live };
  const first = decide(hello, client, open);
  const action = snapshot.routes.find(({ name }) => 'route' in first && name === first.route)?.action;
  if (first.kind === 'user') return [['decides', FUNCTION_DECIDES]];
  if (action?.kind !== 'relay') return first.kind === 'resolve' ? [] : describeVerdict(first);
  const cache = new AddressCache(config.resolver);
  const { resolver, found } = recordAddresses(cache);
  const guard = createAddressGuard({ ...config, ownListeners: () => ownListeners(config) });
  const { policies, dialTimeoutMs: timeoutMs } = config;
  await publishNames(action.pool, { resolver, guard, live, timeoutMs });
  // A fresh snapshot: the first decision has used up a turn.
  const decision = decide(hello, client, { snapshot: withoutLimits(createSnapshot(config)), live });
  const context = { resolver, guard, policies, timeoutMs };
  const verdict =
    decision.kind === 'relay' || decision.kind === 'reject' ? decision : await settleName(decision, context);
  cache.close();
  const asked =
    decision.kind === 'resolve'
      ? decision.backends.map(({ target, fromClient }) => ({ target, fromClient }))
      : [];
  const named = action.pool.backends.map(({ backend: target }) => ({ target, fromClient: false }));
  const lookUps = describeLookUps([...named, ...asked.filter(({ fromClient }) => fromClient)], found, guard);
  return [...describePool(action.pool), ...lookUps, ...describeVerdict(verdict)];
}

/** A route with a pool asks for names, and for nothing else. */
async function settleName(question: Question, context: SettleContext): Promise<Verdict> {
  if (question.kind === 'resolve') return await settle(question, context);
  throw new SniwayError('ERR_INVARIANT', 'a function was asked for where none is');
}

interface Finder {
  readonly resolver: NameResolver;
  readonly guard: AddressGuard;
  readonly live: Live;
  readonly timeoutMs: number;
}

async function publishNames(
  { backends }: PlainPool,
  { resolver, guard, live, timeoutMs }: Finder,
): Promise<void> {
  const publisher = new AddressPublisher({
    backends: backends.map(({ backend }) => backend),
    guard,
    publish: published => live.addresses.update(published),
  });
  await Promise.all(
    publisher.hosts.map(async host => {
      // What leads nowhere is asked for again by the decision, which says so.
      const addresses = await resolver.resolve(host, { timeoutMs, fromClient: false }).catch(() => null);
      publisher.change(host, addresses);
    }),
  );
}

interface Recorder {
  readonly resolver: NameResolver;
  /** Where a name that was looked up leads, nowhere if that failed; null if it was not. */
  readonly found: (host: string) => CachedAddresses | null;
}

/** Keeps what was found, so that the addresses shown are those that were decided on. */
function recordAddresses(resolver: NameResolver): Recorder {
  const found = new Map<string, CachedAddresses>();
  return {
    found: host => found.get(host) ?? null,
    resolver: {
      async resolve(name, options) {
        found.set(name, { targets: [] });
        const addresses = await resolver.resolve(name, options);
        found.set(name, addresses);
        return addresses;
      },
    },
  };
}

interface NamedTarget {
  readonly target: Backend;
  readonly fromClient: boolean;
}

/** Each name, then the addresses that were found, with the reason if the guard refuses one. */
function describeLookUps(
  targets: readonly NamedTarget[],
  found: Recorder['found'],
  guard: AddressGuard,
): Line[] {
  return targets.flatMap(({ target, fromClient }) => {
    const host = lookUpName(target);
    const addresses = host === null ? null : found(host);
    if (host === null || addresses === null) return [];
    const lines = dialOrder(addresses, portOf(target)).map((endpoint): Line => {
      const refusal = guard.refusal(endpoint, fromClient);
      return ['', `${formatEndpoint(endpoint)} ${refusal === null ? 'allowed' : `refused: ${refusal}`}`];
    });
    return [['look-up', escapeControls(host)] as const, ...lines];
  });
}

function describeVerdict(verdict: Verdict): Line[] {
  if (verdict.kind === 'relay') {
    const dialled = verdict.candidates.map(({ endpoint }) => formatEndpoint(endpoint));
    return [['dials', dialled.join(', ')]];
  }
  const detail = verdict.detail === null ? '' : ` (${escapeControls(verdict.detail)})`;
  return [
    ['end', `${verdict.endReason}${detail}`],
    ['client', `sees ${describeAnswer(verdict.answer)}`],
  ];
}

function describeAnswer(answer: RejectVerdict['answer']): string {
  if (answer.kind === 'flight') return 'the keys to use';
  if (answer.kind === 'close') return 'an orderly close, without an alert';
  if (answer.kind === 'reset') return 'a connection reset';
  return `the alert ${alertName(answer.description) ?? answer.description}`;
}

function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return escapeControls(`unix:${endpoint.path}`);
  const { address, port } = endpoint;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}
