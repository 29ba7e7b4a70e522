import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BackendShares } from './backend-shares.ts';

/** A host whose backends have room for one connection each. */
function createRig() {
  const calls: string[] = [];
  const taken = new Set<number>();
  const shares = new BackendShares({
    takeBackend(backend) {
      if (taken.has(backend)) return false;
      taken.add(backend);
      calls.push(`take ${backend}`);
      return true;
    },
    leaveBackend(backend, outcome) {
      taken.delete(backend);
      calls.push(`leave ${backend} ${outcome}`);
    },
  });
  return { shares, calls };
}

describe('BackendShares', () => {
  test('takes a backend once for all attempts at it, and gives it back after the last, as the worst', () => {
    const { shares, calls } = createRig();
    assert.ok(shares.take(1));
    assert.ok(shares.take(1));
    shares.leave(1, 'failed');
    assert.deepEqual(calls, ['take 1']);
    shares.leave(1, 'unused');
    assert.deepEqual(calls, ['take 1', 'leave 1 failed']);
    assert.ok(shares.take(1));
  });

  test('has no room where the host has none, and always for what is not counted', () => {
    const { shares, calls } = createRig();
    shares.take(1);
    const others = new BackendShares({
      takeBackend: () => false,
      leaveBackend: () => assert.fail('not taken'),
    });
    assert.equal(others.take(1), false);
    others.leave(1, 'failed');
    assert.ok(others.take(-1));
    others.leave(-1, 'failed');
    assert.deepEqual(calls, ['take 1']);
  });

  test('lets the winner keep its backend', () => {
    const { shares, calls } = createRig();
    shares.adopt(1);
    shares.take(2);
    shares.leave(2, 'unused');
    shares.handOver(1);
    shares.leave(1, 'unused');
    assert.deepEqual(calls, ['take 2', 'leave 2 unused']);
  });
});
