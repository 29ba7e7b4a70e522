import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RETRIES_PER_CLIENT, RETRY_CLIENTS_MAX } from '../limits.ts';
import { UNIX_PEER, parsePeerAddress } from '../wire/peer-address.ts';
import { RetryShares } from './retry-shares.ts';

function createShares() {
  const clock = { ms: 10_000 };
  const shares = new RetryShares(() => clock.ms);
  const taken = (address: string, times: number): number =>
    Array.from({ length: times }, () => shares.take(parsePeerAddress(address, 1))).filter(Boolean).length;
  return { clock, shares, taken };
}

describe('RetryShares', () => {
  test('gives each client its share of each second, whatever others take', () => {
    const { clock, taken } = createShares();
    assert.equal(taken('192.0.2.1', 1_000), RETRIES_PER_CLIENT);
    assert.equal(taken('192.0.2.2', 3), 3);
    clock.ms += 999;
    assert.equal(taken('192.0.2.1', 1), 0);
    clock.ms += 1;
    assert.equal(taken('192.0.2.1', 1_000), RETRIES_PER_CLIENT);
  });

  test('counts a /64 as one client, and peers without an address not at all', () => {
    const { shares, taken } = createShares();
    assert.equal(taken('2001:db8::1', 1_000), RETRIES_PER_CLIENT);
    assert.equal(taken('2001:db8::2', 1), 0);
    assert.equal(taken('2001:db8:0:1::1', 1), 1);
    for (let count = 0; count < 1_000; count++) assert.ok(shares.take(UNIX_PEER));
  });

  test('keeps no more clients than its bound, and refuses none for that', () => {
    const { taken } = createShares();
    for (let index = 0; index < RETRY_CLIENTS_MAX; index++) {
      assert.equal(taken(`10.0.${index >> 8}.${index & 255}`, 1), 1);
    }
    assert.equal(taken('192.0.2.1', 1_000), 1_000);
    assert.equal(taken('10.0.0.0', 1_000), RETRIES_PER_CLIENT - 1);
  });
});
