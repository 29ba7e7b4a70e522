/** What the connections of one worker share, and what they ask and tell of the outside. */
import type { EndReason, Notice } from '../../events.ts';
import type { Decision, Question } from '../../decide.ts';
import type { BackendOutcome, Client, Refusal, RejectVerdict, Verdict } from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import type { TcpSettings } from '../engine.ts';
import type { OpenedHello } from '../../open-hello.ts';
import type { EchFault } from '../ech-faults.ts';
import type { HelloDeadline } from '../hello-deadline.ts';
import type { PipePool } from './pipe-pool.ts';
import type { Reactor } from './reactor.ts';
import type { Sockets } from './sockets.ts';
import type { LinuxConnection } from './connection.ts';

export interface WorkerSettings {
  /** As in EngineSettings. */
  readonly instance: string;
  readonly hello: HelloDeadline;
  readonly dialTimeoutMs: number;
  readonly tcp: TcpSettings;
  readonly spin: boolean;
}

/** Takes the answer to a question, once. */
export type TakeVerdict = (verdict: Verdict) => void;

/** The part of a worker that knows configuration and the main thread. */
export interface WorkerHost {
  /** Decides at once, or gives the question that has to be asked; `hello` lives only until it returns. */
  decide(hello: ClientHello, client: Client): Decision;
  /** As in EngineHost. */
  openHello(hello: ClientHello, recordVersion: number, client: Client): OpenedHello;
  echFault(fault: EchFault): void;
  /** Called for each client before its hello is read; a verdict if it may not use the listener. */
  admit(client: Client): RejectVerdict | null;
  refuse(refusal: Refusal): RejectVerdict;
  /** Called when the hello has not come with the first bytes; false if the connection was ended instead. */
  helloPends(connection: LinuxConnection): boolean;
  /** Called when a hello is not waited for any more. */
  helloOver(connection: LinuxConnection): void;
  /** Asks the main thread; answers a number to `forget` the question by. */
  ask(question: Question, take: TakeVerdict): number;
  forget(question: number): void;
  /** These three as in EngineHost. */
  takeBackend(backend: number): boolean;
  leaveBackend(backend: number, outcome: BackendOutcome): void;
  backendAnswered(backend: number): void;
  /** Whether anybody wants to hear how connections end; if not, what only records need is not collected. */
  readonly wantsRecords: boolean;
  /** Whether records are to have JA3 and JA4. */
  readonly wantsFingerprints: boolean;
  /** Called once, when both sockets of a connection are closed. */
  ended(connection: LinuxConnection, endReason: EndReason): void;
  notice(level: Notice['level'], message: string): void;
}

export interface WorkerContext {
  readonly sockets: Sockets;
  readonly reactor: Reactor;
  readonly pipes: PipePool;
  /** Replaced by reloads. */
  readonly settings: WorkerSettings;
  readonly host: WorkerHost;
}
