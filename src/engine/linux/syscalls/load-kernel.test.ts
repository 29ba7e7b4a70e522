import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadKernel } from './load-kernel.ts';

/** Runs `body` with other values of process.platform and process.arch. */
function pretend(machine: { platform?: string; arch?: string }, body: () => void): void {
  const real = { platform: process.platform, arch: process.arch };
  try {
    for (const [name, value] of Object.entries(machine)) Object.defineProperty(process, name, { value });
    body();
  } finally {
    for (const [name, value] of Object.entries(real)) Object.defineProperty(process, name, { value });
  }
}

test('loadKernel() says why it cannot run off Linux', () => {
  pretend({ platform: 'darwin' }, () => {
    assert.deepEqual(loadKernel(), { ok: false, why: 'it needs Linux, this is darwin' });
  });
});

test('loadKernel() says why it cannot run on another processor', () => {
  pretend({ platform: 'linux', arch: 'riscv64' }, () => {
    assert.deepEqual(loadKernel(), { ok: false, why: 'it needs an x64 or arm64 processor, this is riscv64' });
  });
});

test('loadKernel() runs here, or gives a reason in words', t => {
  const loaded = loadKernel();
  if (loaded.ok) return;
  assert.match(loaded.why, /\w+ \w+/);
  t.skip(`no linux engine here: ${loaded.why}`);
});
