/** The composition root: a checked configuration, one engine, one snapshot. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { BackendKeeper } from './backends/backend-keeper.ts';
import type { NameResolver } from './backends/names.ts';
import { inspectConfig, requireSound } from './config/check-config.ts';
import type { CheckedConfig } from './config/check-config.ts';
import type { SniwayConfig } from './config/sniway-config.ts';
import { withoutFunctions } from './config/user-functions.ts';
import { admit, decide, decideRefusal } from './decide.ts';
import { DepartedRoutes } from './departed-routes.ts';
import type { Engine, EngineHost, ListeningSocket, RecordInterest } from './engine/engine.ts';
import type { EchFault } from './engine/ech-faults.ts';
import type { InheritedSockets } from './engine/inherited-sockets.ts';
import { selectEngine } from './engine/select-engine.ts';
import type { SelectedEngine } from './engine/select-engine.ts';
import { SniwayError, describeProblem } from './errors.ts';
import type { ConfigProblem } from './errors.ts';
import type {
  BackendState,
  BoundAddress,
  ConnectionEnded,
  ConnectionOpened,
  Notice,
  OpenConnection,
  ProxyStats,
} from './events.ts';
import { InForce } from './in-force.ts';
import { Announcer } from './library/announcer.ts';
import { describeProxy } from './library/describe-proxy.ts';
import type { ProxySnapshot } from './library/describe-proxy.ts';
import { settlesWithin } from './library/settles-within.ts';
import { closeOnAbort } from './library/surface.ts';
import type { DrainOptions, DrainResult, ProxyOptions } from './library/surface.ts';
import { createSharedMemory, listBackends, openLive, trackedBackends } from './live.ts';
import type { Live } from './live.ts';
import type { PendingCounts } from './limiting/pending-counts.ts';
import { Numbering } from './numbering.ts';
import { openHello } from './open-hello.ts';
import { ReloadQueue } from './reload-queue.ts';
import { describeReload, keepFixed } from './reload-result.ts';
import type { CloseOptions, CloseResult, ProxyEvents, ReloadResult, SniProxy } from './sni-proxy.ts';
import { UserCode } from './user-code/user-code.ts';
import type { BackendOutcome, Client } from './verdict.ts';

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

/** What the command needs beyond what embedders see: its configurations are checked, and their warnings told, already. */
export interface CommandProxy extends SniProxy {
  /** As `reload`; rejects as `load` does, with nothing changed. */
  reloadFrom(load: () => Promise<CheckedConfig>): Promise<ReloadResult>;
  /** The listening sockets, for another process to take over. */
  listening(): readonly ListeningSocket[];
  /** Whether another process has them, too: the files of Unix-domain sockets stay when this one closes. */
  keepSocketFiles(keeps: boolean): void;
  /** The connections that have been open longest, up to `most`. */
  oldest(most: number): Promise<readonly OpenConnection[]>;
}

/**
 * Like {@link createProxy}, for a configuration that was checked already, and whose warnings were told. Listeners take
 * theirs of the `inherited` sockets.
 */
export function createCheckedProxy(config: CheckedConfig, inherited?: InheritedSockets): CommandProxy {
  return new ComposedProxy(config, [], inherited);
}

/** Enough that no two runs of any proxy ever draw the same. */
const INSTANCE_BYTES = 8;

class ComposedProxy extends EventEmitter<ProxyEvents> implements CommandProxy, EngineHost {
  readonly #warnings: readonly ConfigProblem[];
  readonly #numbering: Numbering;
  readonly #live: Live;
  readonly #selected: SelectedEngine;
  readonly #engine: Engine;
  readonly #keeper: BackendKeeper;
  /** Of now, whenever it is asked: a function may take its time, and a reload come meanwhile. */
  readonly #names: NameResolver = { resolve: (...asked) => this.#keeper.names.resolve(...asked) };
  readonly #departed: DepartedRoutes;
  readonly #userCode: UserCode;
  readonly #announcer: Announcer;
  readonly #reloads = new ReloadQueue();
  #inForce: InForce;
  #state: 'new' | 'started' | 'closing' = 'new';

  constructor(config: CheckedConfig, warnings: readonly ConfigProblem[], inherited?: InheritedSockets) {
    super({ captureRejections: true });
    this.#warnings = warnings;
    this.#announcer = new Announcer(this, {
      fingerprints: config.fingerprints,
      changed: () => this.#engine.interestChanged(),
    });
    this.#numbering = new Numbering(config);
    const shared = createSharedMemory(this.#numbering.room, config.workers);
    this.#live = openLive(config, shared, 0);
    this.#inForce = new InForce(config, this.#live);
    this.#selected = selectEngine(config.engine);
    this.#departed = new DepartedRoutes(routes => this.#engine.endRoutes(routes));
    const { resolver } = config;
    this.#keeper = new BackendKeeper(
      { ...this.#live, backends: listBackends(config), resolver, guard: this.#inForce.guard },
      {
        publish: published => this.#engine.publish(published),
        endBackend: backend => this.#engine.endBackend(backend),
        changed: change => this.#announcer.announce('backend', change),
        notice: notice => this.notice(notice),
      },
    );
    this.#engine = this.#selected.create(this, {
      ...config,
      ...(inherited === undefined ? {} : { inherited }),
      plain: withoutFunctions(config),
      shared,
      instance: randomBytes(INSTANCE_BYTES).toString('hex'),
    });
    this.#userCode = new UserCode(config.functions, notice => this.notice(notice));
    this.#userCode.attach(this);
  }

  get addresses(): readonly BoundAddress[] {
    return this.#inForce.addresses;
  }

  get connectionCount(): number {
    return this.#engine.connectionCount;
  }

  get backends(): readonly BackendState[] {
    return this.#keeper.states();
  }

  stats(): ProxyStats {
    const { forgotten, untracked } = this.#live.limits;
    const isListening = this.#state === 'started' && this.addresses.length > 0;
    return {
      state: this.#isClosing() ? 'draining' : isListening ? 'listening' : 'starting',
      connections: this.#engine.counts(),
      names: this.#keeper.names.stats(),
      limits: { forgotten, untracked },
      reloads: this.#reloads.stats(),
      echKeys: this.#inForce.config.echKeys,
    };
  }

  measureLag(): Promise<readonly number[]> {
    return this.#engine.measureLag();
  }

  get engine(): { readonly name: 'portable' | 'linux'; readonly why: string } {
    return { name: this.#selected.name, why: this.#selected.why };
  }

  listening(): readonly ListeningSocket[] {
    return this.#engine.listening();
  }

  keepSocketFiles(keeps: boolean): void {
    this.#engine.keepSocketFiles(keeps);
  }

  oldest(most: number): Promise<readonly OpenConnection[]> {
    return this.#engine.oldest(most);
  }

  async start(): Promise<readonly BoundAddress[]> {
    if (this.#isClosing()) throw new SniwayError('ERR_STATE', 'the proxy is closed');
    if (this.#state !== 'new') throw new SniwayError('ERR_STATE', 'a proxy can be started once');
    this.#state = 'started';
    this.#warn(this.#warnings);
    const bound = await this.#engine.listen(this.#inForce.config.listen);
    // close() may have come while binding, and found nothing to close yet.
    if (this.#isClosing()) {
      await this.#engine.stopListening();
      throw new SniwayError('ERR_STATE', 'the proxy was closed while it started');
    }
    this.#inForce.addresses = bound;
    try {
      this.#inForce.requireNoLoops();
    } catch (error) {
      await this.kill();
      throw error;
    }
    this.#keeper.start();
    this.#announcer.open();
    return this.addresses;
  }

  reload(config: SniwayConfig): Promise<ReloadResult> {
    return this.reloadFrom(() => {
      const inspected = inspectConfig(config);
      const checked = requireSound(inspected);
      this.#warn(inspected.problems);
      return Promise.resolve(checked);
    });
  }

  reloadFrom(load: () => Promise<CheckedConfig>): Promise<ReloadResult> {
    return this.#reloads.run(async () => await this.#replace(await load()));
  }

  /** Everything that can fail comes first. */
  async #replace(config: CheckedConfig): Promise<ReloadResult> {
    this.#requireRunning();
    const before = this.#inForce;
    const { ledger, limits } = this.#live;
    const numbered = this.#numbering.renumber(config, {
      backend: id => ledger.open(id) > 0,
      slot: slot => limits.count(slot) > 0,
    });
    const next = new InForce(keepFixed(before.config, numbered.config), this.#live);
    const prepared = await this.#engine.prepare(config.listen, {
      ...next.config,
      plain: withoutFunctions(next.config),
    });
    next.addresses = prepared.addresses;
    try {
      this.#requireRunning();
      next.requireNoLoops();
    } catch (error) {
      prepared.abandon();
      throw error;
    }
    numbered.commit();
    for (const id of numbered.newBackends) ledger.forget(id);
    ledger.update(trackedBackends(next.config));
    this.#inForce = next;
    this.#userCode.replace(next.config.functions);
    this.#announcer.wantFingerprints(next.config.fingerprints);
    const { resolver } = next.config;
    this.#keeper.update({ backends: listBackends(next.config), resolver, guard: next.guard });
    await prepared.apply();
    this.#departed.update(before.config, next.config);
    return describeReload(before, { config, addresses: next.addresses });
  }

  #requireRunning(): void {
    if (this.#state !== 'started' || this.addresses.length === 0) {
      throw new SniwayError('ERR_STATE', 'only a proxy that is running can reload its configuration');
    }
  }

  async drain({ timeoutMs = Infinity, signal }: DrainOptions = {}): Promise<DrainResult> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    await settlesWithin(this.#engine.idle(), timeoutMs, signal);
    return { remaining: this.#engine.connectionCount };
  }

  snapshot(): ProxySnapshot {
    return describeProxy(this.#inForce.config, {
      engine: this.#selected.name,
      addresses: this.addresses,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async close(options: CloseOptions = {}): Promise<CloseResult> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    const drained = await settlesWithin(
      this.#engine.idle(),
      options.drainTimeoutMs ?? this.#inForce.config.drainTimeoutMs,
    );
    const terminated = drained ? 0 : this.#engine.connectionCount;
    await this.#engine.terminate('drained');
    this.#keeper.close();
    this.#announcer.close();
    this.#departed.close();
    this.#inForce.addresses = [];
    return { terminated };
  }

  async kill(): Promise<void> {
    this.#state = 'closing';
    await this.#engine.stopListening();
    await this.#engine.terminate('killed');
    this.#keeper.close();
    this.#announcer.close();
    this.#departed.close();
    this.#inForce.addresses = [];
  }

  // What the engine asks and tells.

  get pending(): PendingCounts {
    return this.#inForce.pending;
  }

  listener(index: number): ReturnType<EngineHost['listener']> {
    return this.#inForce.decider.snapshot.listeners[index]!;
  }

  admit(client: Client): ReturnType<EngineHost['admit']> {
    return admit(client, this.#inForce.decider.snapshot);
  }

  decide(...[hello, client]: Parameters<EngineHost['decide']>): ReturnType<EngineHost['decide']> {
    const decision = decide(hello, client, this.#inForce.decider);
    const isVerdict = decision.kind === 'relay' || decision.kind === 'reject';
    return isVerdict ? decision : this.settle(decision, client);
  }

  openHello(
    ...[hello, recordVersion, client]: Parameters<EngineHost['openHello']>
  ): ReturnType<EngineHost['openHello']> {
    return openHello(hello, recordVersion, client, this.#inForce.decider);
  }

  echFault(fault: EchFault): void {
    this.#inForce.tellEchFault(fault, notice => this.notice(notice));
  }

  settle(...[question, asker]: Parameters<EngineHost['settle']>): ReturnType<EngineHost['settle']> {
    return this.#userCode.settle(question, asker, this.#inForce.settleContext(this.#names));
  }

  refuse(refusal: Parameters<EngineHost['refuse']>[0]): ReturnType<EngineHost['refuse']> {
    if (refusal.kind === 'dial-failed') this.dialFailed(refusal.route);
    return decideRefusal(refusal, this.#inForce.config.policies);
  }

  dialFailed(route: string): void {
    this.#keeper.dialFailed(route);
  }

  takeBackend(backend: number): boolean {
    return this.#live.ledger.take(backend);
  }

  leaveBackend(backend: number, outcome: BackendOutcome): void {
    this.#live.ledger.leave(backend, outcome);
  }

  backendAnswered(backend: number): void {
    this.#live.ledger.answered(backend);
  }

  workerDied(worker: number): void {
    this.#live.ledger.giveBack(worker);
    this.#live.limits.forgetOwner(worker);
  }

  get interest(): RecordInterest {
    return this.#announcer.interest;
  }

  opened(connection: ConnectionOpened): void {
    this.#announcer.announce('opened', connection);
  }

  ended(connection: ConnectionEnded): void {
    this.#announcer.announce('ended', connection);
  }

  notice(notice: Notice): void {
    this.#announcer.announce('notice', notice);
  }

  /** Called by Node with the rejection of an asynchronous listener. */
  [Symbol.for('nodejs.rejection')](error: unknown, event: string | symbol): void {
    this.#announcer.blame(String(event), error);
  }

  #warn(warnings: readonly ConfigProblem[]): void {
    for (const warning of warnings) this.notice({ level: 'warn', message: describeProblem(warning) });
  }

  #isClosing(): boolean {
    return this.#state === 'closing';
  }
}
