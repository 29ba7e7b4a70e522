/** What embedding programs have of a proxy beside starting and closing it. */
import type { ProxySnapshot } from './describe-proxy.ts';

export interface ProxyOptions {
  /**
   * When it is aborted, the proxy is closed as by `close()`: it accepts no more, and running connections get the
   * configured drain time. A proxy whose signal is aborted already cannot be started.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface DrainOptions {
  /** Milliseconds to wait for running connections; by default as long as they take. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting, not the connections. */
  readonly signal?: AbortSignal | undefined;
}

export interface DrainResult {
  /** Connections that are open still; 0 if all have ended. */
  readonly remaining: number;
}

export interface LibrarySurface {
  /**
   * Stops accepting, and waits until no connection is open, the time is over or the signal is aborted. No connection is
   * ended: `close` or `kill` does that afterwards, and gives back what the proxy holds.
   */
  drain(options?: DrainOptions): Promise<DrainResult>;
  /** What is in force now. Takes as long as there are routes to describe. */
  snapshot(): ProxySnapshot;
  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Closes the proxy when the signal is aborted. The signal may live for ever, and keeps no proxy alive. */
export function closeOnAbort(proxy: { close(): Promise<unknown> }, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const reference = new WeakRef(proxy);
  // A failure is not for anybody to hear; whoever wants to know when it is closed calls close() as well.
  const close = (): void =>
    void reference
      .deref()
      ?.close()
      .catch(() => undefined);
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
}
