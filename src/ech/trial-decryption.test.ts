import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EchClient, createTestKey, encodeInner } from '../../test/support/ech-client.ts';
import { wrapMessage, wrapRecords } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { EchOpener } from './ech-opener.ts';

describe('EchOpener with trialDecryption', () => {
  test('tries keys of other numbers for a part of the time only, and that of its number always', () => {
    const keys = Array.from({ length: 40 }, (_, configId) => createTestKey({ configId }));
    const last = keys[39]!;
    let now = 0;
    // Each look at the clock, and so each key that is tried, takes a millisecond.
    const opener = new EchOpener(keys, { trialDecryption: true, nowMs: () => (now += 1) });
    const open = (configId: number): string => {
      const body = new EchClient(last).seal(encodeInner(), {}, { configId });
      return opener.open(readHello(wrapRecords(wrapMessage(body))), 0x0301).kind;
    };
    assert.deepEqual([open(200), open(200)], ['accepted', 'undecryptable']);
    const before = now;
    assert.equal(open(200), 'undecryptable');
    assert.ok(now - before < 5, 'no key is tried without time for it');
    assert.equal(open(39), 'accepted');
    now += 500;
    assert.equal(open(200), 'accepted');
  });
});
