import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Ticket } from '../../verdict.ts';
import type { Reactor } from './reactor.ts';
import { RelayLimits } from './relay-limits.ts';
import { TimerWheel } from './timer-wheel.ts';

/** A relay that waits for bandwidth, and what becomes of it once there is some. */
function awaitPace(onResume: (limits: RelayLimits) => void): TimerWheel {
  const timers = new TimerWheel(0);
  const reactor = { now: 0, timers };
  const relay = {
    activeAtMs: 0,
    isHalfClosed: false,
    resume: () => onResume(limits),
    terminate: () => assert.fail('it is not overdue'),
    onFault: (error: unknown) => assert.fail(String(error)),
  };
  const limits: RelayLimits = new RelayLimits(reactor as unknown as Reactor, relay, {
    spans: { idleMs: 60_000, halfCloseMs: 0, lifetimeMs: 0 },
    ticket: { isPaced: true, waitMs: () => 5 } as unknown as Ticket,
  });
  limits.arm();
  limits.awaitPace();
  reactor.now = 1_000;
  timers.advance(reactor.now);
  return timers;
}

describe('RelayLimits', () => {
  test('waits for the idle time once bandwidth is there again', () => {
    assert.equal(awaitPace(() => {}).count, 1);
  });

  test('leaves no timer behind for a relay that ends when it goes on', () => {
    assert.equal(awaitPace(limits => limits.close()).count, 0);
  });
});
