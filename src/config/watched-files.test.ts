import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../../test/support/folders.ts';
import { ReadFiles, fingerprintFiles } from './watched-files.ts';

test('fingerprintFiles() sees what is written, replaced, linked elsewhere, added or removed, and nothing else', async t => {
  const folder = makeFolder(t, { 'a.yaml': 'a', 'routes/b.yaml': 'b', 'v1/c.yaml': 'c', 'v2/c.yaml': 'c' });
  const at = (name: string): string => join(folder, name);
  symlinkSync(at('v1'), at('current'));
  const paths = [at('a.yaml'), at('routes'), at('current/c.yaml'), at('absent.yaml')];
  let last = await fingerprintFiles(paths);
  assert.equal(await fingerprintFiles(paths), last);
  const changes: readonly [string, () => void][] = [
    ['written, with as many bytes', () => writeFileSync(at('a.yaml'), 'A')],
    ['replaced', () => (writeFileSync(at('next'), 'A'), renameSync(at('next'), at('a.yaml')))],
    ['a file comes into a folder', () => writeFileSync(at('routes/d.yaml'), 'd')],
    ['a file leaves a folder', () => rmSync(at('routes/d.yaml'))],
    [
      'a link leads elsewhere',
      () => (symlinkSync(at('v2'), at('link')), renameSync(at('link'), at('current'))),
    ],
    ['one that was absent is there', () => mkdirSync(at('absent.yaml'))],
    ['one is gone', () => rmSync(at('a.yaml'))],
  ];
  for (const [what, change] of changes) {
    change();
    const now = await fingerprintFiles(paths);
    assert.notEqual(now, last, what);
    last = now;
  }
});

test('ReadFiles sees what has changed since each file was about to be read', async t => {
  const folder = makeFolder(t, { 'a.yaml': 'a', 'b.yaml': 'b' });
  const files = new ReadFiles();
  for (const name of ['a.yaml', 'b.yaml', 'absent.yaml']) files.add(join(folder, name));
  assert.equal(await files.look(), files.fingerprint);
  writeFileSync(join(folder, 'b.yaml'), 'bb');
  files.add(join(folder, 'b.yaml'));
  files.add(folder);
  assert.notEqual(await files.look(), files.fingerprint, 'the first look counts');
});
