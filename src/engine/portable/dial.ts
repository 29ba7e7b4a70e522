/** Dials the endpoints of a verdict, raced as RFC 8305 has it. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { DIAL_ATTEMPT_DELAY_MS, RELAY_BUFFER_BYTES } from '../../limits.ts';
import type { TcpSettings } from '../engine.ts';
import type { Endpoint } from '../../verdict.ts';
import { DialRace, dialFailureReason, formatEndpoint } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import { errorCode } from './sockets.ts';

export interface DialOutcome {
  /** Takes the connected socket over; its listeners are the caller's to add, at once. */
  connected(socket: Socket, endpoint: Endpoint): void;
  failed(failure: DialFailure, endpoint: Endpoint): void;
}

export interface DialSettings {
  readonly timeoutMs: number;
  readonly tcp: TcpSettings;
}

/** Starts dialling; the returned function gives it up, after which no outcome is announced. */
export function dial(
  endpoints: readonly Endpoint[],
  { timeoutMs, tcp }: DialSettings,
  outcome: DialOutcome,
): () => void {
  const race = new DialRace(endpoints);
  const attempts = new Set<Socket>();
  let attemptTimer: NodeJS.Timeout | undefined;
  let last: Endpoint | null = null;

  const stop = (): void => {
    clearTimeout(attemptTimer);
    clearTimeout(deadline);
    for (const socket of attempts) socket.destroy();
    attempts.clear();
  };
  const fail = (failure: DialFailure): void => {
    stop();
    outcome.failed(failure, last ?? endpoints[0]!);
  };
  const deadline = setTimeout(() => fail(race.expire()), Math.max(0, timeoutMs));

  const startNext = (): void => {
    clearTimeout(attemptTimer);
    const endpoint = race.next();
    if (endpoint === null) return;
    last = endpoint;
    const socket = open(endpoint, tcp);
    attempts.add(socket);
    socket.once('connect', () => {
      attempts.delete(socket);
      socket.removeAllListeners('error');
      stop();
      outcome.connected(socket, endpoint);
    });
    socket.once('error', error => {
      // A loser that stop() destroyed may still report an error.
      if (!attempts.delete(socket)) return;
      const code = errorCode(error);
      const failure = race.fail({
        endReason: dialFailureReason(code),
        detail: `${code} ${formatEndpoint(endpoint)}`,
      });
      if (failure === null) startNext();
      else fail(failure);
    });
    if (race.hasMore) attemptTimer = setTimeout(startNext, DIAL_ATTEMPT_DELAY_MS);
  };

  startNext();
  return stop;
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
