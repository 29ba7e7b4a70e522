/** What the page on the library says of bounds and channels is so. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DiagnosticsMessages } from '../../src/index.ts';
import * as limits from '../../src/limits.ts';
import { projectRoot } from '../support/project.ts';

const page = readFileSync(join(projectRoot, 'docs', 'library.md'), 'utf8').replaceAll('\n', ' ');

test('the page on the library tells the bounds that hold', () => {
  for (const text of [
    `within \`timeouts.decide\` (${limits.DECIDE_TIMEOUT_MS / 1_000} seconds unless set)`,
    `at most every ${limits.USER_NOTICE_MS / 1_000} seconds`,
    `At most ${limits.USER_CALLS_MAX.toLocaleString('en')} connections wait for functions`,
    `in this order, at most ${limits.USER_BACKENDS_MAX}`,
  ])
    assert.ok(page.includes(text), text);
  assert.equal(limits.DIAGNOSTICS_POLL_MS, 1_000, 'once a second');
});

test('the page on the library has every channel, with the keys of its messages', () => {
  const keys: { readonly [Name in keyof DiagnosticsMessages]: keyof DiagnosticsMessages[Name] } = {
    'sniway:connection:opened': 'connection',
    'sniway:connection:ended': 'connection',
    'sniway:backend': 'change',
    'sniway:notice': 'notice',
  };
  const rows = [...page.matchAll(/\| `(sniway:[a-z:]+)` +\| `\{ proxy, ([a-z]+) \}` +\|/g)];
  assert.deepEqual(Object.fromEntries(rows.map(([, name, key]) => [name, key])), keys);
});
