import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WorkBudget } from './work-budget.ts';

/** A budget under a clock of the test's own; a piece of work takes `pieceMs` of it. */
function createBudget(pieceMs: number) {
  let now = 1_000;
  const budget = new WorkBudget({ nowMs: () => now, share: 0.1, burstMs: 50, pieceMsMax: 10 });
  return {
    wait: (ms: number): void => void (now += ms),
    /** Pieces done until there is no time left. */
    drain: (): number => {
      for (let count = 0; count < 1_000; count++) {
        const done = budget.spend(() => {
          now += pieceMs;
          return 'done';
        });
        if (done === null) return count;
      }
      return Infinity;
    },
  };
}

describe('WorkBudget', () => {
  test('does as many pieces at once as the burst has time for, the slower the fewer', () => {
    assert.equal(createBudget(5).drain(), 12);
    assert.equal(createBudget(1).drain(), 56);
    assert.equal(createBudget(0.1).drain(), 556);
  });

  test('goes on with its share of the time that passes, and no more than the burst after a pause', () => {
    const { wait, drain } = createBudget(1);
    drain();
    assert.equal(drain(), 0);
    wait(100);
    const tenth = drain();
    assert.ok(tenth >= 10 && tenth <= 12, String(tenth));
    wait(1e9);
    assert.equal(drain(), 56);
  });

  test('does not count what the thread had to wait for a processor', () => {
    const { wait, drain } = createBudget(1_000);
    wait(500);
    assert.equal(drain(), Infinity, 'each second gives back more than ten milliseconds');
    const { drain: drainSlow } = createBudget(60);
    assert.equal(drainSlow(), 13);
  });
});
