/**
 * The order and the pace in which the addresses of one backend are dialled (RFC 8305), as a state machine without
 * sockets and clocks, so that every engine races alike.
 */
import type { EndReason } from '../events.ts';
import type { Endpoint } from '../verdict.ts';

/** Dial failures by how much they tell an operator, the most telling last. */
const FAILURES = ['dial-unreachable', 'dial-timeout', 'limit', 'dial-refused'] as const satisfies EndReason[];

export type DialFailureReason = (typeof FAILURES)[number];

export interface DialFailure {
  readonly endReason: DialFailureReason;
  /** The system's error code, such as ECONNREFUSED, with the address it was met at. */
  readonly detail: string;
}

/** Endpoints with the address families taking turns, the family of the first one first (RFC 8305 section 4). */
export function interleaveFamilies(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const familyOf = (endpoint: Endpoint): number => (endpoint.kind === 'tcp' ? endpoint.family : 0);
  const first = endpoints[0] === undefined ? 0 : familyOf(endpoints[0]);
  const preferred = endpoints.filter(endpoint => familyOf(endpoint) === first);
  const others = endpoints.filter(endpoint => familyOf(endpoint) !== first);
  if (others.length === 0) return endpoints;
  const turns = Math.max(preferred.length, others.length);
  return Array.from({ length: turns }, (_, turn) => [preferred[turn], others[turn]])
    .flat()
    .filter(endpoint => endpoint !== undefined);
}

/**
 * One race. The owner dials what `next` gives: once at the start, again whenever DIAL_ATTEMPT_DELAY_MS have passed
 * since the last attempt, and at once when an attempt fails. The first connection wins; the owner closes the others.
 */
export class DialRace {
  readonly #endpoints: readonly Endpoint[];
  #started = 0;
  #failed = 0;
  #failure: DialFailure | null = null;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints.length > 1 ? interleaveFamilies(endpoints) : endpoints;
  }

  /** The next endpoint to dial, or null when all have been started. */
  next(): Endpoint | null {
    const endpoint = this.#endpoints[this.#started];
    if (endpoint === undefined) return null;
    this.#started++;
    return endpoint;
  }

  /** Whether there are endpoints that have not been dialled yet: if so, the attempt timer must run. */
  get hasMore(): boolean {
    return this.#started < this.#endpoints.length;
  }

  /** Takes down that one attempt failed; returns the failure of the race when it was the last, else null. */
  fail(failure: DialFailure): DialFailure | null {
    this.#failed++;
    if (this.#failure === null || rank(failure) > rank(this.#failure)) this.#failure = failure;
    return this.#failed === this.#endpoints.length ? this.#failure : null;
  }

  /** The failure of a race that its deadline ends. */
  expire(): DialFailure {
    const timeout: DialFailure = { endReason: 'dial-timeout', detail: 'ETIMEDOUT' };
    return this.#failure !== null && rank(this.#failure) > rank(timeout) ? this.#failure : timeout;
  }
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
