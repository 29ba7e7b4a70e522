/** What a proxy is to those who run one. */
import type { EventEmitter } from 'node:events';
import type { SniwayConfig } from './config/sniway-config.ts';
import type {
  BackendChange,
  BackendState,
  BoundAddress,
  ConnectionEnded,
  ConnectionOpened,
  Notice,
  ProxyStats,
} from './events.ts';
import type { LibrarySurface } from './library/surface.ts';

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

/** What a reload has changed. */
export interface ReloadResult {
  /** Addresses bound now. */
  readonly addresses: readonly BoundAddress[];
  /** Those of them that were not bound before. */
  readonly opened: readonly BoundAddress[];
  /** Those that are not bound any more. */
  readonly closed: readonly BoundAddress[];
  /** Names of routes, each in the order of its configuration. */
  readonly routes: {
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
  /** Other settings that have changed, by their keys in the configuration, such as `timeouts`. */
  readonly settings: readonly string[];
  /** Settings that differ from what is in force until the process is started anew, such as `workers`. */
  readonly waiting: readonly string[];
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
  /**
   * Puts another configuration into force while connections go on: everything is checked and every new listener opened
   * first, then all decide by it at once. Connections keep what was decided for them, except where the `onRemove` of a
   * route that is gone says otherwise. One after the other, if it is called again meanwhile.
   * @throws ConfigError with everything that is wrong with the configuration; nothing has changed then, nor after
   * @throws SniwayError `ERR_LISTEN` for an address that cannot be bound, `ERR_STATE` if the proxy does not run, or if
   * more is new than a running proxy has room for.
   */
  reload(config: SniwayConfig): Promise<ReloadResult>;
  /** Stops accepting, waits for running connections, ends what is left. May be called again, to wait no longer. */
  close(options?: CloseOptions): Promise<CloseResult>;
  /** Stops accepting and ends every connection at once, as `killed`. */
  kill(): Promise<void>;
}
