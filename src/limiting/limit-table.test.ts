import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { LimitTable, TAKE, createSharedLimitTable } from './limit-table.ts';
import type { SubjectLimits } from './limit-table.ts';

const FREE: SubjectLimits = { connections: null, rate: null, bandwidth: null };

function createTable(shape: { slots?: number; fixed?: number; owners?: number } = {}) {
  const shared = createSharedLimitTable({ slots: 64, fixed: 2, owners: 3, ...shape });
  return { shared, table: new LimitTable(shared, 0) };
}

function takeFor(table: LimitTable, key: number, limits: SubjectLimits, nowMs = 0): number {
  table.hash.begin();
  table.hash.add(key);
  table.hash.finish();
  return table.takeKeyed(limits, nowMs);
}

describe('LimitTable', () => {
  test('counts connections up to the limit and not one more', () => {
    const { table } = createTable();
    const limits = { ...FREE, connections: 2 };
    const slot = takeFor(table, 1, limits);
    assert.ok(slot >= 2);
    assert.equal(takeFor(table, 1, limits), slot);
    assert.equal(takeFor(table, 1, limits), TAKE.tooMany);
    assert.notEqual(takeFor(table, 2, limits), slot, 'another key has a count of its own');
    table.release(slot);
    assert.equal(takeFor(table, 1, limits), slot);
    assert.equal(takeFor(table, 1, limits), TAKE.tooMany);
  });

  test('counts in numbered slots alike', () => {
    const { table } = createTable();
    const limits = { ...FREE, connections: 1 };
    assert.equal(table.takeFixed(1, limits, 0), 1);
    assert.equal(table.takeFixed(1, limits, 0), TAKE.tooMany);
    assert.equal(table.takeFixed(0, limits, 0), 0);
    table.release(1);
    assert.equal(table.count(1), 0);
    assert.equal(table.takeFixed(1, limits, 0), 1);
  });

  test('lets a burst through, then as many as the rate gives back, to the millisecond', () => {
    const { table } = createTable();
    const limits = { ...FREE, rate: { perSecond: 10, burst: 3 } };
    const at = (nowMs: number): number => takeFor(table, 1, limits, nowMs);
    const answers = [1_000, 1_000, 1_000, 1_000, 1_099, 1_100, 1_100, 1_199, 1_200].map(at);
    const fine = answers.map(answer => answer >= 0);
    assert.deepEqual(fine, [true, true, true, false, false, true, false, false, true]);
    assert.equal(at(1_200), TAKE.tooFast);
    assert.deepEqual(
      [5_000, 5_000, 5_000, 5_000].map(nowMs => at(nowMs) >= 0),
      [true, true, true, false],
      'a bucket never holds more than its burst',
    );
  });

  test('gives exactly the rate over a long time, also one that is no whole number of milliseconds', () => {
    const { table } = createTable();
    const limits = { ...FREE, rate: { perSecond: 7, burst: 1 } };
    let taken = 0;
    for (let nowMs = 0; nowMs < 100_000; nowMs++) if (takeFor(table, 1, limits, nowMs) >= 0) taken++;
    // Each wait is rounded up to the next millisecond: 143 ms instead of 142.86.
    assert.equal(taken, Math.ceil(100_000 / 143));
    let exact = 0;
    for (let step = 0; step < 700; step++)
      if (takeFor(table, 2, limits, 1e6 + (step * 1_000) / 7) >= 0) exact++;
    assert.equal(exact, 700);
  });

  test('takes back a connection with its part of the rate', () => {
    const { table } = createTable();
    const limits = { connections: 5, rate: { perSecond: 1, burst: 2 }, bandwidth: null };
    const slot = takeFor(table, 1, limits, 1_000);
    table.undo(slot, limits);
    assert.equal(table.count(slot), 0);
    assert.ok(takeFor(table, 1, limits, 1_000) >= 0);
    assert.ok(takeFor(table, 1, limits, 1_000) >= 0);
    assert.equal(takeFor(table, 1, limits, 1_000), TAKE.tooFast);
  });

  test('does not spend the rate on a connection that is one too many', () => {
    const { table } = createTable();
    const limits = { connections: 1, rate: { perSecond: 1, burst: 2 }, bandwidth: null };
    const slot = takeFor(table, 1, limits, 1_000);
    for (let round = 0; round < 5; round++) assert.equal(takeFor(table, 1, limits, 1_000), TAKE.tooMany);
    table.release(slot);
    assert.equal(takeFor(table, 1, limits, 1_000), slot);
  });

  test('reserves bytes up to what the bucket holds, and takes back what was not used', () => {
    const { table } = createTable();
    const bandwidth = { perSecond: 1_000, burst: 100 };
    const slot = takeFor(table, 1, { ...FREE, bandwidth }, 5_000);
    const reserve = (bytes: number, nowMs: number, least = 1): number =>
      table.reserve(slot, bandwidth, { bytes, least }, nowMs);
    assert.equal(reserve(60, 5_000), 60);
    assert.equal(reserve(60, 5_000), 40);
    assert.equal(reserve(60, 5_000), 0);
    assert.equal(table.bandwidthWaitMs(slot, bandwidth, 10, 5_000), 10);
    assert.equal(reserve(60, 5_009, 10), 0);
    assert.equal(reserve(60, 5_010, 10), 10);
    table.refund(slot, bandwidth, 4);
    assert.equal(reserve(60, 5_010), 4);
    assert.equal(reserve(500, 9_000), 100, 'a bucket never holds more than its burst');
    assert.equal(table.bandwidthWaitMs(slot, bandwidth, 1_000, 9_000), 100, 'never waits for more than that');
  });

  test('takes a slot that says nothing any more for another key, and no other', () => {
    const { table } = createTable({ slots: 64 });
    const limits = { ...FREE, rate: { perSecond: 1, burst: 10 } };
    for (let key = 0; key < 64; key++) table.release(takeFor(table, key, limits, 0));
    assert.equal(table.survey(0).keys, 64);
    assert.equal(table.survey(1_000).keys, 0, 'their buckets are full again');
    for (let key = 100; key < 164; key++) assert.ok(takeFor(table, key, limits, 1_000) >= 0);
    assert.equal(table.forgotten, 0);
    assert.equal(table.untracked, 0);
  });

  test('forgets the rate that is soonest full again, when it must', () => {
    const { table } = createTable({ slots: 64 });
    const limits = { ...FREE, rate: { perSecond: 1, burst: 1 } };
    for (let key = 0; key < 64; key++) table.release(takeFor(table, key, limits, key));
    assert.ok(takeFor(table, 1_000, limits, 100) >= 0);
    assert.equal(table.forgotten, 1);
    assert.equal(takeFor(table, 63, limits, 100), TAKE.tooFast, 'the latest is remembered');
  });

  test('full of connections, it counts newcomers no more instead of locking them out', () => {
    const { table } = createTable({ slots: 64 });
    const limits = { ...FREE, connections: 1 };
    const slots = Array.from({ length: 64 }, (_, key) => takeFor(table, key, limits));
    assert.equal(new Set(slots).size, 64);
    assert.equal(takeFor(table, 1_000, limits), TAKE.untracked);
    assert.equal(table.untracked, 1);
    assert.equal(takeFor(table, 5, limits), TAKE.tooMany, 'those that are in are still counted');
    assert.equal(table.takeFixed(0, limits, 0), 0, 'numbered slots are always there');
    table.release(slots[3]!);
    assert.ok(takeFor(table, 1_000, limits) >= 0);
  });

  test('gives back what a dead thread held, its locks too', async () => {
    const { shared, table } = createTable();
    const other = new LimitTable(shared, 1);
    const limits = { ...FREE, connections: 5 };
    for (let round = 0; round < 3; round++) takeFor(other, 1, limits);
    other.takeFixed(0, limits, 0);
    const mine = takeFor(table, 1, limits);
    assert.equal(table.count(mine), 4);
    table.forgetOwner(1);
    assert.equal(table.count(mine), 1);
    assert.equal(table.count(0), 0);
    assert.equal(table.survey(0).connections, 1);
    assert.deepEqual(await hammer(shared, { threads: 1, rounds: 1_000, limit: 1, dies: true }), [0]);
    table.forgetOwner(1);
    assert.equal(table.survey(0).connections, 1);
  });

  test('never goes over a limit and never drifts while several threads count at once', async () => {
    const { shared, table } = createTable({ slots: 128, fixed: 1, owners: 4 });
    const over = await hammer(shared, { threads: 3, rounds: 40_000, limit: 2 });
    assert.deepEqual(over, [0, 0, 0], 'takes that saw more than the limit');
    assert.deepEqual(table.survey(1e9).connections, 0);
    assert.equal(table.takeFixed(0, { ...FREE, connections: 1 }, 0), 0);
  });
});

/** Threads that take and release the same few slots; each answers how often it saw a count above the limit. */
async function hammer(
  shared: ReturnType<typeof createSharedLimitTable>,
  options: { threads: number; rounds: number; limit: number; dies?: boolean },
): Promise<number[]> {
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.module).then(({ LimitTable }) => {
      const { shared, owner, rounds, limit, dies } = workerData;
      const table = new LimitTable(shared, owner);
      const limits = { connections: limit, rate: { perSecond: 1e9, burst: 1e9 }, bandwidth: null };
      let over = 0;
      for (let round = 0; round < rounds; round++) {
        table.hash.begin();
        table.hash.add(round % 3);
        table.hash.finish();
        const slots = [table.takeKeyed(limits, round), table.takeFixed(0, limits, round)].filter(s => s >= 0);
        for (const slot of slots) if (table.count(slot) > limit || table.count(slot) < 1) over++;
        if (dies && round === rounds - 1) break;
        for (const slot of slots) table.release(slot);
      }
      parentPort.postMessage(over);
    });`;
  const module = new URL('limit-table.js', import.meta.url).href;
  return await Promise.all(
    Array.from({ length: options.threads }, async (_, index) => {
      const worker = new Worker(program, {
        eval: true,
        workerData: { ...options, shared, module, owner: index + 1 },
      });
      const [over] = (await once(worker, 'message')) as [number];
      await worker.terminate();
      return over;
    }),
  );
}
