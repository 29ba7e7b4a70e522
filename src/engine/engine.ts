/**
 * The contract between an engine, which moves bytes, and the one path that decides. An engine knows sockets and
 * hellos; it does not know routes, pools or configuration.
 */
import type { BoundAddress, ClientAddress, ConnectionEnded, ConnectionOpened, Notice } from '../events.ts';
import type { NameQuestion } from '../decide.ts';
import type { PlainConfig } from '../snapshot.ts';
import type { Refusal, RejectVerdict, Verdict } from '../verdict.ts';
import type { ClientHello } from '../wire/client-hello.ts';

/** Where to listen. Port 0 lets the kernel choose. `fd` is a listening socket this process inherited. */
export type ListenTarget =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number };

/**
 * What an engine asks and tells. One engine calls it for all its connections; no call may block. An exception or a
 * rejected promise ends that one connection as `internal-error`.
 */
export interface EngineHost {
  /**
   * Called once for each complete hello. `hello` views memory that the engine reuses: it may be read only until the
   * call returns or, if it returns a promise, until that settles. A verdict for a client gone meanwhile is dropped.
   */
  decide(hello: ClientHello, client: ClientAddress): Verdict | Promise<Verdict>;
  /** Answers what a worker thread could not decide alone; never rejects. */
  settle(question: NameQuestion): Promise<Verdict>;
  /** Called when a connection ends before or without a relay; says what the client gets to see. */
  refuse(refusal: Refusal): RejectVerdict;
  /** Called when a connection was accepted. */
  opened(connection: ConnectionOpened): void;
  /** Called exactly once for each connection announced by `opened`, when both its sockets are closed. */
  ended(connection: ConnectionEnded): void;
  notice(notice: Notice): void;
}

export interface EngineSettings {
  /** The checked configuration itself, for engines whose worker threads decide by themselves. */
  readonly plain: PlainConfig;
  readonly helloTimeoutMs: number;
  readonly dialTimeoutMs: number;
}

/** Created with its host and settings; idle until `listen`. */
export interface Engine {
  readonly name: 'portable' | 'linux';
  /** Connections that are open now, those that linger included. */
  readonly connectionCount: number;
  /** Opens all listeners, or none: rejects with a SniwayError `ERR_LISTEN` naming the one that failed. */
  listen(targets: readonly ListenTarget[]): Promise<readonly BoundAddress[]>;
  /** Closes the listeners; running connections go on. May be called more than once. */
  stopListening(): Promise<void>;
  /** Ends every running connection at once, with this reason; resolves when the last socket is closed. */
  terminate(endReason: 'drained' | 'killed'): Promise<void>;
  /** Resolves when no connection is open (at once if none is). */
  idle(): Promise<void>;
}

export type CreateEngine = (host: EngineHost, settings: EngineSettings) => Engine;
