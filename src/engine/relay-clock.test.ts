import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RelayClock, isTimed } from './relay-clock.ts';

const NONE = { idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 };
const at = (nowMs: number, activeAtMs = 0, isHalfClosed = false) => ({ nowMs, activeAtMs, isHalfClosed });

describe('RelayClock', () => {
  test('lets a relay without limits go on for ever', () => {
    const clock = new RelayClock(NONE, 0, 0.5);
    assert.equal(isTimed(NONE), false);
    assert.equal(clock.overdue(at(1e12)), null);
    assert.equal(clock.delayMs(at(1e12)), Number.POSITIVE_INFINITY);
  });

  test('ends a relay that moves no byte, counted from the last one', () => {
    const clock = new RelayClock({ ...NONE, idleMs: 100 }, 0, 0);
    assert.equal(clock.overdue(at(149, 50)), null);
    assert.equal(clock.overdue(at(150, 50)), 'idle');
    assert.equal(clock.delayMs(at(120, 50)), 30);
    assert.equal(clock.delayMs(at(500, 50)), 0);
  });

  test('gives half-closed relays a time of their own, and the idle time as well', () => {
    const both = new RelayClock({ ...NONE, idleMs: 100, halfCloseMs: 40 }, 0, 0);
    assert.equal(both.overdue(at(40)), null);
    assert.equal(both.overdue(at(40, 0, true)), 'idle');
    assert.equal(both.delayMs(at(0, 0, true)), 40);
    const idleOnly = new RelayClock({ ...NONE, idleMs: 100 }, 0, 0);
    assert.equal(idleOnly.overdue(at(100, 0, true)), 'idle');
    const halfOnly = new RelayClock({ ...NONE, halfCloseMs: 40 }, 0, 0);
    assert.equal(halfOnly.overdue(at(1e9)), null);
    assert.equal(halfOnly.overdue(at(40, 0, true)), 'idle');
  });

  test('ends every relay at its lifetime, up to a tenth earlier by chance', () => {
    const spans = { ...NONE, lifetimeMs: 1_000 };
    assert.equal(new RelayClock(spans, 500, 0).overdue(at(1_499, 1_499)), null);
    assert.equal(new RelayClock(spans, 500, 0).overdue(at(1_500, 1_500)), 'lifetime');
    assert.equal(new RelayClock(spans, 500, 1).overdue(at(1_399, 1_399)), null);
    assert.equal(new RelayClock(spans, 500, 1).overdue(at(1_400, 1_400)), 'lifetime');
    assert.equal(new RelayClock({ ...spans, idleMs: 5_000 }, 0, 0).delayMs(at(0)), 1_000);
  });
});
