import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createTestKey } from '../../../test/support/ech-client.ts';
import { makeFolder } from '../../../test/support/folders.ts';
import { encodeEchConfigList } from '../../ech/ech-config.ts';
import { KEMS } from '../../ech/hpke-suites.ts';
import { encodeKeyFile, parseKeyFile } from '../../ech/key-file.ts';
import { ECH_NAME_LENGTH } from '../../limits.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { generateKey } from './keygen.ts';
import type { KeygenFlags } from './keygen.ts';

const FLAGS: KeygenFlags = { publicName: 'public.example', kem: 'x25519' };

function refusalOf(flags: Partial<KeygenFlags>): string {
  try {
    generateKey({ ...FLAGS, ...flags });
  } catch (error) {
    assert.ok(error instanceof CommandError && error.exitCode === EXIT.usage, String(error));
    return error.message;
  }
  assert.fail('nothing was refused');
}

describe('generateKey()', () => {
  test('makes keys for the canonical name, padded to what is usual', () => {
    const read = parseKeyFile(generateKey({ ...FLAGS, publicName: 'Bücher.Example.' }).out);
    assert.ok(read.ok);
    const [config] = read.configs;
    assert.deepEqual(
      [config?.publicName, config?.maximumNameLength, config?.kem],
      ['xn--bcher-kva.example', ECH_NAME_LENGTH, KEMS.x25519],
    );
  });

  test('warns of a kind of key that browsers do not take', () => {
    const warned = ({ notes = [] }: { notes?: readonly string[] }): boolean =>
      notes.some(note => note.startsWith('warn: '));
    assert.deepEqual(
      [warned(generateKey(FLAGS)), warned(generateKey({ ...FLAGS, kem: 'p256' }))],
      [false, true],
    );
  });

  test('tells the file alone where a folder would not be enough', t => {
    const folder = makeFolder(t, {});
    const path = join(folder, 'key.pem');
    assert.ok(generateKey({ ...FLAGS, out: path }).out.includes(`ech: { keys: [${path}] }`));
    const inFolder = join(folder, 'key.ech');
    assert.ok(generateKey({ ...FLAGS, out: inFolder }).out.includes(`ech: { keys: [${folder}] }`));
  });

  test('says what is wrong, and makes nothing then', t => {
    const folder = makeFolder(t, { 'broken.ech': 'x' });
    for (const [flags, expected] of [
      [
        { publicName: '192.0.2.1' },
        /--public-name "192\.0\.2\.1" is no name that clients take: .*; give a host name/,
      ],
      [{ publicName: 'a_b.example' }, /"a_b\.example" is no name that clients take/],
      [{ publicName: 'name.0x1f' }, /its last label is a number/],
      [{ publicName: '*.example' }, /--public-name "\*\.example" is no name/],
      [{ publicName: 'a\x1b.example' }, /--public-name "a\\x1b\.example" is no name/],
      [{ maxNameLength: '256' }, /--max-name-length 256: give a whole number from 0 to 255/],
      [{ configId: 'x\x1b' }, /--config-id x\\x1b: give a whole number from 0 to 255/],
      [{ keys: [join(folder, 'none')] }, /cannot read ".*none": there is no such file: mend it/],
      [
        { out: join(folder, 'a.ech') },
        /broken\.ech" is no file of keys: it has no block ECHCONFIG: mend it, or take it away/,
      ],
      [
        { out: join(folder, 'broken.ech', 'a.ech') },
        /cannot write "\S+a\.ech": there is no such file: name another place/,
      ],
      [{ out: join(folder, 'none', 'a.ech') }, /there is no such folder: mkdir -m 700 \S+none makes it/],
    ] as const) {
      assert.match(refusalOf(flags), expected);
    }
    assert.deepEqual(readdirSync(folder), ['broken.ech']);
  });

  test('takes the only number that is left, and says when none is', t => {
    const others = Array.from({ length: 256 }, (_, id) => id).filter(id => id !== 200);
    const files: Record<string, string> = {};
    for (let from = 0; from < others.length; from += 64) {
      const configs = others.slice(from, from + 64).map(configId => createTestKey({ configId }).config);
      files[`${from}.ech`] = encodeKeyFile(encodeEchConfigList(configs), null);
    }
    const lists = makeFolder(t, files);
    const made = parseKeyFile(generateKey({ ...FLAGS, keys: [lists] }).out);
    assert.equal(made.ok && made.configs[0]?.configId, 200);
    generateKey({ ...FLAGS, out: join(lists, 'last.ech') });
    assert.match(refusalOf({ keys: [lists] }), /all config ids are taken: remove files of lists/);
  });
});
