/** The composition root: a checked configuration, one engine, one snapshot. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { createAddressGuard } from './backends/address-guard.ts';
import type { AddressGuard } from './backends/address-guard.ts';
import { BackendKeeper } from './backends/backend-keeper.ts';
import { literalEndpoint } from './backends/pool.ts';
import { inspectConfig, requireSound } from './config/check-config.ts';
import type { CheckedConfig } from './config/check-config.ts';
import type { SniwayConfig } from './config/sniway-config.ts';
import { withoutFunctions } from './config/user-functions.ts';
import { admit, decide, decideRefusal } from './decide.ts';
import type { Decider, SettleContext } from './decide.ts';
import type { Engine, EngineHost, RecordInterest } from './engine/engine.ts';
import { selectEngine } from './engine/select-engine.ts';
import type { SelectedEngine } from './engine/select-engine.ts';
import { ConfigError, SniwayError, describeProblem } from './errors.ts';
import type { ConfigProblem } from './errors.ts';
import type {
  BackendChange,
  BackendState,
  BoundAddress,
  ConnectionEnded,
  ConnectionOpened,
  Notice,
  ProxyStats,
} from './events.ts';
import { describeProxy } from './library/describe-proxy.ts';
import type { ProxySnapshot } from './library/describe-proxy.ts';
import { Diagnostics } from './library/diagnostics.ts';
import { settlesWithin } from './library/settles-within.ts';
import { closeOnAbort } from './library/surface.ts';
import type { DrainOptions, DrainResult, LibrarySurface, ProxyOptions } from './library/surface.ts';
import { createSharedMemory, listBackends, openLive } from './live.ts';
import { PendingCounts } from './limiting/pending-counts.ts';
import { createSnapshot } from './snapshot.ts';
import { UserCode } from './user-code/user-code.ts';
import type { BackendOutcome, Client } from './verdict.ts';

/**
 * Events of a proxy with their arguments. An exception in a listener, or a rejection of an asynchronous one, is
 * announced as a notice and goes no further; one in a listener of `notice` becomes a warning of the process.
 */
export interface ProxyEvents {
  /** A connection was accepted. */
  opened: [connection: ConnectionOpened];
  /** A connection has ended; exactly once for each `opened`. */
  ended: [connection: ConnectionEnded];
  /** A backend of a pool is down or up by its checks, or is left out for a while because it keeps failing. */
  backend: [change: BackendChange];
  /** Something an operator may want to read. */
  notice: [notice: Notice];
}

export interface CloseOptions {
  /**
   * Milliseconds that running connections get to end by themselves; the configured drain time by default, `Infinity`
   * for as long as they take.
   */
  readonly drainTimeoutMs?: number;
}

export interface CloseResult {
  /** Connections that did not end in time and were ended as `drained`. */
  readonly terminated: number;
}

/** A running (or startable) SNI proxy. */
export interface SniProxy extends EventEmitter<ProxyEvents>, LibrarySurface {
  /** Addresses bound; empty before `start` and after `close`. */
  readonly addresses: readonly BoundAddress[];
  /** Connections that are open now. */
  readonly connectionCount: number;
  /**
   * How backends are doing now: those of routes with several, and those with a connection limit or health checks.
   */
  readonly backends: readonly BackendState[];
  /** How it is doing, and what it has counted; costs little, but is no constant. */
  stats(): ProxyStats;
  /**
   * Milliseconds until the loop of each worker thread gets to something new, NaN for one that is being replaced;
   * resolves within a second. Empty on the portable engine.
   */
  measureLag(): Promise<readonly number[]>;
  /** Which engine moves the bytes, and why that one. */
  readonly engine: { readonly name: 'portable' | 'linux'; readonly why: string };
  /**
   * Opens all listeners, or none.
   * @throws SniwayError `ERR_LISTEN` for an address that cannot be bound, `ERR_STATE` if started before,
   * or if it is closed meanwhile.
   * @throws ConfigError if a backend turns out to be one of the proxy's own listeners.
   */
  start(): Promise<readonly BoundAddress[]>;
  /** Stops accepting, waits for running connections, ends what is left. May be called again, to wait no longer. */
  close(options?: CloseOptions): Promise<CloseResult>;
  /** Stops accepting and ends every connection at once, as `killed`. */
  kill(): Promise<void>;
}

/**
 * Creates a proxy; nothing is opened before `start`, which also announces warnings about the configuration, such as a
 * route that nothing reaches, as notices.
 * @throws ConfigError with everything that is wrong with the configuration.
 * @throws SniwayError `ERR_ENGINE_UNAVAILABLE` if the configured engine cannot run here.
 */
export function createProxy(config: SniwayConfig, { signal }: ProxyOptions = {}): SniProxy {
  const inspected = inspectConfig(config);
  const checked = requireSound(inspected);
  const warnings = checked.admin === null ? inspected.problems : [...inspected.problems, NO_ADMIN];
  const proxy = new ComposedProxy(checked, warnings);
  closeOnAbort(proxy, signal);
  return proxy;
}

const NO_ADMIN: ConfigProblem = {
  path: ['admin'],
  message: 'only the sniway command has an admin server: serve what createMetrics(proxy) renders yourself',
  severity: 'warning',
};

/** Like {@link createProxy}, for a configuration that was checked already, and whose warnings were told. */
export function createCheckedProxy(config: CheckedConfig): SniProxy {
  return new ComposedProxy(config, []);
}

/** Enough that no two runs of any proxy ever draw the same. */
const INSTANCE_BYTES = 8;

class ComposedProxy extends EventEmitter<ProxyEvents> implements SniProxy, EngineHost {
  readonly pending: PendingCounts;
  readonly #config: CheckedConfig;
  readonly #warnings: readonly ConfigProblem[];
  readonly #decider: Decider;
  readonly #selected: SelectedEngine;
  readonly #engine: Engine;
  readonly #guard: AddressGuard;
  readonly #keeper: BackendKeeper;
  readonly #settleContext: SettleContext;
  readonly #userCode: UserCode;
  readonly #diagnostics: Diagnostics;
  #addresses: readonly BoundAddress[] = [];
  #state: 'new' | 'started' | 'closing' = 'new';
  #interest: RecordInterest = { opened: false, ended: false };

  constructor(config: CheckedConfig, warnings: readonly ConfigProblem[]) {
    super({ captureRejections: true });
    this.#config = config;
    this.#warnings = warnings;
    const shared = createSharedMemory(config, config.workers);
    this.#decider = { snapshot: createSnapshot(config), live: openLive(config, shared, 0) };
    this.pending = new PendingCounts(this.#decider.live.limits, config.pending.perClient);
    this.#selected = selectEngine(config.engine);
    this.#guard = createAddressGuard({ ...config, ownListeners: () => this.#addresses });
    const { ledger, addresses, nowMs } = this.#decider.live;
    this.#keeper = new BackendKeeper(
      {
        backends: listBackends(config),
        resolver: config.resolver,
        guard: this.#guard,
        ledger,
        addresses,
        nowMs,
      },
      {
        publish: published => this.#engine.publish(published),
        endBackend: backend => this.#engine.endBackend(backend),
        changed: change => this.#announce('backend', change),
        notice: notice => this.notice(notice),
      },
    );
    this.#settleContext = {
      resolver: this.#keeper.names,
      guard: this.#guard,
      policies: config.policies,
      timeoutMs: config.dialTimeoutMs,
    };
    this.#engine = this.#selected.create(this, {
      ...config,
      plain: withoutFunctions(config),
      shared,
      instance: randomBytes(INSTANCE_BYTES).toString('hex'),
    });
    this.#userCode = new UserCode(config.functions, {
      notice: notice => this.notice(notice),
      listenerText: listener => this.#addresses[listener]?.text ?? '',
    });
    this.#diagnostics = this.#followInterest();
    this.#userCode.attach(this);
  }

  get addresses(): readonly BoundAddress[] {
    return this.#addresses;
  }

  get connectionCount(): number {
    return this.#engine.connectionCount;
  }

  get backends(): readonly BackendState[] {
    return this.#keeper.states();
  }

  stats(): ProxyStats {
    const { forgotten, untracked } = this.#decider.live.limits;
    const isListening = this.#state === 'started' && this.#addresses.length > 0;
    return {
      state: this.#isClosing() ? 'draining' : isListening ? 'listening' : 'starting',
      connections: this.#engine.counts(),
      names: this.#keeper.names.stats(),
      limits: { forgotten, untracked },
    };
  }

  measureLag(): Promise<readonly number[]> {
    return this.#engine.measureLag();
  }

  get engine(): { readonly name: 'portable' | 'linux'; readonly why: string } {
    return { name: this.#selected.name, why: this.#selected.why };
  }

  async start(): Promise<readonly BoundAddress[]> {
    if (this.#isClosing()) throw new SniwayError('ERR_STATE', 'the proxy is closed');
    if (this.#state !== 'new') throw new SniwayError('ERR_STATE', 'a proxy can be started once');
    this.#state = 'started';
    for (const warning of this.#warnings) this.notice({ level: 'warn', message: describeProblem(warning) });
    const bound = await this.#engine.listen(this.#config.listen);
    // close() may have come while binding, and found nothing to close yet.
    if (this.#isClosing()) {
      await this.#engine.stopListening();
      throw new SniwayError('ERR_STATE', 'the proxy was closed while it started');
    }
    this.#addresses = bound;
    const loops = this.#findLoops();
    if (loops.length > 0) {
      await this.kill();
      throw new ConfigError(loops);
    }
    this.#keeper.start();
    this.#diagnostics.open();
    return this.#addresses;
  }

  async drain({ timeoutMs = Infinity, signal }: DrainOptions = {}): Promise<DrainResult> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    await settlesWithin(this.#engine.idle(), timeoutMs, signal);
    return { remaining: this.#engine.connectionCount };
  }

  snapshot(): ProxySnapshot {
    return describeProxy(this.#config, { engine: this.#selected.name, addresses: this.#addresses });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async close(options: CloseOptions = {}): Promise<CloseResult> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    const drained = await settlesWithin(
      this.#engine.idle(),
      options.drainTimeoutMs ?? this.#config.drainTimeoutMs,
    );
    const terminated = drained ? 0 : this.#engine.connectionCount;
    await this.#engine.terminate('drained');
    this.#keeper.close();
    this.#diagnostics.close();
    this.#addresses = [];
    return { terminated };
  }

  async kill(): Promise<void> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    await this.#engine.terminate('killed');
    this.#keeper.close();
    this.#diagnostics.close();
    this.#addresses = [];
  }

  // What the engine asks and tells.

  admit(client: Client): ReturnType<EngineHost['admit']> {
    return admit(client, this.#decider.snapshot);
  }

  decide(...[hello, client]: Parameters<EngineHost['decide']>): ReturnType<EngineHost['decide']> {
    const decision = decide(hello, client, this.#decider);
    const isVerdict = decision.kind === 'relay' || decision.kind === 'reject';
    return isVerdict ? decision : this.settle(decision, client);
  }

  settle(...[question, asker]: Parameters<EngineHost['settle']>): ReturnType<EngineHost['settle']> {
    return this.#userCode.settle(question, asker, this.#settleContext);
  }

  refuse(refusal: Parameters<EngineHost['refuse']>[0]): ReturnType<EngineHost['refuse']> {
    if (refusal.kind === 'dial-failed') this.dialFailed(refusal.route);
    return decideRefusal(refusal, this.#config.policies);
  }

  dialFailed(route: string): void {
    this.#keeper.dialFailed(route);
  }

  takeBackend(backend: number): boolean {
    return this.#decider.live.ledger.take(backend);
  }

  leaveBackend(backend: number, outcome: BackendOutcome): void {
    this.#decider.live.ledger.leave(backend, outcome);
  }

  backendAnswered(backend: number): void {
    this.#decider.live.ledger.answered(backend);
  }

  workerDied(worker: number): void {
    this.#decider.live.ledger.giveBack(worker);
    this.#decider.live.limits.forgetOwner(worker);
  }

  get interest(): RecordInterest {
    return this.#interest;
  }

  opened(connection: ConnectionOpened): void {
    this.#announce('opened', connection);
  }

  ended(connection: ConnectionEnded): void {
    this.#announce('ended', connection);
  }

  notice(notice: Notice): void {
    this.#diagnostics.publish('notice', notice);
    try {
      this.emit('notice', notice);
    } catch (error) {
      this.#blame('notice', error);
    }
  }

  /** Called by Node with the rejection of an asynchronous listener. */
  [Symbol.for('nodejs.rejection')](error: unknown, event: string | symbol): void {
    this.#blame(String(event), error);
  }

  #isClosing(): boolean {
    return this.#state === 'closing';
  }

  /** Engines spare themselves the records that nobody listens for. */
  #followInterest(): Diagnostics {
    const note = (event: string | symbol, wanted: boolean): void => {
      if (event !== 'opened' && event !== 'ended') return;
      this.#interest = { ...this.#interest, [event]: wanted || diagnostics.wants(event) };
      this.#engine.interestChanged();
    };
    const events = this as EventEmitter;
    const diagnostics = new Diagnostics(this, event => note(event, events.listenerCount(event) > 0));
    events.on('newListener', (event: string | symbol) => note(event, true));
    events.on('removeListener', (event: string | symbol) => note(event, events.listenerCount(event) > 0));
    return diagnostics;
  }

  #announce<Event extends keyof ProxyEvents>(event: Event, told: ProxyEvents[Event][0]): void {
    this.#diagnostics.publish(event, told);
    try {
      (this as EventEmitter).emit(event, told);
    } catch (error) {
      this.#blame(event, error);
    }
  }

  /** A faulty listener must not end a process that carries other people's connections. */
  #blame(event: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const message = `a listener of '${event}' failed: ${text}`;
    if (event === 'notice') process.emitWarning(message, 'SniwayWarning');
    else this.notice({ level: 'error', message });
  }

  /** Addresses that only binding made known (port 0, inherited sockets) may turn a backend into a loop. */
  #findLoops(): readonly ConfigProblem[] {
    return this.#decider.snapshot.routes.flatMap(({ name, action }) =>
      (action.kind === 'relay' ? action.pool.backends : []).flatMap(({ backend }) => {
        const endpoint = literalEndpoint(backend);
        const reason = endpoint === null ? null : this.#guard.refusal(endpoint, false);
        const message = `the backend of route '${name}' would loop: ${reason}`;
        return reason === null ? [] : [{ path: ['routes'], message, severity: 'error' as const }];
      }),
    );
  }
}
