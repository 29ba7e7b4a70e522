import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MAGLEV_SLOTS, MAGLEV_SLOTS_SMALL } from '../limits.ts';
import { buildMaglev } from './maglev.ts';
import type { Weighted } from './maglev.ts';

const backends = (count: number, weight = 1): Weighted[] =>
  Array.from({ length: count }, (_, index) => ({ text: `10.0.0.${index}:443`, weight }));

function shares(table: Uint16Array, count: number): number[] {
  const slots = Array.from({ length: count }, () => 0);
  for (const index of table) slots[index]! += 1;
  return slots.map(share => share / table.length);
}

/** Part of the slots whose backend, by its text, is another one in the second table. */
function moved(
  [before, beforeTable]: [readonly Weighted[], Uint16Array],
  [after, afterTable]: [readonly Weighted[], Uint16Array],
): number {
  let count = 0;
  for (const [slot, index] of beforeTable.entries()) {
    if (before[index]!.text !== after[afterTable[slot]!]!.text) count++;
  }
  return count / beforeTable.length;
}

function isPrime(value: number): boolean {
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}

describe('buildMaglev()', () => {
  test('has tables of prime size, the small one for few backends', () => {
    assert.ok(isPrime(MAGLEV_SLOTS) && isPrime(MAGLEV_SLOTS_SMALL));
    assert.equal(buildMaglev(backends(20)).length, MAGLEV_SLOTS_SMALL);
    assert.equal(buildMaglev(backends(21)).length, MAGLEV_SLOTS);
  });

  test('gives every backend an even share', () => {
    for (const count of [2, 3, 10, 20, 100, 512]) {
      for (const share of shares(buildMaglev(backends(count)), count)) {
        assert.ok(Math.abs(share * count - 1) < 0.02, `${share} of ${count}`);
      }
    }
  });

  test('gives shares by weight', () => {
    const weighted = [1, 2, 7].map((weight, index) => ({ text: `b${index}:1`, weight }));
    const [one = 0, two = 0, seven = 0] = shares(buildMaglev(weighted), 3);
    assert.ok(Math.abs(one - 0.1) < 0.005 && Math.abs(two - 0.2) < 0.005 && Math.abs(seven - 0.7) < 0.005);
  });

  test('does not depend on the order of the backends', () => {
    const some = backends(7);
    const turned = some.toReversed();
    assert.equal(moved([some, buildMaglev(some)], [turned, buildMaglev(turned)]), 0);
  });

  test('moves at most a little over its share when a backend leaves', () => {
    for (const count of [3, 10, 20, 50]) {
      const all = backends(count);
      const table = buildMaglev(all);
      let most = 0;
      for (let gone = 0; gone < count; gone++) {
        const left = all.filter((_, index) => index !== gone);
        if (buildMaglev(left).length !== table.length) continue;
        most = Math.max(most, moved([all, table], [left, buildMaglev(left)]));
      }
      // All clients of the one that left have to move; of the others, few.
      assert.ok(most >= 1 / count - 0.01, `${most} of ${count}`);
      assert.ok(most < 1 / count + 0.07, `${most} of ${count}`);
    }
  });

  test('fills every slot, whatever the names and weights', () => {
    const any = fc.uniqueArray(
      fc.record({ text: fc.string({ minLength: 1 }), weight: fc.integer({ min: 1, max: 1000 }) }),
      { selector: ({ text }) => text, minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(any, some => {
        const total = some.reduce((sum, { weight }) => sum + weight, 0);
        for (const [index, share] of shares(buildMaglev(some), some.length).entries()) {
          assert.ok(Math.abs(share - some[index]!.weight / total) < 0.02);
        }
      }),
      { numRuns: 50 },
    );
  });
});
