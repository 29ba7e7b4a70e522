/** Composition root of a worker thread: one reactor with its own snapshot, accepting until it is told to end. */
import { nowMs } from './clock.ts';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { decide, decideRefusal } from '../../decide.ts';
import type { Decider, NameQuestion } from '../../decide.ts';
import type { EndReason, Notice } from '../../events.ts';
import {
  BULK_SCRATCH_BYTES,
  DEFER_ACCEPT_S,
  RECORDS_BATCH_BYTES,
  RECORDS_BYTES_MAX,
  RECORDS_DELAY_MS,
  SCRATCH_BYTES,
  SPIN_MS,
  SPARE_DESCRIPTORS,
} from '../../limits.ts';
import { openLive } from '../../live.ts';
import { createSnapshot } from '../../snapshot.ts';
import type { BackendOutcome, Refusal, RejectVerdict, Verdict } from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import type { PeerAddress } from '../../wire/peer-address.ts';
import { createProxyGates } from '../proxy-in.ts';
import type { ProxyGate } from '../proxy-in.ts';
import { Acceptor } from './acceptor.ts';
import { LinuxConnection } from './connection.ts';
import { defersAccept } from './listen-sockets.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { PipePool } from './pipe-pool.ts';
import { Reactor } from './reactor.ts';
import type { EventOwner } from './reactor.ts';
import { RecordPacker } from './records.ts';
import { DescriptorOwners, WorkerCounters } from './shared-state.ts';
import { Sockets } from './sockets.ts';
import { EPOLLIN } from './syscalls/constants.ts';
import type { Arena } from './syscalls/arena.ts';
import { loadKernel } from './syscalls/load-kernel.ts';
import { errnoName } from './syscalls/system-error.ts';
import type { TakeVerdict, WorkerContext, WorkerHost } from './worker-context.ts';

/** Events, addresses and other small things, beside the two scratch buffers. */
const ARENA_BYTES = SCRATCH_BYTES + BULK_SCRATCH_BYTES + 64 * 1024;

class LinuxWorker implements WorkerHost, EventOwner {
  readonly #start: WorkerStart;
  readonly #context: WorkerContext;
  readonly #decider: Decider;
  readonly #counters: WorkerCounters;
  readonly #records = new RecordPacker(2 * RECORDS_BATCH_BYTES);
  readonly #connections = new Set<LinuxConnection>();
  readonly #questions = new Map<number, TakeVerdict>();
  readonly #helloTimeoutMs: number;
  /** By listener. */
  readonly #gates: readonly (ProxyGate | null)[];
  #acceptors: Acceptor[] = [];
  #nextQuestion = 1;
  #idleWatched = false;
  #recordsSinceMs = 0;

  constructor(start: WorkerStart, context: Omit<WorkerContext, 'host' | 'settings'>) {
    this.#start = start;
    this.#context = { ...context, settings: start.settings, host: this };
    const live = openLive(start.plain, start.shared, start.index);
    live.addresses.update(start.addresses);
    this.#decider = { snapshot: createSnapshot(start.plain), live };
    this.#counters = new WorkerCounters(start.counters);
    this.#gates = createProxyGates(start.plain.listeners);
    const { helloTimeoutMs } = start.settings;
    // A client that comes without a byte was held back by the kernel for that long.
    this.#helloTimeoutMs = helloTimeoutMs - (defersAccept(start.settings) ? DEFER_ACCEPT_S * 1000 : 0);
  }

  run(): void {
    const { reactor, sockets } = this.#context;
    sockets.keepReserve(SPARE_DESCRIPTORS);
    reactor.watch(this.#start.wakeFd, EPOLLIN, this, 0);
    this.#acceptors = this.#start.listeners.map(
      ({ fd, text }, listener) =>
        new Acceptor(this.#context, {
          fd,
          text,
          accept: (socket, peer) => this.#accept(socket, peer, listener),
          refused: (peer, errno) => this.#refused(peer, listener, errno),
        }),
    );
    this.#tell({ kind: 'ready' });
    reactor.run(() => this.#beforeSleep());
    this.#flushRecords();
  }

  // For the connections.

  get wantsRecords(): boolean {
    return this.#counters.wantsEnded;
  }

  decide(hello: ClientHello, client: PeerAddress): Verdict | NameQuestion {
    return decide(hello, client, this.#decider);
  }

  refuse(refusal: Refusal): RejectVerdict {
    return decideRefusal(refusal, this.#decider.snapshot.policies);
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

  ask(ask: NameQuestion, take: TakeVerdict): number {
    const question = this.#nextQuestion++;
    this.#questions.set(question, take);
    this.#tell({ kind: 'question', question, ask });
    return question;
  }

  forget(question: number): void {
    this.#questions.delete(question);
  }

  ended(connection: LinuxConnection, endReason: EndReason): void {
    this.#connections.delete(connection);
    this.#counters.countEnded(endReason);
    if (this.#counters.wantsEnded) {
      this.#makeRoom();
      this.#records.addEnded(connection, endReason);
    }
    this.#checkIdle();
  }

  notice(level: Notice['level'], message: string): void {
    this.#tell({ kind: 'notice', notice: { level, message } });
  }

  // For the reactor: the main thread has sent something.

  onEvents(): void {
    const { kernel, scratch } = this.#context.sockets;
    kernel.read(this.#start.wakeFd, scratch.address, 8);
    for (;;) {
      const received = receiveMessageOnPort(this.#start.port);
      if (received === undefined) return;
      this.#onMessage(received.message as ToWorker);
    }
  }

  onFault(error: unknown): void {
    throw error;
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case 'answer': {
        const take = this.#questions.get(message.question);
        this.#questions.delete(message.question);
        take?.(message.verdict);
        return;
      }
      case 'stop-listening':
        for (const acceptor of this.#acceptors) acceptor.close();
        this.#acceptors = [];
        this.#tell({ kind: 'stopped' });
        return;
      case 'terminate':
        for (const connection of this.#connections) connection.terminate(message.endReason);
        return;
      case 'addresses':
        this.#decider.live.addresses.update(message.addresses);
        return;
      case 'end-backend':
        for (const connection of this.#connections) connection.endBackend(message.backend);
        return;
      case 'watch-idle':
        this.#idleWatched = true;
        this.#checkIdle();
        return;
      case 'exit':
        this.#context.reactor.stop();
    }
  }

  #accept(fd: number, peer: PeerAddress, listener: number): void {
    const connection = this.#admit(fd, peer, listener);
    const gate = this.#gates[listener] ?? null;
    try {
      if (gate === null) connection.start(this.#helloTimeoutMs, null);
      else
        connection.start(
          this.#start.settings.helloTimeoutMs,
          gate.trusts(peer, peer.family === 0) ? gate : null,
        );
    } catch (error) {
      connection.onFault(error);
    }
  }

  #refused(peer: PeerAddress, listener: number, errno: number): void {
    const connection = this.#admit(-1, peer, listener);
    connection.detail = errnoName(errno);
    this.ended(connection, 'limit');
  }

  #admit(fd: number, peer: PeerAddress, listener: number): LinuxConnection {
    const { index, workers } = this.#start;
    const id = this.#counters.countAccepted() * workers + index + 1;
    const accepted = { fd, id, listener, peer };
    const connection = new LinuxConnection(this.#context, accepted);
    this.#connections.add(connection);
    if (this.#counters.wantsOpened) {
      this.#makeRoom();
      this.#records.addOpened(accepted);
    }
    return connection;
  }

  #checkIdle(): void {
    if (!this.#idleWatched || this.#connections.size > 0) return;
    this.#idleWatched = false;
    this.#flushRecords();
    this.#tell({ kind: 'idle' });
  }

  // Records of connections, announced in batches.

  #makeRoom(): void {
    if (this.#records.length === 0) this.#recordsSinceMs = nowMs();
    else if (this.#records.length >= RECORDS_BATCH_BYTES) this.#flushRecords();
  }

  #flushRecords(): void {
    const { count, length } = this.#records;
    if (length === 0) return;
    const bytes = this.#records.take();
    if (this.#counters.recordBytesUnderWay + length > RECORDS_BYTES_MAX) {
      this.#counters.countDropped(count);
      return;
    }
    this.#counters.countRecordsSent(length);
    this.#tell({ kind: 'records', bytes }, [bytes.buffer]);
  }

  /** Records may wait for a moment for others; then a sleep is cut short. */
  #beforeSleep(): number {
    if (this.#records.length === 0) return -1;
    const leftMs = RECORDS_DELAY_MS - (nowMs() - this.#recordsSinceMs);
    if (leftMs > 0) return Math.ceil(leftMs);
    this.#flushRecords();
    return -1;
  }

  #tell(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#start.port.postMessage(message, transfer);
  }
}

function startWorker(start: WorkerStart): void {
  const loaded = loadKernel();
  if (!loaded.ok) throw new Error(loaded.why);
  const { kernel } = loaded;
  const arena: Arena = loaded.createArena(ARENA_BYTES);
  const owners = new DescriptorOwners(start.descriptors);
  const sockets = new Sockets(kernel, arena, { owners, worker: start.index });
  const reactor = new Reactor(kernel, arena, start.settings.spin ? SPIN_MS : 0);
  sockets.adopt(reactor.descriptor);
  const pipes = new PipePool(sockets, reactor, arena);
  new LinuxWorker(start, { sockets, reactor, pipes }).run();
}

startWorker(workerData as WorkerStart);
