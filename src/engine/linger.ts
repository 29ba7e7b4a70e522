/** How long a refused client is listened to, so that its answer is not lost to a reset. */
import { FLIGHT_LINGER_TIMEOUT_MS, LINGER_TIMEOUT_MS } from '../limits.ts';
import type { RejectVerdict } from '../verdict.ts';

/** A flight is answered by a client that has checked a certificate, perhaps far away; anything else only has to arrive. */
export function lingerMs({ kind }: RejectVerdict['answer']): number {
  return kind === 'flight' ? FLIGHT_LINGER_TIMEOUT_MS : LINGER_TIMEOUT_MS;
}
