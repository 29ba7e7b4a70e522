import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EchClient, encodeInner } from '../../test/support/ech-client.ts';
import { wrapMessage, wrapRecords } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { EchOpener } from './ech-opener.ts';
import { KEMS } from './hpke-suites.ts';
import { parseKeyFile } from './key-file.ts';
import { createKeyFile, pickConfigId } from './new-key.ts';

const PARTS = { publicName: 'public.example', configId: 0, maximumNameLength: 255 };

describe('createKeyFile()', () => {
  test('makes keys of both kinds that open what is sealed for them, with either cipher', () => {
    for (const kem of Object.values(KEMS)) {
      const file = parseKeyFile(createKeyFile({ ...PARTS, kem }));
      assert.ok(file.ok);
      const [config] = file.configs;
      assert.ok(config !== undefined && file.keys.length === 1);
      const { configId, publicName, maximumNameLength, extensions } = config;
      assert.deepEqual(
        [config.kem, configId, publicName, maximumNameLength, extensions],
        [kem, 0, 'public.example', 255, []],
      );
      for (const { aead } of config.suites) {
        const hello = new EchClient({ parsed: config }, aead).seal(encodeInner());
        const opening = new EchOpener(file.keys).open(readHello(wrapRecords(wrapMessage(hello))), 0x0301);
        assert.equal(opening.kind, 'accepted');
      }
    }
  });

  test('makes another key each time', () => {
    const make = (): string => createKeyFile({ ...PARTS, kem: KEMS.x25519 });
    assert.notEqual(make(), make());
  });
});

describe('pickConfigId()', () => {
  const allBut = (...free: number[]): Set<number> =>
    new Set(Array.from({ length: 256 }, (_, id) => id).filter(id => !free.includes(id)));

  test('finds what is free, both ends included, and says when nothing is', () => {
    assert.equal(pickConfigId(allBut(0)), 0);
    assert.equal(pickConfigId(allBut(255)), 255);
    assert.equal(pickConfigId(allBut()), null);
  });

  test('leaves it to chance', () => {
    const picked = new Set(Array.from({ length: 200 }, () => pickConfigId(new Set())));
    assert.ok(picked.size > 50, `${picked.size} different ones of 200`);
    const both = new Set(Array.from({ length: 200 }, () => pickConfigId(allBut(3, 200))));
    assert.deepEqual(both, new Set([3, 200]));
  });
});
