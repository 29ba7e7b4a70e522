/** Dials the candidates of a verdict, raced as RFC 8305 has it. */
import { REPLAY_TIMEOUT_MS } from '../../limits.ts';
import type { Candidate, RelayVerdict } from '../../verdict.ts';
import { BackendShares } from '../backend-shares.ts';
import type { Loss } from '../backend-shares.ts';
import { DialRace, dialFailure, limitFailure } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import type { EventOwner, Reactor } from './reactor.ts';
import type { RelayedSocket } from './relay.ts';
import type { Sockets } from './sockets.ts';
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from './syscalls/constants.ts';
import { errnoName } from './syscalls/system-error.ts';
import { WheelTimer } from './timer-wheel.ts';
import { Trial } from './trial.ts';
import type { TrialOutcome } from './trial.ts';
import type { WorkerHost } from './worker-context.ts';

/** Events that a dialled socket is watched for; a relay goes on with the same. */
export const DIAL_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

/** A socket that is handed over with what is known of it. */
export interface DialedSocket extends RelayedSocket {
  /** Bytes of the client that the backend has got already. */
  readonly sent: number;
  /** What it has not got yet of the PROXY header that comes before them; null for nothing. */
  readonly header: Uint8Array | null;
  /** Whether there is something to read that no event is going to tell of any more. */
  readonly canRead: boolean;
  readonly hangup: boolean;
}

export interface DialOutcome {
  /** The PROXY header for one candidate; null for none. */
  headerFor(candidate: Candidate): Uint8Array | null;
  /** What the client has sent so far. */
  readonly clientBytes: Uint8Array;
  /** Whether that is all kept, and the client goes on sending. */
  readonly canReplay: boolean;
  /** An attempt has connected: the time for dialling is over. */
  connected(): void;
  /** What had connected was lost, and dialling goes on. */
  lost(): void;
  /** Takes the connected socket, its watch and its backend that was taken over, at once. */
  dialed(socket: DialedSocket, candidate: Candidate): void;
  dialFailed(failure: DialFailure): void;
  onFault(error: unknown): void;
}

interface Attempt {
  readonly fd: number;
  readonly watch: number;
  readonly candidate: Candidate;
}

export interface DialContext {
  readonly sockets: Sockets;
  readonly reactor: Reactor;
  readonly host: Pick<WorkerHost, 'takeBackend' | 'leaveBackend' | 'backendAnswered'>;
}

type Progress = Pick<DialedSocket, 'sent' | 'header' | 'canRead' | 'hangup'>;

/**
 * One dial; its deadline is its owner's affair. With `retry`, a backend that has connected is on trial until its first
 * byte, as long as there are other candidates.
 */
export class Dial extends WheelTimer implements EventOwner, TrialOutcome {
  readonly #context: DialContext;
  readonly #outcome: DialOutcome;
  readonly #race: DialRace;
  readonly #shares: BackendShares;
  /** By role, in the order they were made; null once an attempt has failed. */
  readonly #attempts: (Attempt | null)[] = [];
  readonly #retry: boolean;
  #last: Candidate | null = null;
  #trial: Trial | null = null;
  /** The attempt that is on trial. */
  #winner: Attempt | null = null;

  constructor(
    context: DialContext,
    { candidates, options }: Pick<RelayVerdict, 'candidates' | 'options'>,
    outcome: DialOutcome,
  ) {
    super();
    this.#context = context;
    this.#outcome = outcome;
    this.#race = new DialRace(candidates);
    this.#shares = new BackendShares(context.host);
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

  /** Starts the first attempts, as many as fail at once. The outcome may be announced before this returns. */
  start(): void {
    this.#startNext();
  }

  /** Goes on with an attempt that its owner has begun at the first candidate, whose backend it has taken. */
  adopt(fd: number): void {
    const candidate = this.#race.next();
    if (candidate === null) return;
    this.#shares.adopt(candidate.backend);
    this.#watch(fd, candidate);
  }

  /** Told when the client has sent more, or has ended. */
  push(): void {
    if (this.#trial === null) return;
    this.#trial.send(this.#outcome.clientBytes);
    // What cannot be kept for another backend needs no trial any more; sending may have ended it already.
    if (!this.#outcome.canReplay) this.proven();
  }

  /** Ends the dial with its failure, because its time is over. */
  expire(): DialFailure {
    this.#stop(() => 'failed');
    return this.#race.expire();
  }

  /** Gives everything up; no outcome is announced any more. */
  cancel(): void {
    this.#stop(() => 'unused');
  }

  onTimer(): void {
    try {
      if (this.#trial === null) this.#startNext();
      else this.proven();
    } catch (error) {
      this.#outcome.onFault(error);
    }
  }

  onEvents(role: number, events: number): void {
    const attempt = this.#attempts[role];
    if (attempt === null || attempt === undefined) return;
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const errno = this.#context.sockets.takeError(attempt.fd);
      this.#close(role, attempt, 'failed');
      this.#fail(dialFailure(errnoName(errno), attempt.candidate));
    } else if ((events & EPOLLOUT) !== 0) {
      this.#attempts[role] = null;
      this.#win(attempt, events);
    }
  }

  /** The trial is over, and all is well so far. */
  proven(): void {
    const trial = this.#trial;
    const winner = this.#winner;
    if (trial === null || winner === null) return;
    this.#context.reactor.timers.cancel(this);
    this.#trial = null;
    this.#winner = null;
    const { backend } = winner.candidate;
    if (backend !== -1 && trial.canRead) this.#context.host.backendAnswered(backend);
    this.#handOver(winner, trial);
  }

  /** The backend on trial is gone: on with the candidates that are left. */
  lost(code: string): void {
    const winner = this.#winner;
    if (winner === null) return;
    this.#context.reactor.timers.cancel(this);
    this.#trial = null;
    this.#winner = null;
    this.#release(winner, 'lost');
    this.#outcome.lost();
    this.#fail(dialFailure(code, winner.candidate));
  }

  onFault(error: unknown): void {
    this.#outcome.onFault(error);
  }

  /** `events` may tell of more than the connection: what a backend sends, or its end, before it has got anything. */
  #win(attempt: Attempt, events: number): void {
    const { candidate } = attempt;
    const hangup = (events & EPOLLRDHUP) !== 0;
    const canRead = hangup || (events & EPOLLIN) !== 0;
    this.#stop(loser => this.#race.judgeLoser(loser, candidate));
    this.#race.win();
    this.#last = candidate;
    this.#outcome.connected();
    const header = this.#outcome.headerFor(candidate);
    if (!this.#retry || !this.#race.hasMore || !this.#outcome.canReplay) {
      this.#handOver(attempt, { sent: 0, header, canRead, hangup });
      return;
    }
    const { reactor } = this.#context;
    reactor.timers.set(this, reactor.now, REPLAY_TIMEOUT_MS);
    this.#winner = attempt;
    const trial = new Trial(this.#context, { ...attempt, header }, this);
    this.#trial = trial;
    if (canRead) trial.onEvents(0, events);
    if (this.#trial === trial) trial.send(this.#outcome.clientBytes);
  }

  #handOver({ fd, watch, candidate }: Attempt, { sent, header, canRead, hangup }: Progress): void {
    this.#shares.handOver(candidate.backend);
    this.#outcome.dialed({ fd, watch, events: DIAL_EVENTS, sent, header, canRead, hangup }, candidate);
  }

  #startNext(): void {
    const { sockets } = this.#context;
    const candidate = this.#race.next();
    if (candidate === null) return;
    if (!this.#shares.take(candidate.backend)) {
      this.#fail(limitFailure(candidate));
      return;
    }
    this.#last = candidate;
    const fd = sockets.connect(candidate.endpoint);
    if (fd !== -1) return this.#watch(fd, candidate);
    const { errno } = sockets;
    this.#shares.leave(candidate.backend, 'failed');
    this.#fail(dialFailure(errnoName(errno), candidate));
  }

  #watch(fd: number, candidate: Candidate): void {
    const { reactor, sockets } = this.#context;
    const role = this.#attempts.length;
    this.#last = candidate;
    try {
      this.#attempts.push({ fd, watch: reactor.watch(fd, DIAL_EVENTS, this, role), candidate });
    } catch (error) {
      sockets.close(fd);
      this.#shares.leave(candidate.backend, 'unused');
      throw error;
    }
    if (this.#race.hasMore) reactor.timers.set(this, reactor.now, this.#race.delayMs);
  }

  #fail(failure: DialFailure): void {
    const final = this.#race.fail(failure);
    if (final === null) {
      if (this.#race.hasMore) this.#startNext();
      return;
    }
    this.cancel();
    this.#outcome.dialFailed(final);
  }

  #stop(outcomeOf: (candidate: Candidate) => 'failed' | 'unused'): void {
    this.#context.reactor.timers.cancel(this);
    for (const [role, attempt] of this.#attempts.entries()) {
      if (attempt !== null) this.#close(role, attempt, outcomeOf(attempt.candidate));
    }
    if (this.#winner === null) return;
    this.#release(this.#winner, 'unused');
    this.#winner = null;
    this.#trial = null;
  }

  #close(role: number, attempt: Attempt, outcome: Loss): void {
    this.#attempts[role] = null;
    this.#release(attempt, outcome);
  }

  #release(attempt: Attempt, outcome: Loss): void {
    this.#context.reactor.forget(attempt.watch);
    this.#context.sockets.close(attempt.fd);
    this.#shares.leave(attempt.candidate.backend, outcome);
  }
}
