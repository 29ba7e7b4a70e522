/** What the main thread and its workers say to each other. Whoever is asleep is woken by an eventfd or by its port. */
import type { Question } from '../../decide.ts';
import type { Notice, OpenConnection } from '../../events.ts';
import type { PlainConfig } from '../../snapshot.ts';
import type { PublishedAddresses, SharedMemory } from '../../live.ts';
import type { Verdict } from '../../verdict.ts';
import type { MessagePort } from 'node:worker_threads';
import type { EchFault } from '../ech-faults.ts';
import type { WorkerSettings } from './worker-context.ts';

/** The listening sockets of the main thread's that a worker accepts on, of one listener. */
export interface WorkerListener {
  readonly fds: readonly number[];
  /** Stays the same as long as it is open; see `NumberedListener`. */
  readonly number: number;
  readonly text: string;
  /** Whether it is this process's alone: nobody else accepts on it, or will. */
  readonly owned: boolean;
}

/** What a reload replaces. */
export interface WorkerConfig {
  readonly plain: PlainConfig;
  readonly settings: WorkerSettings;
  /** In the order of the configuration. */
  readonly listeners: readonly WorkerListener[];
}

/** What a worker is started with. */
export interface WorkerStart extends WorkerConfig {
  readonly index: number;
  /** Workers there are; the identifiers of connections step by it. */
  readonly workers: number;
  /** Written to by the main thread when it has sent a message. */
  readonly wakeFd: number;
  readonly counters: SharedArrayBuffer;
  readonly descriptors: SharedArrayBuffer;
  readonly shared: SharedMemory;
  /** Published so far. */
  readonly addresses: readonly PublishedAddresses[];
  readonly port: MessagePort;
}

export type ToWorker =
  | { readonly kind: 'answer'; readonly question: number; readonly verdict: Verdict }
  /** Answered by `reloaded`, when everything is decided by it. */
  | { readonly kind: 'reload'; readonly config: WorkerConfig }
  /** Accepts no more; answered by `stopped`. */
  | { readonly kind: 'stop-listening'; readonly isHandedOver: boolean }
  | { readonly kind: 'terminate'; readonly endReason: 'drained' | 'killed' }
  | { readonly kind: 'addresses'; readonly addresses: readonly PublishedAddresses[] }
  | { readonly kind: 'end-backend'; readonly backend: number }
  | { readonly kind: 'end-routes'; readonly routes: ReadonlySet<string> }
  /** Asks for `open`, after all records so far. */
  | { readonly kind: 'list-open' }
  /** Asks for `oldest`. */
  | { readonly kind: 'list-oldest'; readonly most: number }
  /** Asks for `lag` at once. */
  | { readonly kind: 'probe'; readonly sentAtMs: number }
  /** Asks for `idle` as soon as no connection is open. */
  | { readonly kind: 'watch-idle' }
  | { readonly kind: 'exit' };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'question'; readonly question: number; readonly ask: Question }
  /** The answer to that question is wanted no more. */
  | { readonly kind: 'forget'; readonly question: number }
  | { readonly kind: 'records'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'notice'; readonly notice: Notice }
  /** A connection could connect to nothing; told now and then while connections do. */
  | { readonly kind: 'dial-failed'; readonly route: string }
  /** Told once for each backend by each worker. */
  | { readonly kind: 'ech-fault'; readonly fault: EchFault }
  | { readonly kind: 'reloaded' }
  | { readonly kind: 'stopped' }
  /** Identifiers of the connections that are open. */
  | { readonly kind: 'open'; readonly ids: readonly number[] }
  /** The connections that have been open longest. */
  | { readonly kind: 'oldest'; readonly connections: readonly OpenConnection[] }
  /** How old the `probe` was. */
  | { readonly kind: 'lag'; readonly ms: number }
  | { readonly kind: 'idle' };
