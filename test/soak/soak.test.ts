/** The short form of the soak; `npm run soak -- --seconds 600 --engine linux` is the long one. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, test } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { runSoak } from './run-soak.ts';
import type { SoakOptions } from './run-soak.ts';

const onLinux = { skip: process.platform === 'linux' ? false : '/proc is that of Linux' };
const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

async function soak(engine: SoakOptions['engine'], report: (text: string) => void): Promise<void> {
  const seed = randomInt(2 ** 31);
  const { problems, ...facts } = await runSoak({ seconds: 5, engine, seed });
  report(JSON.stringify({ seed, ...facts }));
  assert.deepEqual(problems, []);
  for (const kind of ['whole', 'slow', 'reset', 'leave', 'garbage', 'unknown'])
    assert.ok((facts.flows[kind] ?? 0) > 0, `${kind} was not among them`);
}

describe('under random connections everything comes back to its start', { concurrency: true }, () => {
  test('on the linux engine', needsKernel, t => soak('linux', text => t.diagnostic(text)));
  test('on the portable engine', onLinux, t => soak('portable', text => t.diagnostic(text)));
});
