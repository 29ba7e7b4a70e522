/** Rates as they stand in a configuration: `100/s`, `30/m burst 10`, `10MB/s`, `512KiB/s burst 1MiB`. */
import { BANDWIDTH_BURST_MIN, RATE_PER_SECOND_MAX } from '../limits.ts';
import type { Rate } from '../limiting/limit-table.ts';
import { quote } from './plain-text.ts';

export type ParsedRate =
  { readonly ok: true; readonly rate: Rate } | { readonly ok: false; readonly message: string };

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
const NUMBER = '([0-9]{1,12}(?:\\.[0-9]{1,6})?)';
const UNIT = `(${Object.keys(BYTES).join('|')})`;
const CONNECTION_RATE = new RegExp(`^${NUMBER}/(s|m|h)(?: burst ([0-9]{1,12}))?$`);
const BYTE_RATE = new RegExp(`^${NUMBER}${UNIT}/s(?: burst ${NUMBER}${UNIT})?$`);

/** Parses connections per second, minute or hour. Without a burst a second's worth may come at once, at least one. */
export function parseRate(text: string): ParsedRate {
  const [, number, unit = '', burst] = CONNECTION_RATE.exec(text) ?? [];
  const perSecond = Number(number) / (SECONDS[unit] ?? Number.NaN);
  if (Number.isNaN(perSecond)) {
    return fail(`${quote(text)} is not a rate: write "100/s", "30/m" or "10/s burst 50"`);
  }
  return checked(text, perSecond, burst === undefined ? Math.max(1, Math.ceil(perSecond)) : Number(burst));
}

/** Parses bytes per second. Without a burst a quarter of a second's worth may come at once, at least 64 KiB. */
export function parseBandwidth(text: string): ParsedRate {
  const [, number, unit = '', burst, burstUnit = ''] = BYTE_RATE.exec(text) ?? [];
  const perSecond = Number(number) * (BYTES[unit] ?? Number.NaN);
  if (Number.isNaN(perSecond)) {
    return fail(`${quote(text)} is not a bandwidth: write "10MB/s", "512KiB/s" or "10MB/s burst 20MB"`);
  }
  const bytes =
    burst === undefined
      ? Math.max(BANDWIDTH_BURST_MIN, perSecond / 4)
      : Number(burst) * (BYTES[burstUnit] ?? 0);
  return checked(text, perSecond, Math.floor(bytes));
}

/** Parses bytes per second, of which there may be none. */
export function parsePace(text: string): ParsedRate {
  const [, number, unit = '', burst] = BYTE_RATE.exec(text) ?? [];
  const perSecond = Number(number) * (BYTES[unit] ?? Number.NaN);
  if (perSecond === 0) return { ok: true, rate: { perSecond, burst: 1 } };
  return Number.isNaN(perSecond) || burst !== undefined
    ? fail(`${quote(text)} is not a pace: write "64B/s" or "1KB/s"`)
    : checked(text, perSecond, 1);
}

function checked(text: string, perSecond: number, burst: number): ParsedRate {
  if (perSecond === 0) return fail(`${quote(text)} lets nothing through: leave it out, or deny the clients`);
  if (perSecond > RATE_PER_SECOND_MAX) return fail(`${quote(text)} is more than can be counted`);
  if (burst < 1 || burst > RATE_PER_SECOND_MAX) return fail(`${quote(text)} needs a burst of at least 1`);
  return { ok: true, rate: { perSecond, burst } };
}

function fail(message: string): ParsedRate {
  return { ok: false, message };
}
