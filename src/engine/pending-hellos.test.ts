import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePeerAddress } from '../wire/peer-address.ts';
import { PendingHellos } from './pending-hellos.ts';
import type { PendingCounts, PendingEntry } from './pending-hellos.ts';

/** Counts by the last number of the address, at most three for each. */
class Counts implements PendingCounts {
  readonly counts = new Map<number, number>();

  enter({ words }: { words: readonly number[] }): number {
    const number = words[3]! & 0xff;
    if (number === 0) return -3;
    const count = this.count(number);
    if (count === 3) return -1;
    this.counts.set(number, count + 1);
    return number;
  }

  leave(number: number): void {
    this.counts.set(number, this.count(number) - 1);
  }

  count(number: number): number {
    return this.counts.get(number) ?? 0;
  }
}

function createList(most: number) {
  const counts = new Counts();
  const list = new PendingHellos(counts, most);
  const shed: string[] = [];
  const enter = (name: string): PendingEntry | null => {
    const entry = list.enter(parsePeerAddress(`10.0.0.${name.slice(1)}`, 1), () => {
      shed.push(name);
      list.leave(entry!);
    });
    return entry;
  };
  return { counts, list, shed, enter };
}

describe('PendingHellos', () => {
  test('refuses a client that has its share, and lets it in again after one has left', () => {
    const { list, enter, shed } = createList(100);
    const first = enter('a7');
    enter('b7');
    enter('c7');
    assert.equal(enter('d7'), null);
    assert.equal(list.size, 3);
    list.leave(first!);
    assert.notEqual(enter('e7'), null);
    assert.deepEqual(shed, []);
  });

  test('when full, ends the oldest of whoever has most', () => {
    const { list, enter, shed } = createList(4);
    for (const name of ['a1', 'b2', 'c2', 'd3']) enter(name);
    enter('e4');
    assert.deepEqual(shed, ['b2']);
    enter('f5');
    assert.deepEqual(shed, ['b2', 'a1'], 'the oldest where all have one');
    assert.equal(list.size, 4);
  });

  test('looks at the oldest few only', () => {
    const { enter, shed } = createList(18);
    for (let client = 1; client <= 16; client++) enter(`a${client}`);
    enter('b99');
    enter('c99');
    enter('d50');
    assert.deepEqual(shed, ['a1']);
  });

  test('keeps clients that cannot be counted in its list, too', () => {
    const { list, counts, enter, shed } = createList(2);
    enter('a0');
    const second = enter('b0');
    enter('c1');
    assert.deepEqual(shed, ['a0']);
    list.leave(second!);
    assert.equal(list.size, 1);
    assert.deepEqual([...counts.counts], [[1, 1]]);
  });

  test('is empty when all have left, in any order', () => {
    const { list, counts, enter } = createList(10);
    const entries = ['a1', 'b1', 'c2', 'd3', 'e3'].map(enter);
    for (const index of [2, 0, 4, 1, 3]) list.leave(entries[index]!);
    assert.equal(list.size, 0);
    assert.ok([...counts.counts.values()].every(count => count === 0));
    enter('f1');
    assert.equal(list.size, 1);
  });
});
