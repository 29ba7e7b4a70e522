/**
 * The fast engine: an epoll reactor on each of several worker threads. This is its main-thread part, the control plane;
 * workers never wait for it but for what they ask.
 */
import { inspect } from 'node:util';
import type { BoundAddress, ConnectionCounts, OpenConnection } from '../../events.ts';
import { SniwayError } from '../../errors.ts';
import { BULK_SCRATCH_BYTES, SCRATCH_BYTES, WORKER_RESTART_MS, WORKER_RESTART_MS_MAX } from '../../limits.ts';
import type {
  ChangingSettings,
  CreateEngine,
  Engine,
  EngineHost,
  EngineSettings,
  ListenTarget,
  ListeningSocket,
  PreparedReload,
} from '../engine.ts';
import type { PublishedAddresses } from '../../live.ts';
import type { RejectVerdict } from '../../verdict.ts';
import { Askers } from './askers.ts';
import { LagProbe } from './lag-probe.ts';
import { ListenerSet } from './listener-set.ts';
import type { FromWorker, ToWorker, WorkerConfig } from './messages.ts';
import { OldestQuestion } from './oldest.ts';
import { RecordInbox } from './record-inbox.ts';
import { DescriptorOwners, WorkerCounters, sumCounts } from './shared-state.ts';
import { Sockets } from './sockets.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK } from './syscalls/constants.ts';
import type { Region } from './syscalls/arena.ts';
import type { LoadedKernel } from './syscalls/load-kernel.ts';
import { orThrow } from './syscalls/system-error.ts';
import { WorkerHandle } from './worker-handle.ts';

type Loaded = Extract<LoadedKernel, { ok: true }>;

/** The engine on a kernel that was found usable. */
export function createLinuxEngine(loaded: Loaded): CreateEngine {
  return (host, settings) => new LinuxEngine(loaded, host, settings);
}

/** Owner number of the main thread's own descriptors. */
const MAIN_THREAD = 0xfffe;
const ARENA_BYTES = SCRATCH_BYTES + BULK_SCRATCH_BYTES + 16 * 1024;

interface Slot {
  readonly counters: WorkerCounters;
  readonly wakeFd: number;
  handle: WorkerHandle | null;
  askers: Askers;
  readonly inbox: RecordInbox;
  restartMs: number;
}

export class LinuxEngine implements Engine {
  readonly name = 'linux';
  readonly #host: EngineHost;
  #settings: EngineSettings;
  readonly #sockets: Sockets;
  readonly #one: Region;
  readonly #owners = new DescriptorOwners();
  readonly #listeners: ListenerSet;
  #slots: Slot[] = [];
  /** Those of the slots, kept when these have gone. */
  #counters: readonly WorkerCounters[] = [];
  /** The addresses of configured names, for workers that are started later. */
  readonly #published = new Map<string, PublishedAddresses>();
  #stopping: Promise<void> | null = null;
  readonly #lags = new LagProbe();
  readonly #oldest = new OldestQuestion();
  /** Who waits for what of a worker, by its index. */
  readonly #awaitReloaded = new Map<number, () => void>();
  readonly #awaitStopped = new Map<number, () => void>();
  readonly #awaitIdle = new Map<number, (() => void)[]>();
  readonly #awaitExit = new Map<number, () => void>();

  constructor({ kernel, createArena }: Loaded, host: EngineHost, settings: EngineSettings) {
    this.#host = host;
    this.#settings = settings;
    const arena = createArena(ARENA_BYTES);
    this.#sockets = new Sockets(kernel, arena, { owners: this.#owners, worker: MAIN_THREAD });
    this.#listeners = new ListenerSet(this.#sockets, settings);
    this.#one = arena.allocate('one', 8);
    this.#one.bytes.writeBigUInt64LE(1n);
  }

  get connectionCount(): number {
    return this.#slots.reduce((sum, { counters }) => sum + counters.open, 0);
  }

  counts(): ConnectionCounts {
    return sumCounts(this.#counters);
  }

  async measureLag(): Promise<readonly number[]> {
    const measured = this.#slots.map(({ handle }, index) =>
      handle === null
        ? Promise.resolve(Number.NaN)
        : this.#lags.measure(index, sentAtMs => handle.tell({ kind: 'probe', sentAtMs })),
    );
    return await Promise.all(measured);
  }

  oldest(most: number): Promise<readonly OpenConnection[]> {
    const tell = ({ handle }: Slot) => handle && (() => handle.tell({ kind: 'list-oldest', most }));
    return this.#oldest.ask(this.#slots.map(tell), most);
  }

  async listen(targets: readonly ListenTarget[]): Promise<readonly BoundAddress[]> {
    const opened = await this.#listeners.prepare(targets, this.#settings);
    if (this.#stopping !== null) {
      opened.abandon();
      return [];
    }
    opened.apply();
    this.#slots = Array.from({ length: this.#settings.workers }, () => this.#createSlot());
    this.#counters = this.#slots.map(({ counters }) => counters);
    const faults = await Promise.all(this.#slots.map((_, index) => this.#startWorker(index)));
    if (faults.every(fault => fault !== null)) {
      await this.stopListening();
      await this.terminate('killed');
      const why = faults[0]?.message ?? 'there are none';
      throw new SniwayError('ERR_ENGINE_UNAVAILABLE', `no worker thread can start: ${why}`, {
        cause: faults[0],
      });
    }
    return opened.addresses;
  }

  async prepare(targets: readonly ListenTarget[], settings: ChangingSettings): Promise<PreparedReload> {
    const opened = await this.#listeners.prepare(targets, settings);
    return {
      addresses: opened.addresses,
      abandon: () => opened.abandon(),
      apply: async () => {
        this.#settings = { ...this.#settings, ...settings };
        const close = opened.apply();
        await Promise.all(this.#slots.map((slot, index) => this.#reloadWorker(index, slot)));
        close();
      },
    };
  }

  stopListening(): Promise<void> {
    this.#stopping ??= this.#stopWorkersListening();
    return this.#stopping;
  }

  listening(): readonly ListeningSocket[] {
    return this.#listeners.sockets();
  }

  keepSocketFiles(keeps: boolean): void {
    this.#listeners.handOver(keeps);
  }

  async terminate(endReason: 'drained' | 'killed'): Promise<void> {
    this.#tellAll({ kind: 'terminate', endReason });
    await this.idle();
    const slots = this.#slots;
    this.#slots = [];
    await Promise.all(slots.map((slot, index) => this.#exit(index, slot)));
    for (const { wakeFd } of slots) this.#sockets.close(wakeFd);
  }

  async idle(): Promise<void> {
    await Promise.all(
      this.#slots.map(
        ({ handle }, index) =>
          new Promise<void>(resolve => {
            if (handle === null) return resolve();
            this.#awaitIdle.set(index, [...(this.#awaitIdle.get(index) ?? []), resolve]);
            handle.tell({ kind: 'watch-idle' });
          }),
      ),
    );
  }

  interestChanged(): void {
    for (const { counters, inbox } of this.#slots) {
      counters.setInterest(this.#host.interest);
      inbox.interestChanged();
    }
  }

  publish(addresses: readonly PublishedAddresses[]): void {
    for (const entry of addresses) {
      const key = `${entry.host}:${entry.port}`;
      if (entry.addresses === null) this.#published.delete(key);
      else this.#published.set(key, entry);
    }
    this.#tellAll({ kind: 'addresses', addresses });
  }

  endBackend(backend: number): void {
    this.#tellAll({ kind: 'end-backend', backend });
  }

  endRoutes(routes: ReadonlySet<string>): void {
    this.#tellAll({ kind: 'end-routes', routes });
  }

  /** Ends a worker as a fault would; for tests of what happens then. */
  async crashWorker(index: number): Promise<void> {
    await this.#slots[index]?.handle?.crash();
  }

  #createSlot(): Slot {
    const { kernel } = this.#sockets;
    const counters = new WorkerCounters();
    counters.setInterest(this.#host.interest);
    const wakeFd = orThrow(kernel, 'eventfd', kernel.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    return {
      counters,
      wakeFd,
      handle: null,
      askers: new Askers(),
      inbox: new RecordInbox(this.#host, counters),
      restartMs: WORKER_RESTART_MS,
    };
  }

  #configOf(worker: number): WorkerConfig {
    const { helloTimeoutMs, pending, dialTimeoutMs, instance, tcp, spin, plain } = this.#settings;
    const hello = { timeoutMs: helloTimeoutMs, pace: pending.pace };
    return {
      plain,
      settings: { hello, dialTimeoutMs, instance, tcp, spin },
      listeners: this.#listeners.of(worker),
    };
  }

  /** Resolves when the worker decides by the settings of now; one that is started later does from the beginning. */
  #reloadWorker(index: number, { handle }: Slot): Promise<void> {
    return new Promise(resolve => {
      if (handle === null) return resolve();
      this.#awaitReloaded.set(index, resolve);
      handle.tell({ kind: 'reload', config: this.#configOf(index) });
    });
  }

  #tellAll(message: ToWorker): void {
    for (const { handle } of this.#slots) handle?.tell(message);
  }

  /** Resolves when the worker accepts, or with the error it has died of before. */
  #startWorker(index: number): Promise<Error | null> {
    const slot = this.#slots[index]!;
    const { shared, workers } = this.#settings;
    const start = {
      ...this.#configOf(index),
      index,
      workers,
      wakeFd: slot.wakeFd,
      descriptors: this.#owners.memory,
      shared,
      addresses: [...this.#published.values()],
    };
    return new Promise(resolve => {
      slot.handle = new WorkerHandle(
        { start, counters: slot.counters, wake: fd => this.#sockets.kernel.write(fd, this.#one.address, 8) },
        {
          message: message =>
            message.kind === 'ready' ? resolve(null) : this.#onMessage(index, slot, message),
          ended: error => {
            slot.handle = null;
            this.#onWorkerEnded(index, slot, error);
            resolve(error ?? new Error('it was told to end'));
          },
        },
      );
    });
  }

  #onMessage(index: number, slot: Slot, message: Exclude<FromWorker, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'records':
        if (slot.inbox.take(message.bytes, this.#listeners.texts)) slot.handle?.tell({ kind: 'list-open' });
        return;
      case 'question':
        void this.#answer(slot, message);
        return;
      case 'forget':
        slot.askers.forget(message.question);
        return;
      case 'notice':
        this.#host.notice(message.notice);
        return;
      case 'dial-failed':
        this.#host.dialFailed(message.route);
        return;
      case 'ech-fault':
        this.#host.echFault(message.fault);
        return;
      case 'reloaded':
        this.#awaitReloaded.get(index)?.();
        return;
      case 'stopped':
        this.#awaitStopped.get(index)?.();
        return;
      case 'open':
        slot.inbox.keepOnly(message.ids);
        return;
      case 'oldest':
        this.#oldest.answered(index, message.connections);
        return;
      case 'lag':
        this.#lags.answered(index, message.ms);
        return;
      case 'idle':
        this.#resolveIdle(index);
    }
  }

  async #answer(slot: Slot, { question, ask }: Extract<FromWorker, { kind: 'question' }>): Promise<void> {
    const { handle, askers } = slot;
    const verdict = await this.#host.settle(ask, askers.open(question)).catch(error => this.#fault(error));
    askers.close(question);
    if (slot.handle === handle) handle?.tell({ kind: 'answer', question, verdict });
  }

  /** What becomes of a connection whose question has failed. */
  #fault(error: unknown): RejectVerdict {
    this.#host.notice({ level: 'error', message: `a question could not be answered: ${inspect(error)}` });
    const answer = { kind: 'reset' } as const;
    return { kind: 'reject', endReason: 'internal-error', answer, route: null, detail: null };
  }

  async #stopWorkersListening(): Promise<void> {
    await Promise.all(
      this.#slots.map(
        ({ handle }, index) =>
          new Promise<void>(resolve => {
            if (handle === null) return resolve();
            this.#awaitStopped.set(index, resolve);
            handle.tell({ kind: 'stop-listening', isHandedOver: this.#listeners.isHandedOver });
          }),
      ),
    );
    this.#awaitStopped.clear();
    this.#listeners.close();
  }

  #resolveIdle(index: number): void {
    const waiters = this.#awaitIdle.get(index) ?? [];
    this.#awaitIdle.delete(index);
    for (const resolve of waiters) resolve();
  }

  #exit(index: number, { handle }: Slot): Promise<void> {
    if (handle === null) return Promise.resolve();
    return new Promise(resolve => {
      this.#awaitExit.set(index, resolve);
      handle.exit();
    });
  }

  #onWorkerEnded(index: number, slot: Slot, error: Error | null): void {
    slot.askers.forgetAll();
    slot.askers = new Askers();
    // A reset: the end of what was relayed so far must not look like its regular end.
    for (const fd of this.#owners.of(index)) this.#sockets.reset(fd);
    this.#awaitExit.get(index)?.();
    if (error === null) return;
    const lost = slot.counters.countLost();
    this.#host.workerDied(index);
    const stack = error.stack ?? error.message;
    this.#host.notice({
      level: 'error',
      message: `worker ${index} died and took ${lost} connections along: ${stack}`,
    });
    slot.inbox.workerDied();
    this.#awaitReloaded.get(index)?.();
    this.#awaitStopped.get(index)?.();
    this.#resolveIdle(index);
    if (this.#stopping === null) this.#restart(index, slot);
  }

  /** A worker that dies at once again and again is given ever more time. */
  #restart(index: number, slot: Slot): void {
    const delayMs = slot.restartMs;
    slot.restartMs = Math.min(2 * delayMs, WORKER_RESTART_MS_MAX);
    setTimeout(() => {
      if (this.#stopping === null) void this.#startWorker(index).then(() => this.#noteRestart(index, slot));
    }, delayMs);
  }

  #noteRestart(index: number, slot: Slot): void {
    if (slot.handle === null) return;
    this.#host.notice({ level: 'info', message: `worker ${index} was replaced` });
    const { handle } = slot;
    setTimeout(() => {
      if (slot.handle === handle) slot.restartMs = WORKER_RESTART_MS;
    }, WORKER_RESTART_MS_MAX).unref();
  }
}
