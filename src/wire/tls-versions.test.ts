import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildClientHello } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { versionBit, versionNames } from './tls-versions.ts';

const namesOf = (codes: readonly number[]): readonly string[] =>
  versionNames(codes.reduce((set, code) => set | versionBit(code), 0));
const offered = (supportedVersions: readonly number[], legacyVersion = 0x0303): readonly string[] =>
  versionNames(readHello(buildClientHello({ supportedVersions, legacyVersion })).versionSet);

describe('versionNames()', () => {
  test('tells each version once, the highest first', () => {
    assert.deepEqual(namesOf([0x0300, 0x0303, 0x0301, 0x0304, 0x0302, 0x0303]), [
      '1.3',
      '1.2',
      '1.1',
      '1.0',
      'ssl3',
    ]);
    assert.deepEqual(namesOf([]), []);
  });

  test('leaves out what is no version of TLS', () => {
    assert.deepEqual(namesOf([0x0a0a, 0xfafa, 0x7f1c, 0x0305, 0x02ff, 0xfefd, 0, 0xffff]), []);
  });
});

describe('ClientHello.versionSet', () => {
  test('is what supported_versions offers, whatever the legacy version says', () => {
    assert.deepEqual(offered([0x2a2a, 0x0304, 0x0303]), ['1.3', '1.2']);
    assert.deepEqual(offered([0x0304], 0x0301), ['1.3']);
    assert.deepEqual(offered([0x3a3a, 0x7f17], 0x0303), []);
  });

  test('is the legacy version without the extension', () => {
    assert.deepEqual(offered([], 0x0303), ['1.2']);
    assert.deepEqual(offered([], 0x0301), ['1.0']);
    assert.deepEqual(offered([], 0x0300), ['ssl3']);
  });
});
