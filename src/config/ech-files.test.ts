import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createTestKey } from '../../test/support/ech-client.ts';
import { makeFolder } from '../../test/support/folders.ts';
import { encodeEchConfigList } from '../ech/ech-config.ts';
import { KEMS } from '../ech/hpke-suites.ts';
import { encodeKeyFile } from '../ech/key-file.ts';
import { ECH_FILE_BYTES_MAX, ECH_KEYS_MAX } from '../limits.ts';
import { readEchFiles } from './ech-files.ts';

function keyText(configId: number): string {
  const { config, privateKey } = createTestKey({ configId });
  return encodeKeyFile(encodeEchConfigList([config]), { kem: KEMS.x25519, bytes: privateKey });
}

describe('readEchFiles()', () => {
  test('reads files, and of folders those that end in .ech, in their order', t => {
    const folder = makeFolder(t, {
      'b.ech': keyText(2),
      'a.ech': keyText(1),
      '.hidden.ech': 'not looked at',
      'a.pem': 'not looked at',
      'other/key.pem': keyText(3),
    });
    for (const name of ['a.ech', 'b.ech', 'other/key.pem']) chmodSync(join(folder, name), 0o600);
    const { files, keys, problems, warnings } = readEchFiles([join(folder, 'other/key.pem'), folder]);
    assert.deepEqual([problems, warnings], [[], []]);
    assert.deepEqual(
      files.map(({ configs }) => configs[0]?.configId),
      [3, 1, 2],
    );
    assert.equal(keys.length, 3);
    assert.ok(files.every(({ modifiedMs }) => Math.abs(Date.now() - modifiedMs) < 60_000));
  });

  test('warns of private keys that others may read, and only of those', t => {
    const folder = makeFolder(t, { 'a.ech': keyText(1), 'b.ech': '' });
    const { config } = createTestKey();
    writeFileSync(join(folder, 'b.ech'), encodeKeyFile(encodeEchConfigList([config]), null));
    for (const [mode, count] of [
      [0o600, 0],
      [0o400, 0],
      [0o640, 1],
      [0o604, 1],
    ] as const) {
      chmodSync(join(folder, 'a.ech'), mode);
      const { warnings } = readEchFiles([folder]);
      assert.equal(warnings.length, count, mode.toString(8));
      if (count > 0) assert.match(warnings[0] ?? '', /"[^"]*\/a\.ech" .* chmod 600/);
    }
  });

  test('names the file and what is wrong with it, and reads the others', t => {
    const folder = makeFolder(t, {
      'a.ech': keyText(1),
      'b.ech': 'x',
      'c.ech': 'y'.repeat(ECH_FILE_BYTES_MAX + 1),
    });
    mkdirSync(join(folder, 'd.ech'));
    const { files, problems } = readEchFiles([folder, join(folder, 'missing')]);
    assert.equal(files.length, 1);
    assert.deepEqual(
      problems.map(problem => problem.replaceAll(folder, '')),
      [
        'cannot read "/missing": there is no such file',
        '"/b.ech" is no file of keys: it has no block ECHCONFIG',
        'cannot read "/c.ech": it is larger than 128 KiB',
        'cannot read "/d.ech": it is a directory',
      ],
    );
  });

  test('counts a key once, however often it is there', t => {
    const text = keyText(1);
    const folder = makeFolder(t, { 'a.ech': text, 'b.ech': keyText(2), 'copy.ech': text });
    const { files, keys } = readEchFiles([join(folder, 'a.ech'), folder]);
    assert.deepEqual(
      files.map(({ path }) => path.replace(folder, '')),
      ['/a.ech', '/b.ech', '/copy.ech'],
    );
    assert.deepEqual(
      keys,
      files.slice(0, 2).flatMap(file => file.keys),
    );
  });

  test('takes as many keys as the bound, and no more', t => {
    const files = Object.fromEntries(
      Array.from({ length: ECH_KEYS_MAX }, (_, index) => [`${index}.ech`, keyText(index)]),
    );
    const folder = makeFolder(t, files);
    assert.deepEqual(readEchFiles([folder]).problems, []);
    assert.deepEqual(readEchFiles([folder, join(folder, '0.ech')]).problems, []);
    const { problems } = readEchFiles([folder, join(makeFolder(t, { 'more.ech': keyText(0) }), 'more.ech')]);
    assert.match(problems[0] ?? '', /there are 65 keys, and at most 64/);
  });
});
