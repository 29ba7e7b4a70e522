import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Endpoint } from '../verdict.ts';
import { DialRace, dialFailureReason, formatEndpoint, interleaveFamilies } from './happy-eyeballs.ts';
import type { DialFailure } from './happy-eyeballs.ts';

const v4 = (last: number): Endpoint => ({ kind: 'tcp', address: `192.0.2.${last}`, port: 443, family: 4 });
const v6 = (last: number): Endpoint => ({ kind: 'tcp', address: `2001:db8::${last}`, port: 443, family: 6 });
const failure = (endReason: DialFailure['endReason']): DialFailure => ({ endReason, detail: endReason });

test('interleaveFamilies() lets the families take turns, the first one first', () => {
  assert.deepEqual(interleaveFamilies([v6(1), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
  assert.deepEqual(interleaveFamilies([v4(1), v6(1), v6(2)]), [v4(1), v6(1), v6(2)]);
  assert.deepEqual(interleaveFamilies([v4(1), v4(2)]), [v4(1), v4(2)]);
});

describe('DialRace', () => {
  test('hands out each endpoint once and knows when there are more', () => {
    const race = new DialRace([v6(1), v6(2), v4(1)]);
    assert.deepEqual([race.next(), race.hasMore], [v6(1), true]);
    assert.deepEqual([race.next(), race.hasMore], [v4(1), true]);
    assert.deepEqual([race.next(), race.hasMore], [v6(2), false]);
    assert.equal(race.next(), null);
  });

  test('fails when its last attempt fails, with the most telling failure', () => {
    const race = new DialRace([v6(1), v4(1)]);
    race.next();
    assert.equal(race.fail(failure('dial-refused')), null);
    race.next();
    assert.deepEqual(race.fail(failure('dial-unreachable')), failure('dial-refused'));
  });

  test('expires as a time-out unless it knows more', () => {
    const race = new DialRace([v6(1), v4(1)]);
    race.next();
    assert.equal(race.expire().endReason, 'dial-timeout');
    race.fail(failure('dial-unreachable'));
    assert.equal(race.expire().endReason, 'dial-timeout');
    const refused = new DialRace([v6(1), v4(1)]);
    refused.fail(failure('dial-refused'));
    assert.equal(refused.expire().endReason, 'dial-refused');
  });
});

test('dialFailureReason() names what an operator can act on', () => {
  assert.equal(dialFailureReason('ECONNREFUSED'), 'dial-refused');
  assert.equal(dialFailureReason('ETIMEDOUT'), 'dial-timeout');
  assert.equal(dialFailureReason('EMFILE'), 'limit');
  for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'ENOENT', 'EACCES', 'EADDRNOTAVAIL']) {
    assert.equal(dialFailureReason(code), 'dial-unreachable');
  }
});

test('formatEndpoint() brackets IPv6', () => {
  assert.equal(formatEndpoint(v4(1)), '192.0.2.1:443');
  assert.equal(formatEndpoint(v6(1)), '[2001:db8::1]:443');
  assert.equal(formatEndpoint({ kind: 'unix', path: '/run/a' }), 'unix:/run/a');
});
