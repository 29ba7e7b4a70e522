/** `sniway ech` as a process of its own, and keys for it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateKey } from '../../src/cli/ech/keygen.ts';
import type { KeygenFlags } from '../../src/cli/ech/keygen.ts';
import { run } from './programs.ts';
import type { Finished } from './programs.ts';
import { commandFile } from './project.ts';

export function ech(t: TestContext, args: readonly string[], input = ''): Promise<Finished> {
  return run(t, [process.execPath, commandFile, 'ech', ...args], input);
}

/** What it prints; it must not fail. */
export async function echOut(t: TestContext, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ech(t, args);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What it complains of, which is a mistake of the command line. */
export async function echRefusal(t: TestContext, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ech(t, args);
  assert.deepEqual([code, stdout], [2, ''], stderr);
  assert.match(stderr, /^(?:sniway: )?error: /);
  return stderr;
}

/** A key for `public.example` in this folder, made without a process of its own. */
export function makeKey(folder: string, flags: Partial<KeygenFlags> = {}): string {
  const path = join(folder, `key-${readdirSync(folder).length}.ech`);
  generateKey({ publicName: 'public.example', kem: 'x25519', out: path, ...flags });
  return path;
}
