/** What of a configuration is in force, in words that can be shown, compared and sent. */
import { formatBackend } from '../backends/backend-address.ts';
import type { Balance } from '../backends/plain-pool.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import { formatListenTarget } from '../config/listen-target.ts';
import type { AnswerName, HookName } from '../config/sniway-config.ts';
import type { BoundAddress, EchKeyInfo } from '../events.ts';
import type { PlainClients } from '../limiting/access-rules.ts';
import type { PlainLimits } from '../limiting/limiter.ts';
import type { MalformedAnswer, PlainEch, PlainRoute } from '../snapshot.ts';
import { alertName } from '../wire/tls-alert.ts';

/** What is in force: plain data, frozen, fit for JSON. Further keys may come with later versions. */
export interface ProxySnapshot {
  readonly engine: 'portable' | 'linux';
  /** Threads that move bytes; 0 on the portable engine. */
  readonly workers: number;
  readonly listeners: readonly ListenerSnapshot[];
  /** In the order of the configuration, suffixes behind the routes. */
  readonly routes: readonly RouteSnapshot[];
  /** The hooks that there are. */
  readonly hooks: readonly HookName[];
  readonly policies: Readonly<Record<PolicyName, AnswerName | 'parser'>>;
  readonly timeouts: {
    readonly helloMs: number;
    readonly dialMs: number;
    readonly decideMs: number;
    readonly drainMs: number;
  };
  /** Of all connections together; null if nothing is limited. */
  readonly limits: LimitsSnapshot | null;
  /** Encrypted ClientHello; null where it is not looked at. */
  readonly ech: EchSnapshot | null;
}

type PolicyName = keyof CheckedConfig['policies'];

export interface ListenerSnapshot {
  /** As it is configured: `127.0.0.1:0`, `unix:/path`, `fd:3`. */
  readonly address: string;
  /** As in `BoundAddress.text`; null while it is not open. */
  readonly bound: string | null;
  readonly clients: ClientsSnapshot | null;
  /** Whether PROXY headers are taken. */
  readonly proxyProtocol: boolean;
  readonly limits: LimitsSnapshot | null;
}

export interface RouteSnapshot {
  readonly name: string;
  readonly match: readonly string[];
  /** Empty if every client will do. */
  readonly alpn: readonly string[];
  /** Whether its names are answered in clear, through Encrypted ClientHello, or both. */
  readonly ech: PlainRoute['ech'];
  /** Whether it relays to backends, rejects, or asks a function. */
  readonly action: 'relay' | 'reject' | 'function';
  /** Empty unless it relays. */
  readonly backends: readonly {
    readonly address: string;
    readonly weight: number;
    readonly backup: boolean;
    /** 0 for no limit. */
    readonly maxConnections: number;
  }[];
  readonly balance: Balance | null;
  readonly reject: AnswerName | null;
  readonly clients: ClientsSnapshot | null;
  readonly limits: LimitsSnapshot | null;
  /** What becomes of its connections when a reload removes it. */
  readonly onRemove: 'keep' | 'drain' | 'close';
  /** 0 for ever. */
  readonly timeouts: {
    readonly idleMs: number;
    readonly halfCloseMs: number;
    readonly lifetimeMs: number;
  };
}

/** What is done about Encrypted ClientHello, without the bytes of any key. */
export interface EchSnapshot extends Omit<PlainEch, 'keys' | 'retry'> {
  readonly keys: readonly EchKeyInfo[];
  /** Public names whose clients this proxy itself tells of the newest key. */
  readonly retry: readonly string[];
}

/** Networks of clients in CIDR form. */
export type ClientsSnapshot = PlainClients;

/** Limits of all connections together, of each client and of each server name. */
export type LimitsSnapshot = PlainLimits;

export interface ProxyFacts {
  readonly engine: 'portable' | 'linux';
  readonly addresses: readonly BoundAddress[];
}

export function describeProxy(config: CheckedConfig, { engine, addresses }: ProxyFacts): ProxySnapshot {
  const { helloTimeoutMs, dialTimeoutMs, drainTimeoutMs, functions, policies, limits } = config;
  const answers = Object.entries(policies).map(([name, answer]: [string, MalformedAnswer]) => [
    name,
    answerName(answer),
  ]);
  return deepFreeze(
    structuredClone({
      engine,
      workers: engine === 'linux' ? config.workers : 0,
      listeners: config.listen.map((target, index): ListenerSnapshot => {
        const plain = config.listeners[index];
        return {
          address: formatListenTarget(target),
          bound: addresses[index]?.text ?? null,
          clients: plain?.clients ?? null,
          proxyProtocol: (plain?.proxyIn ?? null) !== null,
          limits: plain?.limits ?? null,
        };
      }),
      routes: config.routes.map(describeRoute),
      hooks: (['onHello', 'onVerdict', 'onEnd'] as const).filter(name => functions.hooks[name] !== undefined),
      policies: Object.fromEntries(answers) as ProxySnapshot['policies'],
      timeouts: {
        helloMs: helloTimeoutMs,
        dialMs: dialTimeoutMs,
        decideMs: functions.timeoutMs,
        drainMs: drainTimeoutMs,
      },
      limits,
      ech: describeEch(config),
    }),
  );
}

function describeEch({ ech, echKeys }: CheckedConfig): EchSnapshot | null {
  if (ech === null) return null;
  const { keys: _privateKeys, retry, ...settings } = ech;
  return { ...settings, keys: echKeys, retry: retry.map(({ publicName }) => publicName) };
}

function describeRoute(route: PlainRoute): RouteSnapshot {
  const { name, patterns, alpn, ech, action, clients, limits, onRemove, spans } = route;
  const pool = action.kind === 'relay' ? action.pool : null;
  const backends = (pool?.backends ?? []).map(({ backend, weight, backup, maxConnections }) => ({
    address: formatBackend(backend),
    weight,
    backup,
    maxConnections,
  }));
  return {
    name,
    match: patterns,
    alpn,
    ech,
    action: action.kind,
    backends,
    balance: pool?.balance ?? null,
    reject: action.kind === 'reject' ? (answerName(action.answer) as AnswerName) : null,
    clients,
    limits,
    onRemove,
    timeouts: spans,
  };
}

function answerName(answer: MalformedAnswer): AnswerName | 'parser' {
  return answer.kind === 'alert' ? (alertName(answer.description) ?? 'internal_error') : answer.kind;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
