/** System errors that say that a peer's network is gone, rather than the peer itself (tcp(7), icmp(7)). */
export const TIMEOUT_CODES: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
]);

/** Which side of a relay. */
export type Side = 'client' | 'backend';

/** Which of its sides have sent their end of file. */
export interface EndedSides {
  readonly client: boolean;
  readonly backend: boolean;
}

/**
 * The end reason for a side that was found dead. A peer that has sent its last byte and then resets has gone; after
 * both ends it has missed nothing of ours.
 */
export function deathReason(
  side: Side,
  code: string,
  ended: EndedSides,
): 'done' | `${Side}-timeout` | `${Side}-gone` | `${Side}-reset` {
  if (ended.client && ended.backend) return 'done';
  if (TIMEOUT_CODES.has(code)) return `${side}-timeout`;
  return ended[side] ? `${side}-gone` : `${side}-reset`;
}
