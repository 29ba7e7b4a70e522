import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBandwidth, parsePace, parseRate } from './rate.ts';

test('parseRate() reads connections per second, minute and hour', () => {
  const cases: [string, number, number][] = [
    ['100/s', 100, 100],
    ['2.5/s', 2.5, 3],
    ['30/m', 0.5, 1],
    ['36/h', 0.01, 1],
    ['10/s burst 50', 10, 50],
    ['10/s burst 1', 10, 1],
  ];
  for (const [text, perSecond, burst] of cases)
    assert.deepEqual(parseRate(text), { ok: true, rate: { perSecond, burst } }, text);
});

test('parseBandwidth() reads bytes per second in decimal and binary units', () => {
  const cases: [string, number, number][] = [
    ['10MB/s', 10_000_000, 2_500_000],
    ['1KiB/s', 1_024, 65_536],
    ['1.5GiB/s burst 1MiB', 1.5 * 2 ** 30, 2 ** 20],
    ['100B/s burst 5B', 100, 5],
  ];
  for (const [text, perSecond, burst] of cases)
    assert.deepEqual(parseBandwidth(text), { ok: true, rate: { perSecond, burst } }, text);
});

test('parsePace() reads bytes per second, of which there may be none', () => {
  assert.deepEqual(parsePace('64B/s'), { ok: true, rate: { perSecond: 64, burst: 1 } });
  assert.deepEqual(parsePace('0B/s'), { ok: true, rate: { perSecond: 0, burst: 1 } });
  for (const text of ['64', '64B', '64B/s burst 64B', '-1B/s']) {
    const parsed = parsePace(text);
    assert.ok(!parsed.ok && parsed.message.includes('is not a pace: write "64B/s"'), text);
  }
});

test('rates that cannot be read say what to write instead', () => {
  for (const text of [
    '',
    '100',
    '/s',
    '1/d',
    '1 /s',
    '1/s burst',
    '1/s burst 1.5',
    '1/s  burst 2',
    '1e3/s',
  ]) {
    const parsed = parseRate(text);
    assert.ok(!parsed.ok && parsed.message.includes('is not a rate: write "100/s"'), text);
  }
  for (const text of ['', '10', '10MB', '10mb/s', '10M/s', '10MB/m', '10MB/s burst 3', '1MB/s burst']) {
    const parsed = parseBandwidth(text);
    assert.ok(!parsed.ok && parsed.message.includes('is not a bandwidth: write "10MB/s"'), text);
  }
});

test('rates that let nothing through, or more than can be counted, are refused', () => {
  const messageOf = (parsed: ReturnType<typeof parseRate>): string => (parsed.ok ? '' : parsed.message);
  assert.match(messageOf(parseRate('0/s')), /"0\/s" lets nothing through/);
  assert.match(messageOf(parseRate('1/s burst 0')), /needs a burst of at least 1/);
  assert.match(messageOf(parseBandwidth('0MB/s')), /lets nothing through/);
  assert.match(messageOf(parseBandwidth('1MB/s burst 0.5B')), /needs a burst of at least 1/);
  assert.match(messageOf(parseBandwidth('999999999999GB/s')), /more than can be counted/);
});
