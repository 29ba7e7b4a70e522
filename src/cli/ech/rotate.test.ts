import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createTestKey } from '../../../test/support/ech-client.ts';
import { makeFolder } from '../../../test/support/folders.ts';
import { readEchFiles } from '../../config/ech-files.ts';
import type { EchFile } from '../../config/ech-files.ts';
import { encodeEchConfigList } from '../../ech/ech-config.ts';
import { KEMS } from '../../ech/hpke-suites.ts';
import { encodeKeyFile, parseKeyFile } from '../../ech/key-file.ts';
import { createKeyFile } from '../../ech/new-key.ts';
import { ECH_KEYS_MAX } from '../../limits.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { lineUp } from './key-folder.ts';
import { rotateKeys } from './rotate.ts';

const MINUTE_S = 60;
const FLAGS = { keep: '1', ttl: '300' };

interface Made {
  readonly configId: number;
  readonly minutesAgo: number;
  readonly publicName?: string;
  readonly kem?: keyof typeof KEMS;
}

/** A folder with keys of these ages, called by their numbers. */
function folderOf(t: TestContext, ...keys: readonly Made[]): string {
  const folder = makeFolder(t, {});
  for (const { configId, minutesAgo, publicName = 'public.example', kem = 'x25519' } of keys) {
    const text = createKeyFile({ kem: KEMS[kem], publicName, configId, maximumNameLength: 50 });
    place(join(folder, `${configId}.ech`), text, minutesAgo);
  }
  return folder;
}

function place(path: string, text: string, minutesAgo: number): void {
  writeFileSync(path, text, { mode: 0o600 });
  const at = Date.now() / 1_000 - minutesAgo * MINUTE_S;
  utimesSync(path, at, at);
}

function filesIn(folder: string): readonly EchFile[] {
  const { files, problems, warnings } = readEchFiles([folder]);
  assert.deepEqual([problems, warnings], [[], []]);
  return files;
}

const idsIn = (folder: string): number[] => filesIn(folder).map(({ configs }) => configs[0]!.configId);

/** The numbers that were there before and are still. */
function left(folder: string, ...before: readonly number[]): number[] {
  const now = idsIn(folder);
  return before.filter(id => now.includes(id));
}

function refusalOf(folder: string, flags = {}): string {
  try {
    rotateKeys(folder, { ...FLAGS, ...flags });
  } catch (error) {
    assert.ok(error instanceof CommandError && error.exitCode === EXIT.usage);
    return error.message;
  }
  assert.fail('nothing was refused');
}

describe('rotateKeys()', () => {
  test('makes a key like the newest one, under a number of its own', t => {
    const folder = folderOf(
      t,
      { configId: 1, minutesAgo: 5, publicName: 'new.example', kem: 'p256' },
      { configId: 2, minutesAgo: 50, publicName: 'new.example' },
    );
    const { out } = rotateKeys(folder, { ...FLAGS, publicName: 'NEW.example' });
    const made = filesIn(folder).find(({ configs }) => ![1, 2].includes(configs[0]!.configId));
    const [config] = made?.configs ?? [];
    assert.deepEqual(
      [config?.publicName, config?.kem, config?.maximumNameLength],
      ['new.example', KEMS.p256, 50],
    );
    assert.ok(out.includes(`made "${made?.path}", config id ${config?.configId}`), out);
    assert.match(made?.path ?? '', /\/new\.example-\d{4}-\d\d-\d\dT\d{6}Z-\d+\.ech$/);
  });

  test('gives names that tell the newest where all files have one time, twice a day too', t => {
    // By the number alone, the earlier of two would come last every other time.
    for (let round = 0; round < 8; round++) {
      const folder = folderOf(t, { configId: 1, minutesAgo: 500 });
      const made = ['09:59:59', '10:00:00'].map(time => {
        t.mock.timers.enable({ apis: ['Date'], now: Date.parse(`2026-11-25T${time}Z`) });
        const { out } = rotateKeys(folder, { keep: '9', ttl: '0' });
        t.mock.timers.reset();
        for (const { path } of filesIn(folder)) utimesSync(path, 1_000, 1_000);
        return /made "(.*)"/.exec(out)?.[1];
      });
      const [line] = lineUp(filesIn(folder));
      assert.deepEqual(
        line?.files.map(({ path }) => path),
        [made[1], made[0], join(folder, '1.ech')],
      );
    }
  });

  test('keeps as many older ones as it is told, the newest of them', t => {
    const ages = [60, 70, 80, 90].map((minutesAgo, index) => ({ configId: index + 1, minutesAgo }));
    for (const keep of [0, 1, 3, 9]) {
      const folder = folderOf(t, ...ages);
      rotateKeys(folder, { keep: String(keep), ttl: '0' });
      assert.deepEqual(left(folder, 1, 2, 3, 4), [1, 2, 3, 4].slice(0, keep));
      assert.equal(idsIn(folder).length, Math.min(keep, 4) + 1);
    }
  });

  test('keeps beyond that what clients may still have: a key whose follower is young', t => {
    const folder = folderOf(t, { configId: 1, minutesAgo: 9 }, { configId: 2, minutesAgo: 500 });
    rotateKeys(folder, { keep: '1', ttl: '300' });
    assert.deepEqual(left(folder, 1, 2), [1, 2], 'nine minutes are less than twice five');
    const older = folderOf(t, { configId: 1, minutesAgo: 11 }, { configId: 2, minutesAgo: 500 });
    rotateKeys(older, { keep: '1', ttl: '300' });
    assert.deepEqual(left(older, 1, 2), [1]);
    const alone = folderOf(t, { configId: 1, minutesAgo: 500 });
    rotateKeys(alone, { keep: '0', ttl: '300' });
    assert.deepEqual(left(alone, 1), [1], 'it has just been followed');
  });

  test('called over and over it removes nothing that is in DNS', t => {
    const folder = folderOf(t, { configId: 1, minutesAgo: 500 });
    for (let call = 0; call < 5; call++) rotateKeys(folder, FLAGS);
    assert.deepEqual([left(folder, 1), idsIn(folder).length], [[1], 6]);
  });

  test('rotates every public name by itself, or only the one that is named', t => {
    const keys = [
      { configId: 1, minutesAgo: 100, publicName: 'a.example' },
      { configId: 2, minutesAgo: 200, publicName: 'a.example' },
      { configId: 3, minutesAgo: 900, publicName: 'b.example' },
      { configId: 4, minutesAgo: 950, publicName: 'b.example' },
    ];
    const namesIn = (folder: string): string[] =>
      filesIn(folder)
        .map(({ configs }) => configs[0]!.publicName)
        .toSorted();
    const all = folderOf(t, ...keys);
    rotateKeys(all, FLAGS);
    assert.deepEqual(left(all, 1, 2, 3, 4), [1, 3]);
    assert.deepEqual(namesIn(all), ['a.example', 'a.example', 'b.example', 'b.example']);
    const one = folderOf(t, ...keys);
    rotateKeys(one, { ...FLAGS, publicName: 'b.example' });
    assert.deepEqual(left(one, 1, 2, 3, 4), [1, 2, 3]);
    assert.match(
      refusalOf(one, { publicName: 'c.example' }),
      /no key for it, only for "a\.example" or "b\.example"/,
    );
  });

  test('touches no list without a key, and no file of several configurations', t => {
    const folder = folderOf(t, { configId: 1, minutesAgo: 100 }, { configId: 2, minutesAgo: 200 });
    const [one, two] = [createTestKey({ configId: 11 }), createTestKey({ configId: 12 })];
    const both = encodeEchConfigList([one.config, two.config]);
    place(join(folder, 'list.ech'), encodeKeyFile(both, null), 900);
    place(join(folder, 'both.ech'), encodeKeyFile(both, { kem: KEMS.x25519, bytes: one.privateKey }), 900);
    rotateKeys(folder, { keep: '0', ttl: '0' });
    const names = filesIn(folder).map(({ path }) => path.slice(folder.length + 1));
    assert.deepEqual([names.includes('list.ech'), names.includes('both.ech'), names.length], [true, true, 3]);
  });

  test('takes no number of a list that is only published', t => {
    const folder = folderOf(t, { configId: 1, minutesAgo: 100 });
    const others = Array.from({ length: 255 }, (_, index) => index + 1).filter(id => id !== 77);
    for (let from = 0; from < others.length; from += 60) {
      const configs = others.slice(from, from + 60).map(configId => createTestKey({ configId }).config);
      place(join(folder, `list-${from}.ech`), encodeKeyFile(encodeEchConfigList(configs), null), 1);
    }
    rotateKeys(folder, FLAGS);
    const made = filesIn(folder)
      .filter(({ hasPrivateKey }) => hasPrivateKey)
      .map(({ configs }) => configs[0]!.configId);
    assert.ok(made.every(id => [0, 1, 77].includes(id)) && made.length === 2, made.join());
  });

  test('changes nothing where something is wrong, and says what', t => {
    const key = { configId: 1, minutesAgo: 100 };
    const folder = folderOf(t, key, { ...key, configId: 2 });
    assert.match(refusalOf(folder, { keep: 'all' }), /--keep all: give a whole number from 0 to 63/);
    assert.match(refusalOf(folder, { ttl: '-1' }), /--ttl -1: give a whole number/);
    assert.match(refusalOf(join(folder, 'missing')), /is no folder: give the one that the keys are in/);
    assert.match(
      refusalOf(makeFolder(t, {})),
      /no file that ends in \.ech with a private key: sniway ech keygen/,
    );
    place(join(folder, 'broken.ech'), 'x', 1);
    assert.match(refusalOf(folder), /broken\.ech" is no file of keys: .*: mend it, or take it away/);
    writeFileSync(join(folder, 'broken.ech'), readFileSync(join(folder, '1.ech')));
    assert.equal(idsIn(folder).length, 3);
  });

  test('makes no key beyond what the proxy takes', t => {
    const keys = Array.from({ length: ECH_KEYS_MAX }, (_, configId) => ({ configId, minutesAgo: 1 }));
    const folder = folderOf(t, ...keys);
    assert.match(
      refusalOf(folder),
      /there are 64 keys already, of 64 that Sniway takes: remove old ones first/,
    );
    assert.equal(idsIn(folder).length, ECH_KEYS_MAX);
  });

  test('makes no file of a name that clients do not take', t => {
    const folder = folderOf(t, { configId: 1, minutesAgo: 1, publicName: '../../up' });
    assert.match(refusalOf(folder), /has the public name "\.\.\/\.\.\/up", which clients do not take/);
    assert.ok(parseKeyFile(readFileSync(join(folder, '1.ech'), 'latin1')).ok);
  });
});
