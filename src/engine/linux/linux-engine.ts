/**
 * The fast engine: an epoll reactor on each of several worker threads. This is its main-thread part, the control plane;
 * workers never wait for it but for what they ask.
 */
import type { BoundAddress, ConnectionCounts, ConnectionOpened } from '../../events.ts';
import { SniwayError } from '../../errors.ts';
import { BULK_SCRATCH_BYTES, SCRATCH_BYTES, WORKER_RESTART_MS, WORKER_RESTART_MS_MAX } from '../../limits.ts';
import type { CreateEngine, Engine, EngineHost, EngineSettings, ListenTarget } from '../engine.ts';
import type { PublishedAddresses } from '../../live.ts';
import { Askers } from './askers.ts';
import { LagProbe } from './lag-probe.ts';
import { closeListenSockets, defersAccept, openListenSockets } from './listen-sockets.ts';
import type { ListenSockets } from './listen-sockets.ts';
import type { FromWorker } from './messages.ts';
import { unpackRecords } from './records.ts';
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
  /** Connections announced as opened and not yet as ended; kept only while somebody listens to both. */
  readonly opened: Map<number, ConnectionOpened>;
  restartMs: number;
  droppedRecords: number;
}

export class LinuxEngine implements Engine {
  readonly name = 'linux';
  readonly #host: EngineHost;
  readonly #settings: EngineSettings;
  readonly #sockets: Sockets;
  readonly #one: Region;
  readonly #owners = new DescriptorOwners();
  #listeners: ListenSockets[] = [];
  #slots: Slot[] = [];
  /** Those of the slots, kept when these have gone. */
  #counters: readonly WorkerCounters[] = [];
  #addresses: readonly string[] = [];
  /** The addresses of configured names, for workers that are started later. */
  readonly #published = new Map<string, PublishedAddresses>();
  #stopping: Promise<void> | null = null;
  readonly #lags = new LagProbe();
  /** Who waits for what of a worker, by its index. */
  readonly #awaitStopped = new Map<number, () => void>();
  readonly #awaitIdle = new Map<number, (() => void)[]>();
  readonly #awaitExit = new Map<number, () => void>();

  constructor({ kernel, createArena }: Loaded, host: EngineHost, settings: EngineSettings) {
    this.#host = host;
    this.#settings = settings;
    const arena = createArena(ARENA_BYTES);
    this.#sockets = new Sockets(kernel, arena, { owners: this.#owners, worker: MAIN_THREAD });
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

  async listen(targets: readonly ListenTarget[]): Promise<readonly BoundAddress[]> {
    try {
      for (const [index, target] of targets.entries()) {
        if (this.#stopping !== null) break;
        // A PROXY header has a deadline of its own, which the kernel knows nothing of.
        const expectsHeader = (this.#settings.plain.listeners[index]?.proxyIn ?? null) !== null;
        const defers = !expectsHeader && defersAccept(this.#settings);
        this.#listeners.push(await openListenSockets(this.#sockets, target, { ...this.#settings, defers }));
      }
    } catch (error) {
      this.#closeListeners();
      throw error;
    }
    if (this.#stopping !== null) {
      this.#closeListeners();
      return [];
    }
    const bound = this.#listeners.map(({ address }) => address);
    this.#addresses = bound.map(({ text }) => text);
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
    return bound;
  }

  stopListening(): Promise<void> {
    this.#stopping ??= this.#stopWorkersListening();
    return this.#stopping;
  }

  async terminate(endReason: 'drained' | 'killed'): Promise<void> {
    for (const { handle } of this.#slots) handle?.tell({ kind: 'terminate', endReason });
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
    const { interest } = this.#host;
    for (const { counters, opened } of this.#slots) {
      counters.setInterest(interest);
      if (!interest.ended) opened.clear();
    }
  }

  publish(addresses: readonly PublishedAddresses[]): void {
    for (const entry of addresses) this.#published.set(`${entry.host}:${entry.port}`, entry);
    for (const { handle } of this.#slots) handle?.tell({ kind: 'addresses', addresses });
  }

  endBackend(backend: number): void {
    for (const { handle } of this.#slots) handle?.tell({ kind: 'end-backend', backend });
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
      opened: new Map(),
      restartMs: WORKER_RESTART_MS,
      droppedRecords: 0,
    };
  }

  /** Resolves when the worker accepts, or with the error it has died of before. */
  #startWorker(index: number): Promise<Error | null> {
    const slot = this.#slots[index]!;
    const { helloTimeoutMs, pending, dialTimeoutMs, instance, tcp, spin, plain, shared, workers } =
      this.#settings;
    const listeners = this.#listeners.map(({ fds, address }) => ({ fd: fds[index]!, text: address.text }));
    const hello = { timeoutMs: helloTimeoutMs, pace: pending.pace };
    const settings = { hello, dialTimeoutMs, instance, tcp, spin };
    const start = {
      index,
      workers,
      plain,
      settings,
      listeners,
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
        slot.counters.countRecordsRead(message.bytes.length);
        this.#announce(slot, message.bytes);
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
      case 'stopped':
        this.#awaitStopped.get(index)?.();
        return;
      case 'open':
        this.#forgetUnreported(slot, message.ids);
        return;
      case 'lag':
        this.#lags.answered(index, message.ms);
        return;
      case 'idle':
        this.#resolveIdle(index);
    }
  }

  #announce(slot: Slot, bytes: Uint8Array): void {
    unpackRecords(bytes, this.#addresses, {
      opened: connection => {
        if (this.#host.interest.ended) slot.opened.set(connection.id, connection);
        this.#host.opened(connection);
      },
      ended: connection => {
        slot.opened.delete(connection.id);
        this.#host.ended(connection);
      },
    });
    const { droppedRecords } = slot.counters;
    if (droppedRecords === slot.droppedRecords) return;
    const dropped = droppedRecords - slot.droppedRecords;
    slot.droppedRecords = droppedRecords;
    this.#host.notice({
      level: 'warn',
      message: `${dropped} records of connections were dropped: too slow to read them`,
    });
    slot.handle?.tell({ kind: 'list-open' });
  }

  /** The records of how these connections ended were dropped: nobody will ever take them out. */
  #forgetUnreported({ opened }: Slot, openIds: readonly number[]): void {
    const open = new Set(openIds);
    for (const id of opened.keys()) if (!open.has(id)) opened.delete(id);
  }

  async #answer(slot: Slot, { question, ask }: Extract<FromWorker, { kind: 'question' }>): Promise<void> {
    const { handle, askers } = slot;
    const verdict = await this.#host.settle(ask, askers.open(question));
    askers.close(question);
    if (slot.handle === handle) handle?.tell({ kind: 'answer', question, verdict });
  }

  async #stopWorkersListening(): Promise<void> {
    await Promise.all(
      this.#slots.map(
        ({ handle }, index) =>
          new Promise<void>(resolve => {
            if (handle === null) return resolve();
            this.#awaitStopped.set(index, resolve);
            handle.tell({ kind: 'stop-listening' });
          }),
      ),
    );
    this.#awaitStopped.clear();
    this.#closeListeners();
  }

  #closeListeners(): void {
    for (const listener of this.#listeners) closeListenSockets(this.#sockets, listener);
    this.#listeners = [];
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
    this.#announceLost(slot);
    this.#awaitStopped.get(index)?.();
    this.#resolveIdle(index);
    if (this.#stopping === null) this.#restart(index, slot);
  }

  /** Every connection that was announced as opened is announced as ended, with what is known of it. */
  #announceLost(slot: Slot): void {
    for (const connection of slot.opened.values()) {
      this.#host.ended({
        ...connection,
        peer: null,
        startedAtMs: Date.now(),
        serverName: null,
        rawName: null,
        alpnProtocols: [],
        route: null,
        backend: null,
        attempts: 0,
        helloMs: null,
        resolveMs: null,
        dialMs: null,
        totalMs: 0,
        bytesFromClient: 0,
        bytesFromBackend: 0,
        endReason: 'internal-error',
        detail: 'worker died',
      });
    }
    slot.opened.clear();
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
