import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Candidate, Endpoint } from '../verdict.ts';
import { DialRace, dialFailure, dialFailureReason, formatEndpoint } from './happy-eyeballs.ts';
import type { DialFailure } from './happy-eyeballs.ts';

const v4 = (last: number): Endpoint => ({ kind: 'tcp', address: `192.0.2.${last}`, port: 443, family: 4 });
const v6 = (last: number): Endpoint => ({ kind: 'tcp', address: `2001:db8::${last}`, port: 443, family: 6 });
const candidate = (endpoint: Endpoint, delayMs = 250): Candidate => ({
  endpoint,
  backend: -1,
  proxy: null,
  delayMs,
});
const failure = (endReason: DialFailure['endReason']): DialFailure => ({ endReason, detail: endReason });

describe('DialRace', () => {
  test('hands out each candidate once, in order, and knows when there are more', () => {
    const all = [candidate(v6(1)), candidate(v6(2), 1000), candidate(v4(1))] as const;
    const race = new DialRace(all);
    assert.deepEqual([race.next(), race.hasMore, race.delayMs], [all[0], true, 250]);
    assert.deepEqual([race.next(), race.hasMore, race.delayMs], [all[1], true, 1000]);
    assert.deepEqual([race.next(), race.hasMore, race.started], [all[2], false, 3]);
    assert.equal(race.next(), null);
  });

  test('fails when its last attempt fails, with the most telling failure', () => {
    const race = new DialRace([candidate(v6(1)), candidate(v4(1))]);
    race.next();
    assert.equal(race.fail(failure('dial-refused')), null);
    race.next();
    assert.deepEqual(race.fail(failure('dial-unreachable')), failure('dial-refused'));
  });

  test('fails only when no attempt is under way any more', () => {
    const race = new DialRace([candidate(v6(1)), candidate(v4(1))]);
    race.next();
    race.next();
    assert.equal(race.fail(failure('dial-refused')), null);
    assert.deepEqual(race.fail(failure('dial-refused')), failure('dial-refused'));
  });

  test('goes on with those that are left when the winner is lost', () => {
    const race = new DialRace([candidate(v6(1)), candidate(v4(1)), candidate(v4(2))]);
    race.next();
    race.next();
    race.win();
    assert.equal(race.fail(failure('dial-unreachable')), null);
    assert.deepEqual(race.next(), candidate(v4(2)));
    assert.deepEqual(race.fail(failure('dial-refused')), failure('dial-refused'));
  });

  test('expires as a time-out unless it knows more', () => {
    const race = new DialRace([candidate(v6(1)), candidate(v4(1))]);
    race.next();
    assert.equal(race.expire().endReason, 'dial-timeout');
    race.fail(failure('dial-unreachable'));
    assert.equal(race.expire().endReason, 'dial-timeout');
    const refused = new DialRace([candidate(v6(1)), candidate(v4(1))]);
    refused.next();
    refused.fail(failure('dial-refused'));
    assert.equal(refused.expire().endReason, 'dial-refused');
  });
});

test('dialFailure() names the address it was met at', () => {
  assert.deepEqual(dialFailure('ECONNREFUSED', candidate(v4(1))), {
    endReason: 'dial-refused',
    detail: 'ECONNREFUSED 192.0.2.1:443',
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
