import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { paceDueMs } from './hello-pace.ts';

describe('paceDueMs()', () => {
  const pace = { graceMs: 1_000, bytesPerSecond: 50 };

  test('gives a silent client the grace time', () => assert.equal(paceDueMs(pace, 0), 1_000));

  test('gives every byte its time', () => {
    assert.equal(paceDueMs(pace, 1), 1_020);
    assert.equal(paceDueMs(pace, 500), 11_000);
  });
});
