import assert from 'node:assert/strict';
import { chmodSync, chownSync, readFileSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeFolder } from '../../../test/support/folders.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { accessLike, accessWithin, writeNewFile } from './new-file.ts';

const isRoot = process.getuid?.() === 0;

function refusalOf(work: () => void): CommandError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CommandError);
    return error;
  }
  assert.fail('nothing was refused');
}

describe('writeNewFile()', () => {
  test('writes a file that only its owner reads, whatever the umask, and leaves nothing beside it', t => {
    const folder = makeFolder(t, {});
    const path = join(folder, 'a.ech');
    const before = process.umask(0);
    try {
      writeNewFile(path, 'secret');
    } finally {
      process.umask(before);
    }
    assert.equal(readFileSync(path, 'utf8'), 'secret');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder), ['a.ech']);
  });

  test('writes over nothing, links included', t => {
    const folder = makeFolder(t, { 'a.ech': 'old' });
    symlinkSync('nowhere', join(folder, 'link.ech'));
    for (const name of ['a.ech', 'link.ech']) {
      const { message, exitCode } = refusalOf(() => writeNewFile(join(folder, name), 'new'));
      assert.match(message, /"\S+" is there already, and is left as it is: name another file/);
      assert.equal(exitCode, EXIT.usage);
    }
    assert.equal(readFileSync(join(folder, 'a.ech'), 'utf8'), 'old');
    assert.deepEqual(readdirSync(folder).toSorted(), ['a.ech', 'link.ech']);
  });

  test('says how to make the folder that is missing', t => {
    const folder = join(makeFolder(t, {}), 'of keys');
    const { message, exitCode } = refusalOf(() => writeNewFile(join(folder, 'a.ech'), ''));
    assert.ok(message.includes(`there is no such folder: mkdir -m 700 '${folder}' makes it`), message);
    assert.equal(exitCode, EXIT.usage);
  });

  test('takes a name with a slash behind it for the folder that is missing, and none for a mistake', t => {
    const folder = join(makeFolder(t, {}), 'keys/');
    assert.ok(refusalOf(() => writeNewFile(folder, '')).message.endsWith(`mkdir -m 700 ${folder} makes it`));
    assert.match(refusalOf(() => writeNewFile('', '')).message, /the name of the file is empty: name one/);
  });

  test('tells a place that is none from a machine that cannot', t => {
    const folder = makeFolder(t, { file: '' });
    const wrong = refusalOf(() => writeNewFile(join(folder, 'file', 'a.ech'), ''));
    assert.deepEqual([wrong.exitCode, /name another place/.test(wrong.message)], [EXIT.usage, true]);
  });

  test('gives what root makes to the owner of the others', { skip: isRoot ? false : 'not root' }, t => {
    const folder = makeFolder(t, { 'a.ech': '' });
    const old = join(folder, 'a.ech');
    chownSync(old, 4711, 4712);
    chmodSync(old, 0o644);
    writeNewFile(join(folder, 'b.ech'), '', accessLike(old));
    const facts = (name: string): number[] => {
      const { uid, gid, mode } = statSync(join(folder, name));
      return [uid, gid, mode & 0o777];
    };
    assert.deepEqual(facts('b.ech'), [4711, 4712, 0o640]);
    chownSync(folder, 4713, 4714);
    writeNewFile(join(folder, 'c.ech'), '', accessWithin(folder));
    assert.deepEqual(facts('c.ech'), [4713, 4714, 0o600]);
    for (const name of ['missing', 'a.ech/below']) assert.equal(accessWithin(join(folder, name)), null);
  });
});
