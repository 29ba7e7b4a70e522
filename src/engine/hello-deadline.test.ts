import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { helloPatienceMs } from './hello-deadline.ts';

describe('helloPatienceMs()', () => {
  const pace = { graceMs: 1_000, bytesPerSecond: 50 };

  test('is what is left of the deadline where no pace is asked for', () => {
    assert.equal(helloPatienceMs({ timeoutMs: 5_000, pace: null }, 1_200, 0), 3_800);
    assert.equal(helloPatienceMs({ timeoutMs: 5_000, pace: null }, 5_000, 9_999), 0);
  });

  test('gives a silent client the grace time, and every byte its own', () => {
    const deadline = { timeoutMs: 60_000, pace };
    assert.equal(helloPatienceMs(deadline, 0, 0), 1_000);
    assert.equal(helloPatienceMs(deadline, 1_000, 0), 0);
    assert.equal(helloPatienceMs(deadline, 1_000, 1), 20);
    assert.equal(helloPatienceMs(deadline, 1_000, 500), 10_000);
  });

  test('never goes beyond the deadline, however much has come', () => {
    assert.equal(helloPatienceMs({ timeoutMs: 5_000, pace }, 4_000, 60_000), 1_000);
    assert.equal(helloPatienceMs({ timeoutMs: 500, pace }, 0, 0), 500);
  });
});
