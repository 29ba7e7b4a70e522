import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LAG_PROBE_TIMEOUT_MS } from '../../limits.ts';
import { LagProbe, probeClockMs } from './lag-probe.ts';

describe('LagProbe', () => {
  test('gives what the worker answers to all who ask meanwhile, and asks it once', async () => {
    const probe = new LagProbe();
    const sent: number[] = [];
    const asked = [1, 1].map(worker => probe.measure(worker, at => sent.push(at)));
    assert.equal(sent.length, 1);
    assert.ok(probeClockMs() >= sent[0]!);
    probe.answered(0, 7);
    probe.answered(1, 2.5);
    assert.deepEqual(await Promise.all(asked), [2.5, 2.5]);
    void probe.measure(1, at => sent.push(at));
    assert.equal(sent.length, 2);
    probe.answered(1, 0);
  });

  test('gives up on a worker that does not answer', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const lag = new LagProbe().measure(0, () => undefined);
    t.mock.timers.tick(LAG_PROBE_TIMEOUT_MS);
    assert.equal(await lag, LAG_PROBE_TIMEOUT_MS);
  });
});
