/** Durations as they stand in a configuration: `250ms`, `1.5s`, `2m`, `1h`. */
import { DURATION_MS_MAX } from '../limits.ts';
import { quote } from './plain-text.ts';

export type ParsedDuration =
  { readonly ok: true; readonly ms: number } | { readonly ok: false; readonly message: string };

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Parses a number with its unit (ms, s, m, h) to whole milliseconds; 0 is allowed. */
export function parseDuration(text: string): ParsedDuration {
  const [, number = '', unit = ''] = /^([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h)$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (unitMs === undefined) return fail(text);
  const ms = Math.round(Number(number) * unitMs);
  if (ms > DURATION_MS_MAX) {
    return { ok: false, message: `${quote(text)} is too long: at most 596h (a timer holds no more)` };
  }
  return { ok: true, ms };
}

function fail(text: string): ParsedDuration {
  const seconds = /^[0-9]+$/.test(text) ? `, such as "${text}s"` : ', such as "250ms", "5s", "2m" or "1h"';
  return { ok: false, message: `${quote(text)} is not a duration: write a number and its unit${seconds}` };
}
