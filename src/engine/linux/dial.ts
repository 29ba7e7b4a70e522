/** Dials the candidates of a verdict, raced as RFC 8305 has it. */
import type { Candidate } from '../../verdict.ts';
import { DialRace, dialFailure, limitFailure } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import type { EventOwner, Reactor } from './reactor.ts';
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
import type { WorkerHost } from './worker-context.ts';

/** Events that a dialled socket is watched for; a relay goes on with the same. */
export const DIAL_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export interface DialOutcome {
  /** Takes the connected socket, its watch and its backend that was taken over, at once. */
  dialed(fd: number, watch: number, candidate: Candidate): void;
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
  readonly host: Pick<WorkerHost, 'takeBackend' | 'leaveBackend'>;
}

type Loss = 'failed' | 'unused';

/** One dial; its deadline is its owner's affair. It may go on after its winner was lost. */
export class Dial extends WheelTimer implements EventOwner {
  readonly #context: DialContext;
  readonly #outcome: DialOutcome;
  readonly #race: DialRace;
  /** By role, in the order they were made; null once an attempt has failed. */
  readonly #attempts: (Attempt | null)[] = [];
  #last: Candidate | null = null;

  constructor(context: DialContext, candidates: readonly Candidate[], outcome: DialOutcome) {
    super();
    this.#context = context;
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

  /** Starts the first attempts, as many as fail at once. The outcome may be announced before this returns. */
  start(): void {
    this.#startNext();
  }

  /** Goes on with an attempt that its owner has begun at the first candidate, whose backend it has taken. */
  adopt(fd: number): void {
    const candidate = this.#race.next();
    if (candidate !== null) this.#watch(fd, candidate);
  }

  /** Goes on with the candidates that are left: the socket that had won was lost before its first byte. */
  resume(code: string): void {
    this.#fail(dialFailure(code, this.#last!));
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
      this.#startNext();
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
      const { fd, watch, candidate } = attempt;
      this.#attempts[role] = null;
      this.#stop(loser => this.#race.judgeLoser(loser, candidate));
      this.#race.win();
      this.#last = candidate;
      this.#outcome.dialed(fd, watch, candidate);
    }
  }

  onFault(error: unknown): void {
    this.#outcome.onFault(error);
  }

  #startNext(): void {
    const { sockets, host } = this.#context;
    const candidate = this.#race.next();
    if (candidate === null) return;
    if (candidate.backend !== -1 && !host.takeBackend(candidate.backend)) {
      this.#fail(limitFailure(candidate));
      return;
    }
    this.#last = candidate;
    const fd = sockets.connect(candidate.endpoint);
    if (fd !== -1) return this.#watch(fd, candidate);
    const { errno } = sockets;
    this.#leave(candidate, 'failed');
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
      this.#leave(candidate, 'unused');
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

  #stop(outcomeOf: (candidate: Candidate) => Loss): void {
    this.#context.reactor.timers.cancel(this);
    for (const [role, attempt] of this.#attempts.entries()) {
      if (attempt !== null) this.#close(role, attempt, outcomeOf(attempt.candidate));
    }
  }

  #close(role: number, attempt: Attempt, outcome: Loss): void {
    this.#attempts[role] = null;
    this.#context.reactor.forget(attempt.watch);
    this.#context.sockets.close(attempt.fd);
    this.#leave(attempt.candidate, outcome);
  }

  #leave({ backend }: Candidate, outcome: Loss): void {
    if (backend !== -1) this.#context.host.leaveBackend(backend, outcome);
  }
}
