/** Dials the candidates of a verdict, raced as RFC 8305 has it. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { RELAY_BUFFER_BYTES, REPLAY_TIMEOUT_MS } from '../../limits.ts';
import type { EngineHost, TcpSettings } from '../engine.ts';
import type { Candidate, Endpoint, RelayVerdict } from '../../verdict.ts';
import { BackendShares } from '../backend-shares.ts';
import { DialRace, dialFailure, limitFailure } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import { errorCode } from './sockets.ts';
import { Trial } from './trial.ts';

/** A socket that is handed over with what is known of it. */
export interface DialedSocket {
  readonly socket: Socket;
  readonly candidate: Candidate;
  /** Bytes of the client that the backend has got already. */
  readonly sent: number;
  /** What it has not got yet of the PROXY header that comes before them; null for nothing. */
  readonly header: Uint8Array | null;
  /** The first bytes of the backend, if they have come already; the socket is paused then. */
  readonly answer: Uint8Array | null;
}

export interface DialOutcome {
  /** The PROXY header for one candidate; null for none. */
  headerFor(candidate: Candidate): Uint8Array | null;
  /** What the client has sent so far. */
  clientBytes(): Uint8Array;
  /** Whether that is all kept, and the client goes on sending. */
  canReplay(): boolean;
  /** An attempt has connected: the time for dialling is over. */
  connected(): void;
  /**
   * Takes the connected socket over, and its backend that was taken; the socket's listeners are the caller's to add,
   * at once.
   */
  dialed(dialed: DialedSocket): void;
  failed(failure: DialFailure): void;
}

export interface DialSettings {
  readonly host: Pick<EngineHost, 'takeBackend' | 'leaveBackend' | 'backendAnswered'>;
  readonly tcp: TcpSettings;
  /** For connecting, and anew after the loss of a backend that had connected. */
  readonly timeoutMs: number;
}

/**
 * One dial. With `retry`, a backend that has connected is on trial until its first byte, as long as there are other
 * candidates.
 */
export class Dial {
  readonly #settings: DialSettings;
  readonly #outcome: DialOutcome;
  readonly #race: DialRace;
  readonly #shares: BackendShares;
  readonly #attempts = new Map<Socket, Candidate>();
  #attemptTimer: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  readonly #retry: boolean;
  #last: Candidate | null = null;
  #trial: Trial | null = null;

  constructor(
    { candidates, options }: Pick<RelayVerdict, 'candidates' | 'options'>,
    settings: DialSettings,
    outcome: DialOutcome,
  ) {
    this.#settings = settings;
    this.#outcome = outcome;
    this.#race = new DialRace(candidates);
    this.#shares = new BackendShares(settings.host);
    this.#retry = options.retry;
  }

  /** The candidate dialled last; null if none was. */
  get last(): Candidate | null {
    return this.#last;
  }

  /** Candidates that were dialled, or passed over at their limit. */
  get attempts(): number {
    return this.#race.started;
  }

  start(timeoutMs: number): void {
    this.#deadline = setTimeout(() => this.#fail(this.#race.expire()), Math.max(0, timeoutMs));
    this.#startNext();
  }

  /** Told when the client has sent more, or has ended. */
  push(): void {
    if (this.#trial === null) return;
    this.#trial.send(this.#outcome.clientBytes());
    // What cannot be kept for another backend needs no trial any more.
    if (!this.#outcome.canReplay()) this.#prove(this.#trial, null);
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
      this.#shares.leave(candidate.backend, outcomeOf(candidate));
    }
    if (this.#trial === null) return;
    this.#trial.socket.destroy();
    this.#shares.leave(this.#trial.candidate.backend, 'unused');
    this.#trial = null;
  }

  #startNext(): void {
    clearTimeout(this.#attemptTimer);
    for (;;) {
      const candidate = this.#race.next();
      if (candidate === null) return;
      if (this.#shares.take(candidate.backend)) {
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
      this.#win(socket, candidate);
    });
    socket.once('error', error => {
      // A loser that was destroyed may still report an error.
      if (!this.#attempts.delete(socket)) return;
      this.#shares.leave(candidate.backend, 'failed');
      const failure = this.#race.fail(dialFailure(errorCode(error), candidate));
      if (failure === null) this.#startNext();
      else this.#fail(failure);
    });
    if (this.#race.hasMore) this.#attemptTimer = setTimeout(() => this.#startNext(), this.#race.delayMs);
  }

  #win(socket: Socket, candidate: Candidate): void {
    this.#race.win();
    this.#last = candidate;
    this.#outcome.connected();
    const header = this.#outcome.headerFor(candidate);
    if (!this.#retry || !this.#race.hasMore || !this.#outcome.canReplay()) {
      this.#shares.handOver(candidate.backend);
      this.#outcome.dialed({ socket, candidate, header, sent: 0, answer: null });
      return;
    }
    const trial: Trial = new Trial(
      socket,
      { candidate, header },
      {
        proven: answer => this.#prove(trial, answer),
        lost: code => this.#lose(trial, code),
      },
    );
    this.#trial = trial;
    trial.send(this.#outcome.clientBytes());
    this.#attemptTimer = setTimeout(() => this.#prove(trial, null), REPLAY_TIMEOUT_MS);
  }

  #prove(trial: Trial, answer: Uint8Array | null): void {
    if (this.#trial !== trial) return;
    clearTimeout(this.#attemptTimer);
    this.#trial = null;
    trial.end();
    const { socket, candidate, header, sent } = trial;
    if (answer !== null && candidate.backend !== -1) this.#settings.host.backendAnswered(candidate.backend);
    this.#shares.handOver(candidate.backend);
    this.#outcome.dialed({ socket, candidate, header, sent, answer });
  }

  /** The backend on trial is gone: on with the candidates that are left. */
  #lose(trial: Trial, code: string): void {
    if (this.#trial !== trial) return;
    clearTimeout(this.#attemptTimer);
    this.#trial = null;
    trial.end();
    trial.socket.destroy();
    this.#shares.leave(trial.candidate.backend, 'lost');
    const failure = this.#race.fail(dialFailure(code, trial.candidate));
    if (failure === null) this.start(this.#settings.timeoutMs);
    else this.#fail(failure);
  }

  #fail(failure: DialFailure): void {
    this.#stop(() => 'failed');
    this.#outcome.failed(failure);
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
