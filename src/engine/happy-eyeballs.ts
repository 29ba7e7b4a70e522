/**
 * The race between the candidates of a verdict, the addresses of one backend (RFC 8305) and the backends after it, as a
 * state machine without sockets and clocks, so that every engine races alike.
 */
import type { EndReason } from '../events.ts';
import type { BackendOutcome, Candidate, Endpoint } from '../verdict.ts';

/** Dial failures by how much they tell an operator, the most telling last. */
const FAILURES = ['dial-unreachable', 'dial-timeout', 'limit', 'dial-refused'] as const satisfies EndReason[];

export type DialFailureReason = (typeof FAILURES)[number];

export interface DialFailure {
  readonly endReason: DialFailureReason;
  /** The system's error code, such as ECONNREFUSED, with the address it was met at. */
  readonly detail: string;
}

/**
 * One race. The owner dials what `next` gives: once at the start, again when `delayMs` of the last attempt have passed,
 * and at once when an attempt fails. The first connection wins, and the owner closes the others; should the winner turn
 * out to be useless, the race goes on with the candidates that are left.
 */
export class DialRace {
  readonly #candidates: readonly Candidate[];
  #started = 0;
  #running = 0;
  #failure: DialFailure | null = null;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  /** Candidates handed out so far. */
  get started(): number {
    return this.#started;
  }

  /** The next candidate to dial, or null when all have been started. */
  next(): Candidate | null {
    const candidate = this.#candidates[this.#started];
    if (candidate === undefined) return null;
    this.#started++;
    this.#running++;
    return candidate;
  }

  /** Whether there are candidates that have not been dialled yet: if so, the attempt timer must run. */
  get hasMore(): boolean {
    return this.#started < this.#candidates.length;
  }

  /** Milliseconds that the attempt started last gets for itself. */
  get delayMs(): number {
    return this.#candidates[this.#started - 1]?.delayMs ?? 0;
  }

  /** Takes down that one attempt failed; returns the failure of the race when it was the last, else null. */
  fail(failure: DialFailure): DialFailure | null {
    this.#running--;
    if (this.#failure === null || rank(failure) > rank(this.#failure)) this.#failure = failure;
    return this.#running === 0 && !this.hasMore ? this.#failure : null;
  }

  /**
   * How the backend of an attempt that was given up has served: another backend was dialled only because it had not
   * answered in its time.
   */
  judgeLoser(loser: Candidate, winner: Candidate): 'failed' | 'unused' {
    const wasEarlier = this.#candidates.indexOf(loser) < this.#candidates.indexOf(winner);
    return wasEarlier && loser.backend !== winner.backend ? 'failed' : 'unused';
  }

  /** Takes down that an attempt has connected, and that the others were given up. */
  win(): void {
    this.#running = 1;
  }

  /** The failure of a race that its deadline ends. */
  expire(): DialFailure {
    const timeout: DialFailure = { endReason: 'dial-timeout', detail: 'ETIMEDOUT' };
    return this.#failure !== null && rank(this.#failure) > rank(timeout) ? this.#failure : timeout;
  }
}

/** The failure of an attempt that met this system error. */
export function dialFailure(code: string, { endpoint }: Candidate): DialFailure {
  return { endReason: dialFailureReason(code), detail: `${code} ${formatEndpoint(endpoint)}` };
}

/** The failure of a candidate whose backend has as many connections as it may have. */
export function limitFailure({ endpoint }: Candidate): DialFailure {
  return { endReason: 'limit', detail: `maxConnections ${formatEndpoint(endpoint)}` };
}

/** The end reason for a system error met while dialling. */
export function dialFailureReason(code: string): DialFailureReason {
  switch (code) {
    case 'ECONNREFUSED':
      return 'dial-refused';
    case 'ETIMEDOUT':
      return 'dial-timeout';
    case 'EMFILE':
    case 'ENFILE':
      return 'limit';
    default:
      return 'dial-unreachable';
  }
}

/** How a backend has served whose relay has ended: going in the middle says neither that it is well nor that it is not. */
export function relayOutcome(bytesFromBackend: number, endReason: EndReason): BackendOutcome {
  const hasGone = endReason.startsWith('backend-');
  if (bytesFromBackend === 0) return hasGone ? 'lost' : 'unused';
  return hasGone ? 'unused' : 'ended';
}

/** The text form of an endpoint: `10.0.0.5:443`, `[::1]:443` or `unix:/path`. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  return endpoint.family === 6
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

function rank(failure: DialFailure): number {
  return FAILURES.indexOf(failure.endReason);
}
