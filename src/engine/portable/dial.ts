/** Dials the candidates of a verdict, raced as RFC 8305 has it. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { RELAY_BUFFER_BYTES } from '../../limits.ts';
import type { EngineHost, TcpSettings } from '../engine.ts';
import type { Candidate, Endpoint } from '../../verdict.ts';
import { DialRace, dialFailure, limitFailure } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import { errorCode } from './sockets.ts';

export interface DialOutcome {
  /**
   * Takes the connected socket over, and its backend that was taken; the socket's listeners are the caller's to add,
   * at once.
   */
  connected(socket: Socket, candidate: Candidate): void;
  failed(failure: DialFailure): void;
}

export interface DialSettings {
  readonly host: Pick<EngineHost, 'takeBackend' | 'leaveBackend'>;
  readonly tcp: TcpSettings;
}

/** One dial; it may go on after its winner was lost. */
export class Dial {
  readonly #settings: DialSettings;
  readonly #outcome: DialOutcome;
  readonly #race: DialRace;
  readonly #attempts = new Map<Socket, Candidate>();
  #attemptTimer: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #last: Candidate | null = null;

  constructor(candidates: readonly Candidate[], settings: DialSettings, outcome: DialOutcome) {
    this.#settings = settings;
    this.#outcome = outcome;
    this.#race = new DialRace(candidates);
  }

  /** The candidate dialled last; null if none was. */
  get last(): Candidate | null {
    return this.#last;
  }

  /** Candidates that were dialled, or passed over at their limit. */
  get attempts(): number {
    return this.#race.started;
  }

  /** Whether there is a candidate left should the winner be lost. */
  get hasMore(): boolean {
    return this.#race.hasMore;
  }

  start(timeoutMs: number): void {
    this.#deadline = setTimeout(() => this.#fail(this.#race.expire()), Math.max(0, timeoutMs));
    this.#startNext();
  }

  /** Goes on with the candidates that are left: the socket that had won was lost before its first byte. */
  resume(code: string, timeoutMs: number): void {
    const failure = this.#race.fail(dialFailure(code, this.#last!));
    if (failure === null) this.start(timeoutMs);
    else this.#fail(failure);
  }

  /** Gives everything up; no outcome is announced any more. */
  cancel(): void {
    this.#stop(() => 'unused');
  }

  /** Attempts are in the order they were made. */
  #stop(outcomeOf: (candidate: Candidate) => 'failed' | 'unused'): void {
    clearTimeout(this.#attemptTimer);
    clearTimeout(this.#deadline);
    const attempts = [...this.#attempts];
    this.#attempts.clear();
    for (const [socket, candidate] of attempts) {
      socket.destroy();
      this.#leave(candidate, outcomeOf(candidate));
    }
  }

  #startNext(): void {
    clearTimeout(this.#attemptTimer);
    for (;;) {
      const candidate = this.#race.next();
      if (candidate === null) return;
      if (candidate.backend === -1 || this.#settings.host.takeBackend(candidate.backend)) {
        this.#attempt(candidate);
        return;
      }
      const failure = this.#race.fail(limitFailure(candidate));
      if (failure !== null) {
        this.#fail(failure);
        return;
      }
    }
  }

  #attempt(candidate: Candidate): void {
    this.#last = candidate;
    const socket = open(candidate.endpoint, this.#settings.tcp);
    this.#attempts.set(socket, candidate);
    socket.once('connect', () => {
      this.#attempts.delete(socket);
      socket.removeAllListeners('error');
      this.#stop(loser => this.#race.judgeLoser(loser, candidate));
      this.#race.win();
      this.#last = candidate;
      this.#outcome.connected(socket, candidate);
    });
    socket.once('error', error => {
      // A loser that was destroyed may still report an error.
      if (!this.#attempts.delete(socket)) return;
      this.#leave(candidate, 'failed');
      const failure = this.#race.fail(dialFailure(errorCode(error), candidate));
      if (failure === null) this.#startNext();
      else this.#fail(failure);
    });
    if (this.#race.hasMore) this.#attemptTimer = setTimeout(() => this.#startNext(), this.#race.delayMs);
  }

  #fail(failure: DialFailure): void {
    this.#stop(() => 'failed');
    this.#outcome.failed(failure);
  }

  #leave({ backend }: Candidate, outcome: 'failed' | 'unused'): void {
    if (backend !== -1) this.#settings.host.leaveBackend(backend, outcome);
  }
}

function open(endpoint: Endpoint, { keepaliveIdleMs }: TcpSettings): Socket {
  const common = { allowHalfOpen: true, highWaterMark: RELAY_BUFFER_BYTES };
  if (endpoint.kind === 'unix') return connect({ ...common, path: endpoint.path });
  return connect({
    ...common,
    host: endpoint.address,
    port: endpoint.port,
    family: endpoint.family,
    autoSelectFamily: false,
    noDelay: true,
    keepAlive: keepaliveIdleMs > 0,
    keepAliveInitialDelay: keepaliveIdleMs,
  });
}
