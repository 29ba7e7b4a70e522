/** Composition root of a worker thread: one reactor with its own snapshot, accepting until it is told to end. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { admit, decide, decideRefusal } from '../../decide.ts';
import type { Decider, Decision, Question } from '../../decide.ts';
import type { EndReason, Notice } from '../../events.ts';
import {
  BULK_SCRATCH_BYTES,
  DEFER_ACCEPT_S,
  DIAL_FAILED_TELL_MS,
  SCRATCH_BYTES,
  SPIN_MS,
  SPARE_DESCRIPTORS,
} from '../../limits.ts';
import { openLive, trackedBackends } from '../../live.ts';
import { PendingCounts } from '../../limiting/pending-counts.ts';
import { openHello } from '../../open-hello.ts';
import type { OpenedHello } from '../../open-hello.ts';
import { createSnapshot } from '../../snapshot.ts';
import type { PlainConfig } from '../../snapshot.ts';
import type { BackendOutcome, Client, Refusal, RejectVerdict } from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import type { PeerAddress } from '../../wire/peer-address.ts';
import { EchFaults } from '../ech-faults.ts';
import type { EchFault } from '../ech-faults.ts';
import type { HelloDeadline } from '../hello-deadline.ts';
import { PendingHellos } from '../pending-hellos.ts';
import { createProxyGates } from '../proxy-in.ts';
import { nowMs } from './clock.ts';
import { LinuxConnection } from './connection.ts';
import { defersAccept } from './listen-sockets.ts';
import { probeClockMs } from './lag-probe.ts';
import type { FromWorker, ToWorker, WorkerConfig, WorkerStart } from './messages.ts';
import { describeOldest } from './oldest.ts';
import { OpenConnections } from './open-connections.ts';
import { PipePool } from './pipe-pool.ts';
import { Reactor } from './reactor.ts';
import type { EventOwner } from './reactor.ts';
import { RecordOutbox } from './record-outbox.ts';
import { ServedListeners } from './served-listeners.ts';
import type { ListenerTerms, ServedListener } from './served-listeners.ts';
import { DescriptorOwners, WorkerCounters } from './shared-state.ts';
import { Sockets } from './sockets.ts';
import { EPOLLIN } from './syscalls/constants.ts';
import type { Arena } from './syscalls/arena.ts';
import { loadKernel } from './syscalls/load-kernel.ts';
import { errnoName } from './syscalls/system-error.ts';
import type { TakeVerdict, WorkerContext, WorkerHost, WorkerSettings } from './worker-context.ts';

/** Events, addresses and other small things, beside the two scratch buffers. */
const ARENA_BYTES = SCRATCH_BYTES + BULK_SCRATCH_BYTES + 64 * 1024;

class LinuxWorker implements WorkerHost, EventOwner {
  readonly #start: WorkerStart;
  readonly #context: WorkerContext & { settings: WorkerSettings };
  #decider: Decider;
  readonly #counters: WorkerCounters;
  readonly #records: RecordOutbox;
  readonly #connections = new OpenConnections<LinuxConnection>();
  readonly #questions = new Map<number, TakeVerdict>();
  readonly #pending: PendingHellos;
  #deferredHello: HelloDeadline;
  readonly #listeners: ServedListeners;
  /** When it was told last, by route. */
  readonly #dialFailedMs = new Map<string, number>();
  readonly #echFaults = new EchFaults();
  #nextQuestion = 1;
  #idleWatched = false;

  constructor(start: WorkerStart, context: Omit<WorkerContext, 'host' | 'settings'>) {
    this.#start = start;
    this.#deferredHello = deferredHello(start.settings);
    this.#context = { ...context, settings: start.settings, host: this };
    const live = openLive(start.plain, start.shared, start.index);
    live.addresses.update(start.addresses);
    this.#decider = { snapshot: createSnapshot(start.plain), live };
    this.#counters = new WorkerCounters(start.counters);
    this.#records = new RecordOutbox(this.#counters, bytes =>
      this.#tell({ kind: 'records', bytes }, [bytes.buffer]),
    );
    this.#pending = new PendingHellos(...this.#pendingBounds(start.plain));
    this.#listeners = new ServedListeners(this.#context, {
      accept: (fd, peer, listener) => this.#accept(fd, peer, listener),
      refused: (peer, errno, listener) => this.#refused(peer, errno, listener),
    });
  }

  run(): void {
    const { reactor, sockets } = this.#context;
    sockets.keepReserve(SPARE_DESCRIPTORS);
    reactor.watch(this.#start.wakeFd, EPOLLIN, this, 0);
    const { listeners, plain } = this.#start;
    this.#listeners.serve(listeners, this.#terms(plain));
    this.#tell({ kind: 'ready' });
    reactor.run(() => this.#records.beforeSleep());
    this.#records.flush();
  }

  // For the connections.

  get wantsRecords(): boolean {
    return this.#counters.wantsEnded;
  }

  get wantsFingerprints(): boolean {
    return this.#counters.wantsFingerprints;
  }

  decide(hello: ClientHello, client: Client): Decision {
    return decide(hello, client, this.#decider);
  }

  openHello(hello: ClientHello, recordVersion: number, client: Client): OpenedHello {
    return openHello(hello, recordVersion, client, this.#decider);
  }

  echFault(fault: EchFault): void {
    if (this.#echFaults.tells(fault, this.#decider.snapshot.ech)) this.#tell({ kind: 'ech-fault', fault });
  }

  admit(client: Client): RejectVerdict | null {
    return admit(client, this.#decider.snapshot);
  }

  refuse(refusal: Refusal): RejectVerdict {
    if (refusal.kind === 'dial-failed') this.#tellDialFailed(refusal.route);
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

  ask(ask: Question, take: TakeVerdict): number {
    const question = this.#nextQuestion++;
    this.#questions.set(question, take);
    this.#tell({ kind: 'question', question, ask });
    return question;
  }

  forget(question: number): void {
    if (this.#questions.delete(question)) this.#tell({ kind: 'forget', question });
  }

  helloPends(connection: LinuxConnection): boolean {
    const shed = (): void => this.#overLimit(connection, 'pending hellos');
    connection.pending = this.#pending.enter(connection.client.peer, shed);
    if (connection.pending === null) this.#overLimit(connection, 'pending hellos per client');
    return connection.pending !== null;
  }

  helloOver(connection: LinuxConnection): void {
    if (connection.pending !== null) this.#pending.leave(connection.pending);
    connection.pending = null;
  }

  ended(connection: LinuxConnection, endReason: EndReason): void {
    this.helloOver(connection);
    connection.client.ticket?.release();
    this.#connections.delete(connection);
    this.#counters.countEnded(endReason);
    if (this.#counters.wantsEnded) {
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
      case 'reload':
        this.#reload(message.config);
        return;
      case 'stop-listening':
        this.#listeners.close(message.isHandedOver);
        this.#tell({ kind: 'stopped' });
        return;
      case 'terminate':
        for (const connection of this.#connections.list()) connection.terminate(message.endReason);
        return;
      case 'addresses':
        this.#decider.live.addresses.update(message.addresses);
        return;
      case 'end-backend':
        for (const connection of this.#connections.list()) connection.endBackend(message.backend);
        return;
      case 'end-routes':
        for (const connection of this.#connections.list()) {
          const route = connection.route ?? connection.client.route;
          if (route !== null && message.routes.has(route)) connection.terminate('drained');
        }
        return;
      case 'list-open':
        this.#records.flush();
        this.#tell({ kind: 'open', ids: this.#connections.list().map(({ accepted }) => accepted.id) });
        return;
      case 'list-oldest':
        this.#tell({ kind: 'oldest', connections: describeOldest(this.#connections.list(), message.most) });
        return;
      case 'probe':
        this.#tell({ kind: 'lag', ms: probeClockMs() - message.sentAtMs });
        return;
      case 'watch-idle':
        this.#idleWatched = true;
        this.#checkIdle();
        return;
      case 'exit':
        this.#context.reactor.stop();
    }
  }

  /** Connections that are open go on with what was decided for them. */
  #reload({ plain, settings, listeners }: WorkerConfig): void {
    const { live } = this.#decider;
    live.ledger.update(trackedBackends(plain));
    this.#decider = { snapshot: createSnapshot(plain), live };
    this.#context.settings = settings;
    this.#deferredHello = deferredHello(settings);
    this.#pending.update(...this.#pendingBounds(plain));
    this.#listeners.serve(listeners, this.#terms(plain));
    this.#dialFailedMs.clear();
    this.#echFaults.forget();
    this.#tell({ kind: 'reloaded' });
  }

  #terms(plain: PlainConfig): ListenerTerms[] {
    const facts = this.#decider.snapshot.listeners;
    return createProxyGates(plain.listeners).map((gate, index) => ({ gate, facts: facts[index]! }));
  }

  /** A worker's share of them. */
  #pendingBounds({ pending }: PlainConfig): [PendingCounts, number] {
    const most = Math.max(1, Math.floor(pending.all / this.#start.workers));
    return [new PendingCounts(this.#decider.live.limits, pending.perClient), most];
  }

  #accept(fd: number, peer: PeerAddress, listener: ServedListener): void {
    const connection = this.#admit(fd, peer, listener);
    const { gate } = listener;
    try {
      if (gate === null) connection.start(this.#deferredHello, null);
      else connection.start(this.#context.settings.hello, gate.trusts(peer, peer.family === 0) ? gate : null);
    } catch (error) {
      connection.onFault(error);
    }
  }

  #overLimit(connection: LinuxConnection, detail: string): void {
    connection.dismiss(this.refuse({ kind: 'limit', detail }));
  }

  #refused(peer: PeerAddress, errno: number, listener: ServedListener): void {
    const connection = this.#admit(-1, peer, listener);
    connection.detail = errnoName(errno);
    this.ended(connection, 'limit');
  }

  #admit(fd: number, peer: PeerAddress, listener: ServedListener): LinuxConnection {
    const { index, workers } = this.#start;
    const id = this.#counters.countAccepted() * workers + index + 1;
    const accepted = { fd, id, listener, peer, ticket: null, route: null, ech: null };
    const connection = new LinuxConnection(this.#context, accepted);
    this.#connections.add(connection);
    if (this.#counters.wantsOpened) {
      this.#records.addOpened(accepted);
    }
    return connection;
  }

  /** The main thread may learn other addresses; it need not hear of every connection. */
  #tellDialFailed(route: string): void {
    if (nowMs() - (this.#dialFailedMs.get(route) ?? Number.NEGATIVE_INFINITY) < DIAL_FAILED_TELL_MS) return;
    this.#dialFailedMs.set(route, nowMs());
    this.#tell({ kind: 'dial-failed', route });
  }

  #checkIdle(): void {
    if (!this.#idleWatched || this.#connections.size > 0) return;
    this.#idleWatched = false;
    this.#records.flush();
    this.#tell({ kind: 'idle' });
  }

  #tell(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#start.port.postMessage(message, transfer);
  }
}

/** A client that comes without a byte was held back by the kernel for that long. */
function deferredHello({ hello }: WorkerSettings): HelloDeadline {
  const deferredMs = defersAccept({ helloTimeoutMs: hello.timeoutMs }) ? DEFER_ACCEPT_S * 1000 : 0;
  return { ...hello, timeoutMs: hello.timeoutMs - deferredMs };
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
