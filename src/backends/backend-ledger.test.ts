import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BackendLedger, createLedgerMemory } from './backend-ledger.ts';
import type { TrackedBackend } from './backend-ledger.ts';
import type { PlainEjection } from './plain-pool.ts';

const EJECTION: PlainEjection = { failures: 3, baseMs: 1_000, maxMs: 5_000 };

function tracked(maxConnections: number, ejection = EJECTION, id = 0): TrackedBackend {
  const backend = { kind: 'ip', address: '10.0.0.1', port: 443, family: 4 } as const;
  return { plain: { id, backend, weight: 1, backup: false, maxConnections, proxy: null }, ejection };
}

interface Bench {
  readonly ledger: BackendLedger;
  readonly other: BackendLedger;
  time: number;
}

function bench(...backends: TrackedBackend[]): Bench {
  const memory = createLedgerMemory(backends.length, 2);
  const made = { time: 1_000_000 };
  const nowMs = (): number => made.time;
  return Object.assign(made, {
    ledger: new BackendLedger({ memory, backends, worker: 0, nowMs }),
    other: new BackendLedger({ memory, backends, worker: 1, nowMs }),
  });
}

function fail({ ledger }: Bench, times: number): void {
  for (let count = 0; count < times; count++) {
    assert.ok(ledger.take(0));
    ledger.leave(0, count % 2 === 0 ? 'failed' : 'lost');
  }
}

describe('BackendLedger', () => {
  test('counts connections of all workers against one limit', () => {
    const { ledger, other } = bench(tracked(3));
    assert.ok(ledger.take(0) && other.take(0) && ledger.take(0));
    assert.equal(ledger.isFull(0), true);
    assert.equal(other.take(0), false);
    ledger.leave(0, 'ended');
    assert.equal(other.take(0), true);
    assert.equal(ledger.open(0), 3);
  });

  test('gives back what a dead worker had taken, and nothing else', () => {
    const { ledger, other } = bench(tracked(0), tracked(0, EJECTION, 1));
    ledger.take(0);
    for (const backend of [0, 0, 1]) other.take(backend);
    ledger.giveBack(1);
    assert.deepEqual([ledger.open(0), ledger.open(1)], [1, 0]);
    ledger.giveBack(1);
    assert.deepEqual([ledger.open(0), ledger.open(1)], [1, 0]);
  });

  test('lets others eject what a worker was about to eject when it died', () => {
    const memory = createLedgerMemory(1, 2);
    const shared = { memory, backends: [tracked(0, { ...EJECTION, failures: 1 })] };
    const ledger = new BackendLedger({ ...shared, worker: 0, nowMs: () => 1_000 });
    const nowMs = (): number => {
      throw new Error('dies');
    };
    const dying = new BackendLedger({ ...shared, worker: 1, nowMs });
    dying.take(0);
    assert.throws(() => dying.leave(0, 'failed'), /dies/);
    ledger.giveBack(1);
    ledger.take(0);
    ledger.leave(0, 'failed');
    assert.equal(ledger.isEjected(0), true);
    assert.equal(ledger.open(0), 0);
  });

  test('is never over its limit while threads race for it', async () => {
    const memory = createLedgerMemory(1, 4);
    const code = `
      const { workerData } = require('node:worker_threads');
      import(workerData.module).then(({ BackendLedger }) => {
        const ledger = new BackendLedger({ ...workerData, nowMs: () => 0 });
        let most = 0;
        for (let round = 0; round < 20000; round++) {
          if (!ledger.take(0)) continue;
          most = Math.max(most, ledger.open(0));
          ledger.leave(0, 'ended');
        }
        if (most > 2) throw new Error('over its limit: ' + most);
      });`;
    const module = new URL('backend-ledger.js', import.meta.url).href;
    await Promise.all(
      [0, 1, 2, 3].map(worker => {
        const workerData = { module, memory, worker, backends: [tracked(2)] };
        const thread = new Worker(code, { eval: true, workerData });
        return new Promise<void>((resolve, reject) => {
          thread.once('error', reject);
          thread.once('exit', () => resolve());
        });
      }),
    );
    const ledger = new BackendLedger({ memory, backends: [tracked(2)], worker: 0, nowMs: () => 0 });
    assert.equal(ledger.open(0), 0);
  });

  test('ejects after failures in a row, whoever they happen to', () => {
    const made = bench(tracked(0));
    const { ledger, other } = made;
    fail(made, 2);
    other.take(0);
    other.answered(0);
    other.leave(0, 'ended');
    fail(made, 2);
    assert.equal(ledger.isEjected(0), false);
    other.take(0);
    other.leave(0, 'failed');
    assert.deepEqual([ledger.isEjected(0), other.isEjected(0)], [true, true]);
    assert.equal(ledger.ejectionsSoFar, 1);
    assert.equal(ledger.counts(0).ejections, 1);
    assert.equal(ledger.counts(0).failed, 5);
  });

  test('does not take a client that left, or a backend that went in the middle, for a failure', () => {
    const { ledger } = bench(tracked(0));
    for (let count = 0; count < 10; count++) {
      ledger.take(0);
      ledger.leave(0, 'unused');
    }
    assert.equal(ledger.counts(0).failed, 0);
  });

  test('ejects at the first failure after the return, for twice as long, up to a bound', () => {
    const made = bench(tracked(0));
    const { ledger } = made;
    fail(made, 3);
    const lasted: number[] = [];
    for (let round = 0; round < 5; round++) {
      lasted.push(ledger.ejectedUntil(0) - made.time);
      made.time = ledger.ejectedUntil(0);
      assert.equal(ledger.isEjected(0), false);
      fail(made, 1);
      assert.equal(ledger.isEjected(0), true);
    }
    assert.deepEqual(lasted, [1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  test('does not make an ejection longer by failures that were under way', () => {
    const made = bench(tracked(0));
    fail(made, 3);
    const until = made.ledger.ejectedUntil(0);
    fail(made, 10);
    assert.equal(made.ledger.ejectedUntil(0), until);
    assert.equal(made.ledger.counts(0).ejections, 1);
  });

  test('begins with the shortest ejection anew after a good while', () => {
    const made = bench(tracked(0));
    const { ledger } = made;
    fail(made, 3);
    made.time = ledger.ejectedUntil(0);
    fail(made, 1);
    made.time = ledger.ejectedUntil(0) + 2_001;
    fail(made, 1);
    assert.equal(ledger.ejectedUntil(0) - made.time, 1_000);
  });

  test('never ejects where the configuration says so', () => {
    const made = bench(tracked(0, { ...EJECTION, failures: 0 }));
    fail(made, 100);
    assert.equal(made.ledger.isEjected(0), false);
  });
});
