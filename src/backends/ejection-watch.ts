/**
 * Finds out on the main thread which backends were ejected, by whichever thread, and when they return. It looks at one
 * number of the ledger as long as nothing happens.
 */
import { EJECTION_POLL_MS } from '../limits.ts';
import type { BackendLedger } from './backend-ledger.ts';

export interface EjectionReports {
  /** A backend is left out, for this long. */
  readonly ejected: (backend: number, forMs: number) => void;
  /** Its time is over, and it is used again. */
  readonly returned: (backend: number) => void;
}

export class EjectionWatch {
  readonly #ledger: BackendLedger;
  readonly #nowMs: () => number;
  readonly #reports: EjectionReports;
  /** When the ejection ends that was told of, by backend. */
  readonly #out = new Map<number, number>();
  #seen = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ledger: BackendLedger, nowMs: () => number, reports: EjectionReports) {
    this.#ledger = ledger;
    this.#nowMs = nowMs;
    this.#reports = reports;
  }

  /** May be called again, once the ledger knows backends. */
  start(): void {
    if (this.#timer !== undefined || this.#ledger.backends.length === 0) return;
    this.#timer = setInterval(() => this.look(), EJECTION_POLL_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Looks once. */
  look(): void {
    const now = this.#nowMs();
    for (const [backend, untilMs] of this.#out) {
      if (untilMs > now) continue;
      this.#out.delete(backend);
      // It may have been ejected anew right after, which is told below.
      this.#reports.returned(backend);
    }
    const soFar = this.#ledger.ejectionsSoFar;
    if (soFar === this.#seen) return;
    this.#seen = soFar;
    for (const backend of this.#ledger.backends) {
      const untilMs = this.#ledger.ejectedUntil(backend);
      if (untilMs <= now || this.#out.has(backend)) continue;
      this.#out.set(backend, untilMs);
      this.#reports.ejected(backend, untilMs - now);
    }
  }
}
