/**
 * The backends that one dial has taken. However many addresses of a backend it tries at once, it takes the backend once:
 * a connection is one connection.
 */
import type { BackendOutcome } from '../verdict.ts';
import type { EngineHost } from './engine.ts';

/** How an attempt may end without a relay, the one that tells most last. */
const LOSSES = ['unused', 'lost', 'failed'] as const satisfies BackendOutcome[];

export type Loss = (typeof LOSSES)[number];

interface Share {
  readonly backend: number;
  /** Attempts under way. */
  attempts: number;
  worst: Loss;
}

export class BackendShares {
  readonly #host: Pick<EngineHost, 'takeBackend' | 'leaveBackend'>;
  #shares: Share[] = [];

  constructor(host: Pick<EngineHost, 'takeBackend' | 'leaveBackend'>) {
    this.#host = host;
  }

  /** For an attempt at a backend; false if it is at its limit. A backend that nobody counts (-1) always has room. */
  take(backend: number): boolean {
    if (backend === -1) return true;
    const share = this.#find(backend);
    if (share === undefined && !this.#host.takeBackend(backend)) return false;
    if (share === undefined) this.adopt(backend);
    else share.attempts++;
    return true;
  }

  /** Goes on with a backend that was taken already, for one attempt. */
  adopt(backend: number): void {
    if (backend !== -1) this.#shares.push({ backend, attempts: 1, worst: 'unused' });
  }

  /** An attempt is over; the last one of a backend gives it back. */
  leave(backend: number, outcome: Loss): void {
    const share = this.#find(backend);
    if (share === undefined) return;
    if (LOSSES.indexOf(outcome) > LOSSES.indexOf(share.worst)) share.worst = outcome;
    if (--share.attempts > 0) return;
    this.#forget(share);
    this.#host.leaveBackend(backend, share.worst);
  }

  /** The winner's backend is somebody else's to give back. */
  handOver(backend: number): void {
    const share = this.#find(backend);
    if (share !== undefined) this.#forget(share);
  }

  #find(backend: number): Share | undefined {
    return this.#shares.find(share => share.backend === backend);
  }

  #forget(share: Share): void {
    this.#shares = this.#shares.filter(other => other !== share);
  }
}
