/**
 * Checks backends while nobody uses them, on the main thread: each one in its own rhythm, a bounded number at once. What
 * it finds goes to its owner when it changes.
 */
import { setMaxListeners } from 'node:events';
import { HEALTH_CHECKS_MAX } from '../limits.ts';
import type { Endpoint, ProxyOut } from '../verdict.ts';
import { checkBackend } from './ech-probe.ts';
import type { BackendCheck } from './ech-probe.ts';
import type { ProbeResult } from './health-probe.ts';
import type { PlainHealth } from './plain-pool.ts';

/** A backend to be checked; `T` is whatever its owner knows it by. */
export interface CheckedBackend<T> {
  readonly owner: T;
  readonly health: PlainHealth;
  /** The PROXY header it expects; null for none. */
  readonly proxy: ProxyOut | null;
}

/** How far the checks of a backend have come. */
export interface HealthProgress {
  readonly state: 'unknown' | 'up' | 'down';
  readonly against: number;
  readonly warnedOfMs: number | null;
  /** When its next check is due, by `performance.now()`. */
  readonly dueAtMs: number;
}

export interface HealthReports<T> {
  /** Where it is now, in the order to try them. @throws if its name leads nowhere. */
  readonly locate: (owner: T, timeoutMs: number) => Promise<readonly Endpoint[]>;
  /** It was up and is down, for this reason, or the other way round. */
  readonly changed: (owner: T, problem: string | null) => void;
  /** Its certificate expires soon; told once for each certificate. */
  readonly expires: (owner: T, expiresAtMs: number) => void;
}

export interface HealthTools<T> {
  /** Where the checks of a backend have been before; null for a new one, which is checked at once. */
  readonly resume?: (owner: T) => HealthProgress | null;
  /** Stand-ins of tests. */
  readonly probe?: (check: BackendCheck) => Promise<ProbeResult>;
  readonly random?: () => number;
}

interface Patient<T> extends CheckedBackend<T> {
  dueAtMs: number;
  /** Assumed to be up until the first check, which alone decides. */
  state: 'unknown' | 'up' | 'down';
  /** Checks in a row that spoke against the state. */
  against: number;
  /** The certificate that was warned of. */
  warnedOfMs: number | null;
  timer: NodeJS.Timeout | undefined;
}

/** Share of the interval by which a check may be early or late, so that checks of many proxies spread out. */
const JITTER = 0.1;
const DAY_MS = 86_400_000;

export class HealthChecker<T> {
  readonly #patients: readonly Patient<T>[];
  readonly #reports: HealthReports<T>;
  readonly #probe: (check: BackendCheck) => Promise<ProbeResult>;
  readonly #random: () => number;
  readonly #closing = new AbortController();
  /** Due, while HEALTH_CHECKS_MAX others are under way; each at most once. */
  readonly #due: Patient<T>[] = [];
  #underWay = 0;

  constructor(
    backends: readonly CheckedBackend<T>[],
    reports: HealthReports<T>,
    { probe = checkBackend, random = Math.random, resume = () => null }: HealthTools<T> = {},
  ) {
    this.#reports = reports;
    this.#probe = probe;
    this.#random = random;
    // Each check listens; beyond ten of them Node would warn of a leak.
    setMaxListeners(HEALTH_CHECKS_MAX, this.#closing.signal);
    this.#patients = backends.map(backend => ({
      ...backend,
      ...(resume(backend.owner) ?? { state: 'unknown', against: 0, warnedOfMs: null, dueAtMs: 0 }),
      timer: undefined,
    }));
  }

  /** Checks each backend at once, or when it is due, and from then on. */
  start(): void {
    const now = performance.now();
    for (const patient of this.#patients) {
      const delayMs = Math.min(patient.dueAtMs - now, patient.health.intervalMs);
      if (delayMs > 0) this.#wait(patient, delayMs);
      else this.#due.push(patient);
    }
    this.#checkDue();
  }

  /** For whoever takes the checks over; each backend by its owner. */
  progress(): ReadonlyMap<T, HealthProgress> {
    return new Map(
      this.#patients.map(({ owner, state, against, warnedOfMs, dueAtMs }) => [
        owner,
        { state, against, warnedOfMs, dueAtMs },
      ]),
    );
  }

  /** Gives up what is under way; nothing is reported any more. */
  close(): void {
    this.#closing.abort();
    this.#due.length = 0;
    for (const { timer } of this.#patients) clearTimeout(timer);
  }

  #checkDue(): void {
    while (this.#underWay < HEALTH_CHECKS_MAX) {
      const patient = this.#due.shift();
      if (patient === undefined) return;
      this.#underWay++;
      void this.#check(patient).then(result => {
        this.#underWay--;
        if (this.#closing.signal.aborted) return;
        this.#schedule(patient);
        this.#judge(patient, result);
        this.#checkDue();
      });
    }
  }

  /** All addresses of a backend share the time of its check; one that is well is enough. */
  async #check({ owner, health, proxy }: Patient<T>): Promise<ProbeResult> {
    const { check, serverName, ech, timeoutMs } = health;
    const { signal } = this.#closing;
    const untilMs = performance.now() + timeoutMs;
    let result: ProbeResult = { problem: 'timeout', expiresAtMs: null };
    try {
      for (const endpoint of await this.#reports.locate(owner, timeoutMs)) {
        const leftMs = untilMs - performance.now();
        if (leftMs <= 0) break;
        const target = { endpoint, proxy, timeoutMs: leftMs, signal };
        result = await this.#probe({ ...target, check, serverName, ech, alpnProtocols: [] });
        if (result.problem === null) break;
      }
    } catch (error) {
      result = { problem: error instanceof Error ? error.message : String(error), expiresAtMs: null };
    }
    return result;
  }

  #schedule(patient: Patient<T>): void {
    const { intervalMs } = patient.health;
    this.#wait(patient, intervalMs * (1 - JITTER + 2 * JITTER * this.#random()));
  }

  #wait(patient: Patient<T>, delayMs: number): void {
    patient.dueAtMs = performance.now() + delayMs;
    patient.timer = setTimeout(() => {
      this.#due.push(patient);
      this.#checkDue();
    }, delayMs);
    patient.timer.unref();
  }

  #judge(patient: Patient<T>, { problem, expiresAtMs }: ProbeResult): void {
    const { health, owner } = patient;
    const found = problem === null ? 'up' : 'down';
    if (found === 'up' && expiresAtMs !== null) this.#watchExpiry(patient, expiresAtMs);
    if (found === patient.state) {
      patient.against = 0;
      return;
    }
    patient.against++;
    const needed = patient.state === 'unknown' ? 1 : found === 'up' ? health.rise : health.fall;
    if (patient.against < needed) return;
    const wasAssumedUp = patient.state !== 'down';
    patient.state = found;
    patient.against = 0;
    if (found === 'down' || !wasAssumedUp) this.#reports.changed(owner, problem);
  }

  #watchExpiry(patient: Patient<T>, expiresAtMs: number): void {
    const isNear = expiresAtMs - Date.now() < patient.health.expiryDays * DAY_MS;
    if (!isNear || patient.warnedOfMs === expiresAtMs) return;
    patient.warnedOfMs = expiresAtMs;
    this.#reports.expires(patient.owner, expiresAtMs);
  }
}
