import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendLedger, createLedgerMemory } from './backend-ledger.ts';
import { EjectionWatch } from './ejection-watch.ts';

test('EjectionWatch tells of each ejection and each return once', () => {
  const ejection = { failures: 1, baseMs: 1_000, maxMs: 8_000 };
  const backends = [0, 1].map(id => ({
    plain: {
      id,
      backend: { kind: 'ip', address: '10.0.0.1', port: 443, family: 4 } as const,
      weight: 1,
      backup: false,
      maxConnections: 0,
      proxy: null,
    },
    ejection,
  }));
  let time = 1_000;
  const nowMs = (): number => time;
  const ledger = new BackendLedger({ memory: createLedgerMemory(2, 1), backends, worker: 0, nowMs });
  const told: string[] = [];
  const watch = new EjectionWatch(ledger, nowMs, {
    ejected: (backend, forMs) => told.push(`${backend} out for ${forMs}`),
    returned: backend => told.push(`${backend} back`),
  });
  const fail = (backend: number): void => {
    ledger.take(backend);
    ledger.leave(backend, 'failed');
  };
  watch.look();
  fail(1);
  watch.look();
  watch.look();
  time += 500;
  fail(0);
  watch.look();
  time += 500;
  watch.look();
  fail(1);
  watch.look();
  time += 2_000;
  watch.look();
  watch.look();
  assert.deepEqual(told, [
    '1 out for 1000',
    '0 out for 1000',
    '1 back',
    '1 out for 2000',
    '0 back',
    '1 back',
  ]);
});
