import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PENDING_HELLOS_PER_CLIENT } from '../../src/limits.ts';
import { runFlood } from './run-flood.ts';

for (const engine of ['portable', 'linux'] as const) {
  const skip = process.platform === 'linux' ? false : 'reads /proc';
  test(`honest clients are served during a flood of silent ones (${engine})`, { skip }, async t => {
    const result = await runFlood(engine, { size: 1_000, probes: 50 });
    t.diagnostic(JSON.stringify(result));
    assert.ok(result.held <= PENDING_HELLOS_PER_CLIENT, `${result.held} are held`);
    const [before, , after] = result.memoryMiB;
    assert.ok(after < before + 100, `${before} MiB before, ${after} MiB after`);
  });
}
