/**
 * The contract between an engine, which moves bytes, and the one path that decides. An engine knows sockets and
 * hellos; it does not know routes, pools or configuration.
 */
import type {
  BoundAddress,
  ConnectionCounts,
  ConnectionEnded,
  ConnectionOpened,
  Notice,
  OpenConnection,
} from '../events.ts';
import type { Question } from '../decide.ts';
import type { PublishedAddresses, SharedMemory } from '../live.ts';
import type { OpenedHello } from '../open-hello.ts';
import type { PendingLimits, PlainConfig } from '../snapshot.ts';
import type {
  Asker,
  BackendOutcome,
  Client,
  Refusal,
  RejectVerdict,
  Verdict,
  ListenerFacts,
} from '../verdict.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import type { EchFault } from './ech-faults.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import type { PendingCounts } from './pending-hellos.ts';

/**
 * Where to listen. Port 0 lets the kernel choose. `fd` is a listening socket this process inherited, by its number or by
 * the name its service manager has given it.
 */
export type ListenTarget =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number | string };

/** A listening socket that is open; a listener may have several. */
export interface ListeningSocket {
  readonly target: ListenTarget;
  readonly address: BoundAddress;
  /** Stays the engine's: it may be given to another process, not closed. */
  readonly fd: number;
}

/**
 * What an engine asks and tells. One engine calls it for all its connections; no call may block. An exception or a
 * rejected promise ends that one connection as `internal-error`.
 */
export interface EngineHost {
  /**
   * Called once for each complete hello. `hello` views memory that the engine reuses: it may be read only until the
   * call returns or, if it returns a promise, until that settles. A verdict for a client gone meanwhile is dropped.
   * `client` is the one that a trusted proxy has named, where one has.
   */
  decide(hello: ClientHello, client: Client): Verdict | Promise<Verdict>;
  /**
   * Called once for each complete hello, before `decide`: an encrypted one that can be opened counts in its place, and an
   * illegal one is refused. `recordVersion` is that of the record it came in.
   */
  openHello(hello: ClientHello, recordVersion: number, client: Client): OpenedHello;
  /** Called when a backend is found not to know inner hellos, for every connection if need be. */
  echFault(fault: EchFault): void;
  /** What holds for those who connect to the listener of this index in the configuration in force. */
  listener(index: number): ListenerFacts;
  /** Called when a client was accepted, before anything of it is read: a verdict if it is refused, or null. */
  admit(client: Client): RejectVerdict | null;
  /** Counts connections whose hello has not come, for each client. */
  readonly pending: PendingCounts;
  /**
   * Answers what a worker thread could not decide alone; never rejects. Whoever asks calls `gone` of the asker, if it is
   * set, when the client has gone before.
   */
  settle(question: Question, asker: Asker): Promise<Verdict>;
  /**
   * Called when a connection ends before or without a relay; says what the client gets to see. Engines whose worker
   * threads refuse by themselves call `dialFailed` instead.
   */
  refuse(refusal: Refusal): RejectVerdict;
  /**
   * Called before a candidate whose `backend` is not -1 is dialled; false: it is at its limit, and the next one is
   * tried at once. Each one taken is given back by exactly one `leaveBackend`.
   */
  takeBackend(backend: number): boolean;
  /** Called once the socket of a backend that was taken is closed, or when connecting to it has failed. */
  leaveBackend(backend: number, outcome: BackendOutcome): void;
  /** Called with a backend that was taken when its first byte has come. */
  backendAnswered(backend: number): void;
  /** Called when connections of a route could connect to nothing, now and then while they do. */
  dialFailed(route: string): void;
  /** Called when a worker thread has died with its connections: what it had taken counts no more. */
  workerDied(worker: number): void;
  /** Called when a connection was accepted. */
  opened(connection: ConnectionOpened): void;
  /** Called exactly once for each connection announced by `opened`, when both its sockets are closed. */
  ended(connection: ConnectionEnded): void;
  notice(notice: Notice): void;
  /** Engines may spare themselves the calls of `opened` and `ended` that nobody wants. */
  readonly interest: RecordInterest;
}

/** How the kernel finds out that a peer's network is gone (tcp(7)). */
export interface TcpSettings {
  /** Silence before the first keepalive probe; 0 for no probes. */
  readonly keepaliveIdleMs: number;
  /** Between two unanswered probes; Node knows no such setting, the portable engine probes every second. */
  readonly keepaliveIntervalMs: number;
  /** Unanswered probes after which the peer counts as gone; 10 on the portable engine. */
  readonly keepaliveProbes: number;
  /** Time that sent bytes may stay unacknowledged, or a peer's window closed; 0 for the kernel's own patience. */
  readonly userTimeoutMs: number;
}

/** What the host wants to hear of each connection. */
export interface RecordInterest {
  readonly opened: boolean;
  readonly ended: boolean;
  /** Whether the record of the end is to have the client's JA3 and JA4, which take a moment to compute. */
  readonly fingerprints: boolean;
}

/** The settings that may change while an engine runs. */
export interface ChangingSettings {
  /** The checked configuration itself, for engines whose worker threads decide by themselves. */
  readonly plain: PlainConfig;
  readonly helloTimeoutMs: number;
  /** Bounds on connections whose hello has not come; `all` of them are shared out among the workers. */
  readonly pending: PendingLimits;
  readonly dialTimeoutMs: number;
  readonly tcp: TcpSettings;
}

export interface EngineSettings extends ChangingSettings {
  /** What those threads and the main thread know of each other; see live.ts. */
  readonly shared: SharedMemory;
  /** Differs for each proxy and each run: what identifiers of connections begin with. */
  readonly instance: string;
  /** Worker threads, for engines that have them. */
  readonly workers: number;
  /** Whether workers may poll for a moment before they sleep. */
  readonly spin: boolean;
  /** Sockets this process was started with, which listeners take over; none if left out. */
  readonly inherited?: InheritedSockets;
}

/** Listeners that are open and not in use yet. */
export interface PreparedReload {
  /** What will be listened on, in the order of the targets. */
  readonly addresses: readonly BoundAddress[];
  /**
   * Puts the reload into force: what was opened is accepted on, what is not wanted any more is closed once its queue is
   * accepted. Resolves when all threads decide by the new settings. The host must decide by them already.
   */
  apply(): Promise<void>;
  /** Closes what was opened: everything stays as it was. */
  abandon(): void;
}

/** Created with its host and settings; idle until `listen`. */
export interface Engine {
  readonly name: 'portable' | 'linux';
  /** Connections that are open now, those that linger included. */
  readonly connectionCount: number;
  /** Counted since the engine was created, and kept when it has ended. */
  counts(): ConnectionCounts;
  /**
   * Milliseconds until each worker thread gets to something new, NaN for one that is being replaced; resolves within a
   * second. Empty for an engine without such threads.
   */
  measureLag(): Promise<readonly number[]>;
  /** The open connections that were accepted first, oldest first, up to `most`; resolves within a second. */
  oldest(most: number): Promise<readonly OpenConnection[]>;
  /** Opens all listeners, or none: rejects with a SniwayError `ERR_LISTEN` naming the one that failed. */
  listen(targets: readonly ListenTarget[]): Promise<readonly BoundAddress[]>;
  /**
   * Opens the listeners that are not open yet. Nothing has changed if it rejects (as `listen` does), or before `apply`;
   * one reload at a time.
   */
  prepare(targets: readonly ListenTarget[], settings: ChangingSettings): Promise<PreparedReload>;
  /** The listening sockets that are open, for another process to take over. */
  listening(): readonly ListeningSocket[];
  /** Whether another process has the listening sockets, too: files and queues are left to it when they are closed. */
  keepSocketFiles(keeps: boolean): void;
  /** Closes the listeners; running connections go on. May be called more than once. */
  stopListening(): Promise<void>;
  /**
   * Ends every running connection at once, with this reason, and whatever else the engine holds; resolves when the last
   * socket is closed. Nothing can be started again.
   */
  terminate(endReason: 'drained' | 'killed'): Promise<void>;
  /** Resolves when no connection is open (at once if none is). */
  idle(): Promise<void>;
  /** Told when the host's `interest` has changed. */
  interestChanged(): void;
  /**
   * Hands the addresses of configured names to threads that decide by themselves; before `listen`, to those that will.
   * What is published later takes the place of what was before, name by name.
   */
  publish(addresses: readonly PublishedAddresses[]): void;
  /** Ends every relay to this backend at once, as `backend-gone`. */
  endBackend(backend: number): void;
  /** Ends every connection of these routes at once, as `drained`. */
  endRoutes(routes: ReadonlySet<string>): void;
}

export type CreateEngine = (host: EngineHost, settings: EngineSettings) => Engine;
