/** Answers by name: what a client that is not relayed gets to see. */
import type { Answer } from '../verdict.ts';
import { ALERTS } from '../wire/tls-alert.ts';

const DESCRIPTIONS: ReadonlyMap<string, number> = new Map(Object.entries(ALERTS));

/** Every answer's name: `close`, `reset` and the alerts. */
export const ANSWER_NAMES: readonly [string, ...string[]] = ['close', 'reset', ...DESCRIPTIONS.keys()];

/** The answer of that name, or null if there is none. */
export function findAnswer(name: string): Answer | null {
  if (name === 'close' || name === 'reset') return { kind: name };
  const description = DESCRIPTIONS.get(name);
  return description === undefined ? null : { kind: 'alert', description };
}
