import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ECH_CONFIGS_MAX } from '../limits.ts';
import { encodeEchConfig, encodeEchConfigList, parseEchConfig, parseEchConfigList } from './ech-config.ts';
import type { EchConfigList } from './ech-config.ts';
import { publicNameFault } from './public-name.ts';

/** The example of RFC 9934 section 3. */
const RFC_LIST = Buffer.from(
  'AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEAAQALZXhhbXBsZS5jb20AAA==',
  'base64',
);
/** What BoringSSL's generate-ech wrote for -public-name public.example -config-id 7 -max-name-length 0. */
const BORINGSSL_LIST = Buffer.from(
  '0045fe0d0041070020002008254963a019d130de93bbaf7a70ec92dce4b9f4f31ae7936b21a0af5ba604390008000100010001000300' +
    '0e7075626c69632e6578616d706c650000',
  'hex',
);

function listOf(bytes: Uint8Array): EchConfigList {
  const result = parseEchConfigList(bytes);
  assert.ok(result.ok, result.ok ? '' : result.message);
  return result;
}

describe('parseEchConfigList()', () => {
  test('reads the example of RFC 9934', () => {
    const [config, ...others] = listOf(RFC_LIST).configs;
    assert.equal(others.length, 0);
    assert.ok(config !== undefined);
    const { configId, kem, suites, maximumNameLength, publicName, extensions } = config;
    assert.deepEqual(
      { configId, kem, suites, maximumNameLength, publicName, extensions },
      {
        configId: 0xe7,
        kem: 0x20,
        suites: [{ kdf: 1, aead: 1 }],
        maximumNameLength: 0,
        publicName: 'example.com',
        extensions: [],
      },
    );
    assert.deepEqual(Buffer.from(config.raw), RFC_LIST.subarray(2));
  });

  test('reads what BoringSSL writes, and encodes the same bytes', () => {
    const [config] = listOf(BORINGSSL_LIST).configs;
    assert.ok(config !== undefined);
    assert.equal(config.raw.length, 69);
    assert.deepEqual(config.suites, [
      { kdf: 1, aead: 1 },
      { kdf: 1, aead: 3 },
    ]);
    assert.deepEqual(Buffer.from(encodeEchConfig(config)), BORINGSSL_LIST.subarray(2));
    assert.deepEqual(Buffer.from(encodeEchConfigList([config.raw])), BORINGSSL_LIST);
  });

  test('steps over other versions, and keeps extensions in the raw bytes', () => {
    const other = Uint8Array.of(0xfe, 0x0a, 0, 3, 1, 2, 3);
    const plain = RFC_LIST.subarray(2);
    const extended = Uint8Array.of(...plain.subarray(0, -2), 0, 5, 0xab, 0xcd, 0, 1, 9);
    extended[3]! += 5;
    const { configs, otherVersions } = listOf(encodeEchConfigList([other, extended, plain]));
    assert.deepEqual(otherVersions, [0xfe0a]);
    assert.equal(configs.length, 2);
    assert.deepEqual(configs[0]?.extensions, [0xabcd]);
    assert.deepEqual(configs[0]?.raw, extended);
  });

  test('refuses every proper prefix, and bytes behind it', () => {
    for (const list of [RFC_LIST, BORINGSSL_LIST]) {
      for (let end = 0; end < list.length; end++) {
        assert.equal(parseEchConfigList(list.subarray(0, end)).ok, false, `${end} bytes`);
        const cut = Uint8Array.from(list.subarray(0, end));
        if (end >= 2) new DataView(cut.buffer).setUint16(0, end - 2);
        assert.equal(parseEchConfigList(cut).ok, false, `${end} bytes with their length`);
      }
      assert.equal(parseEchConfigList(Uint8Array.of(...list, 0)).ok, false);
    }
  });

  test('takes as many configurations as the bound, and no more', () => {
    const copies = Array.from({ length: ECH_CONFIGS_MAX + 1 }, () => RFC_LIST.subarray(2));
    assert.equal(listOf(encodeEchConfigList(copies.slice(1))).configs.length, ECH_CONFIGS_MAX);
    assert.equal(parseEchConfigList(encodeEchConfigList(copies)).ok, false);
  });

  test('never throws, and gives raw bytes that lie in the input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(140), (noise, at) => {
        for (const bytes of [noise, Uint8Array.of(...BORINGSSL_LIST.subarray(0, at), ...noise)]) {
          const result = parseEchConfigList(bytes);
          if (!result.ok) continue;
          const sum = result.configs.reduce((total, { raw }) => total + raw.length, 2);
          assert.ok(sum <= bytes.length);
        }
      }),
    );
  });
});

describe('parseEchConfig()', () => {
  test('takes one configuration and nothing behind it', () => {
    const one = RFC_LIST.subarray(2);
    assert.equal(parseEchConfig(one)?.configId, 0xe7);
    assert.equal(parseEchConfig(Uint8Array.of(...one, ...one)), null);
    assert.equal(parseEchConfig(RFC_LIST), null);
    assert.equal(parseEchConfig(new Uint8Array(0)), null);
  });
});

describe('publicNameFault()', () => {
  test('passes names that clients take', () => {
    for (const name of ['example.com', 'xn--bcher-kva.example', 'a', 'A-1.b2', `${'a'.repeat(63)}.example`]) {
      assert.equal(publicNameFault(name), null, name);
    }
  });

  test('refuses names that clients leave aside', () => {
    for (const name of [
      '',
      '.example',
      'example.',
      'a..b',
      'a_b.example',
      '-a.example',
      'a-.example',
      '10.0.0.1',
      'example.123',
      'example.0x1f',
      'example.0x',
      `${'a'.repeat(64)}.example`,
      'b\u00fccher.example',
      `${'a.'.repeat(130)}example`,
    ]) {
      assert.notEqual(publicNameFault(name), null, name);
    }
  });
});
