import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DURATION_MS_MAX } from '../limits.ts';
import { parseDuration } from './duration.ts';

test('parseDuration() reads every unit, and fractions of it, to whole milliseconds', () => {
  const cases: [string, number][] = [
    ['250ms', 250],
    ['5s', 5_000],
    ['1.5s', 1_500],
    ['1.1s', 1_100],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['0s', 0],
    ['0.4ms', 0],
    ['2147483647ms', DURATION_MS_MAX],
  ];
  for (const [text, ms] of cases) assert.deepEqual(parseDuration(text), { ok: true, ms }, text);
});

test('parseDuration() refuses what is no number with a unit, and says what to write', () => {
  for (const text of [
    '',
    's',
    '5 s',
    '-5s',
    '+5s',
    '5S',
    '5d',
    '1e3s',
    '.5s',
    '5.s',
    '5s5s',
    '0x5s',
    ' 5s',
    '5s\n',
  ]) {
    const parsed = parseDuration(text);
    assert.ok(!parsed.ok, text);
    assert.match(parsed.message, /is not a duration: write a number and its unit, such as "250ms"/);
  }
  assert.deepEqual(parseDuration('30'), {
    ok: false,
    message: '"30" is not a duration: write a number and its unit, such as "30s"',
  });
  assert.deepEqual(parseDuration('2147483648ms'), {
    ok: false,
    message: '"2147483648ms" is too long: at most 596h (a timer holds no more)',
  });
});

test('parseDuration() gives for any text a whole number within the bound, or a message', () => {
  const text = fc.oneof(fc.string(), fc.tuple(fc.double(), fc.constantFrom('ms', 's', 'm', 'h')).map(String));
  fc.assert(
    fc.property(text, input => {
      const parsed = parseDuration(input);
      if (!parsed.ok) return parsed.message.length > 0;
      return Number.isInteger(parsed.ms) && parsed.ms >= 0 && parsed.ms <= DURATION_MS_MAX;
    }),
  );
});
