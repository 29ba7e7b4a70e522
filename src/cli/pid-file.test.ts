import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeFolder } from '../../test/support/folders.ts';
import { run } from '../../test/support/programs.ts';
import { CommandError } from './exit-codes.ts';
import { PidFile, answerPath, readPid, readText } from './pid-file.ts';

describe('PidFile', () => {
  test('names this process once it is written, not while it is prepared, and is gone with it', t => {
    const folder = makeFolder(t, { pid: '1\n' });
    const path = join(folder, 'pid');
    const file = new PidFile(path);
    file.prepare();
    assert.equal(readPid(path), 1);
    file.write();
    assert.equal(readPid(path), process.pid);
    file.answer({ signal: 'SIGHUP', ok: true, text: 'done' });
    assert.match(readText(answerPath(path)) ?? '', /"done"/);
    file.remove();
    assert.deepEqual([readText(path), readText(answerPath(path))], [null, null]);
  });

  test('writes through no link that somebody has put in its way', t => {
    const folder = makeFolder(t, { precious: 'as it was' });
    const path = join(folder, 'pid');
    for (const name of [path, answerPath(path)]) {
      symlinkSync(join(folder, 'precious'), `${name}.${process.pid}`);
    }
    const file = new PidFile(path);
    file.prepare();
    file.write();
    file.answer({ signal: 'SIGHUP', ok: true, text: 'done' });
    assert.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'as it was');
    assert.equal(lstatSync(path).isSymbolicLink(), false);
  });

  test('says what to do where it cannot be written', t => {
    const file = new PidFile(join(makeFolder(t, {}), 'absent', 'pid'));
    assert.throws(
      () => file.prepare(),
      (error: unknown) => error instanceof CommandError && error.message.includes('its folder must exist'),
    );
  });
});

test('readText() reads no more than a bound, and waits for no pipe', async t => {
  const folder = makeFolder(t, { large: 'x'.repeat(1 << 20) });
  assert.equal(readText(join(folder, 'large'))?.length, 1 << 18);
  const pipe = join(folder, 'pipe');
  assert.equal((await run(t, ['mkfifo', pipe])).code, 0);
  assert.equal(readText(pipe), '');
  mkdirSync(join(folder, 'folder'));
  assert.equal(readText(join(folder, 'folder')), null);
});
