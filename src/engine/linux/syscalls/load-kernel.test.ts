import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EPERM } from './constants.ts';
import { loadKernel } from './load-kernel.ts';
import { probeKernel } from './probe-kernel.ts';

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

test('loadKernel() says so when the optional package is not installed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-no-ffi-'));
  try {
    cpSync(fileURLToPath(new URL('../../..', import.meta.url)), folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const url = pathToFileURL(join(folder, 'engine/linux/syscalls/load-kernel.js')).href;
    const elsewhere = (await import(url)) as { loadKernel: typeof loadKernel };
    pretend({ platform: 'linux', arch: 'x64' }, () => {
      const loaded = elsewhere.loadKernel();
      assert.ok(!loaded.ok);
      assert.match(loaded.why, /^the optional package koffi cannot be loaded: Cannot find module 'koffi'$/);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('probeKernel() names the call that a seccomp filter refuses', t => {
  const loaded = loadKernel();
  if (!loaded.ok) {
    t.skip(`no linux engine here: ${loaded.why}`);
    return;
  }
  const { kernel, createArena } = loaded;
  for (const call of ['epoll_create1', 'eventfd', 'epoll_wait', 'pipe2', 'splice'] as const) {
    const filtered = { ...kernel, [call]: () => -1, errno: () => EPERM };
    const refusal = probeKernel(filtered, createArena);
    assert.equal(refusal, `the kernel refuses a system call it needs: ${call} EPERM`);
  }
  assert.equal(probeKernel(kernel, createArena), null);
});
