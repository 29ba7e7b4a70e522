import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { EchClient, createTestKey, encodeInner } from '../../test/support/ech-client.ts';
import { wrapMessage, wrapRecords } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { encodeEchConfigList } from './ech-config.ts';
import { EchOpener } from './ech-opener.ts';
import { KEMS } from './hpke-suites.ts';
import {
  encodeGoKeys,
  encodeKeyFile,
  joinKeyParts,
  parseAnyConfigs,
  parseGoKeys,
  parseKeyFile,
} from './key-file.ts';
import type { EchKeyFile, EchKeyFileResult } from './key-file.ts';

/** The example of RFC 9934 section 3. */
const RFC_CONFIG = `-----BEGIN ECHCONFIG-----
AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEA
AQALZXhhbXBsZS5jb20AAA==
-----END ECHCONFIG-----
`;
const RFC_FILE = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V
-----END PRIVATE KEY-----
${RFC_CONFIG}`;

function fit(result: EchKeyFileResult): EchKeyFile {
  assert.ok(result.ok, result.ok ? '' : result.message);
  return result;
}

function faultOf(result: EchKeyFileResult): string {
  return result.ok ? 'none' : result.message;
}

describe('parseKeyFile()', () => {
  test('reads the example of RFC 9934, and encodes the same text', () => {
    const { keys, configs, list } = fit(parseKeyFile(RFC_FILE));
    assert.deepEqual([keys.length, configs.length, configs[0]?.publicName], [1, 1, 'example.com']);
    assert.equal(encodeKeyFile(list, { kem: KEMS.x25519, bytes: keys[0]!.privateKey }), RFC_FILE);
    assert.equal(encodeKeyFile(list, null), RFC_CONFIG);
  });

  test('reads a file without a private key, which opens nothing', () => {
    const { keys, hasPrivateKey, configs } = fit(parseKeyFile(RFC_CONFIG));
    assert.deepEqual([keys, hasPrivateKey, configs.length], [[], false, 1]);
  });

  test('leaves alone what is around the blocks, and behind the list', () => {
    const { keys } = fit(parseKeyFile(`made by hand\r\n${RFC_FILE}${RFC_CONFIG}-----BEGIN`));
    assert.equal(keys.length, 1);
    fit(parseKeyFile(RFC_FILE.replaceAll('\n', '\r\n')));
  });

  test('gives keys of both kinds that open what is sealed for them', () => {
    for (const kem of [KEMS.x25519, KEMS.p256]) {
      const key = createTestKey({ kem });
      const text = encodeKeyFile(encodeEchConfigList([key.config]), { kem, bytes: key.privateKey });
      const { keys } = fit(parseKeyFile(text));
      const hello = readHello(wrapRecords(wrapMessage(new EchClient(key).seal(encodeInner()))));
      assert.equal(new EchOpener(keys).open(hello, 0x0301).kind, 'accepted');
    }
  });

  test('keeps of several configurations those that the private key belongs to', () => {
    const [one, two] = [createTestKey({ configId: 1 }), createTestKey({ configId: 2 })];
    const list = encodeEchConfigList([one.config, two.config]);
    const text = encodeKeyFile(list, { kem: KEMS.x25519, bytes: two.privateKey });
    const { keys, configs } = fit(parseKeyFile(text));
    assert.equal(configs.length, 2);
    assert.deepEqual(
      keys.map(({ config }) => config),
      [two.config],
    );
  });

  test('passes over no block that it cannot read: the file would count as one without a key', () => {
    const [, key = ''] = /^([^]*END PRIVATE KEY-----\n)/.exec(RFC_FILE) ?? [];
    const damaged: readonly [string, RegExp][] = [
      [RFC_FILE.replace('MC4C', 'MC4!'), /block at line 1 is damaged/],
      [RFC_FILE.replace('-----END PRIVATE KEY-----\n', ''), /line 1 is damaged/],
      [RFC_FILE.replace('-----BEGIN PRIVATE KEY-----\n', ''), /line 2 is damaged/],
      [RFC_FILE.replace('END PRIVATE', 'END PRIVAT'), /line 1 is damaged/],
      [RFC_FILE.replace('BEGIN PRIVATE KEY', 'BEGIN private key'), /line 1 is damaged/],
      [RFC_FILE.replace('MC4C', 'Proc-Type: 4,ENCRYPTED\n\nMC4C'), /line 1 is damaged/],
      [`# ours\n\n${key.replace('MC4C', 'MC4-')}`, /line 3 is damaged/],
      [RFC_FILE.replace('AD7+', 'AD7*'), /line 4 is damaged/],
      [`${RFC_CONFIG}${key}`, /a private key behind its list/],
      [`${RFC_FILE}${RFC_FILE}`, /a private key behind its list/],
      [`${RFC_CONFIG}${key.replace('MC4C', 'MC4!')}`, /a private key behind its list/],
    ];
    for (const [text, expected] of damaged) {
      const fault = faultOf(parseKeyFile(text));
      assert.match(fault, expected, text);
      assert.doesNotMatch(fault, /MC4|AD7|jd4y/);
    }
  });

  test('says what is wrong', () => {
    const other = encodeKeyFile(encodeEchConfigList([createTestKey().config]), null);
    const [, key = ''] = /^([^]*END PRIVATE KEY-----\n)/.exec(RFC_FILE) ?? [];
    const rsa = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
    const sec1 = '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n';
    const empty = '-----BEGIN ECHCONFIG-----\nAAA=\n-----END ECHCONFIG-----\n';
    const foreign = '-----BEGIN ECHCONFIG-----\nAAX+CgABAA==\n-----END ECHCONFIG-----\n';
    const cases: readonly [string, RegExp][] = [
      ['', /no block ECHCONFIG/],
      [key, /no block ECHCONFIG/],
      [`${key}${key}${RFC_CONFIG}`, /two private keys/],
      [`${key}${other}`, /belongs to none/],
      [`${String(rsa)}${RFC_CONFIG}`, /no PKCS#8 key of X25519 or P-256/],
      [`${sec1}${RFC_CONFIG}`, /"EC PRIVATE KEY"/],
      [empty, /of its list it is empty/],
      [foreign, /no configuration of the version/],
      [RFC_CONFIG.replace('AD7+', 'AD3+'), /of its list/],
    ];
    for (const [text, expected] of cases) assert.match(faultOf(parseKeyFile(text)), expected, text);
  });
});

describe('parseAnyConfigs()', () => {
  test('reads PEM, a list and one configuration, as bytes and in base64', () => {
    const { list, configs } = fit(parseKeyFile(RFC_FILE));
    const forms = [
      Buffer.from(RFC_FILE),
      list,
      configs[0]!.raw,
      Buffer.from(Buffer.from(list).toString('base64')),
    ];
    for (const form of forms) {
      assert.deepEqual(Buffer.from(fit(parseAnyConfigs(form)).list), Buffer.from(list));
    }
    const wrapped = Buffer.from(`${Buffer.from(list).toString('base64').replace(/.{40}/, '$&\n')}\n`);
    assert.deepEqual(Buffer.from(fit(parseAnyConfigs(wrapped)).list), Buffer.from(list));
    for (const parameter of [
      `ech=${Buffer.from(list).toString('base64')}`,
      `ech="${Buffer.from(list).toString('base64')}"`,
    ]) {
      const record = Buffer.from(`1 . alpn="h2" ${parameter} ipv4hint=192.0.2.1\n`);
      assert.deepEqual(Buffer.from(fit(parseAnyConfigs(record)).list), Buffer.from(list));
    }
    assert.match(faultOf(parseAnyConfigs(Buffer.from('nothing of that'))), /neither PEM nor/);
    assert.match(faultOf(parseAnyConfigs(Buffer.from('1 . ech=AAAA'))), /neither PEM nor/);
  });
});

describe('keys of other programs', () => {
  const { keys, list } = fit(parseKeyFile(RFC_FILE));
  const { config, privateKey } = keys[0]!;
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

  test('joinKeyParts() takes the two files of BoringSSL', () => {
    for (const configs of [config, list]) {
      for (const key of [privateKey, Buffer.from(`${base64(privateKey)}\n`)]) {
        const joined = fit(joinKeyParts(configs, key));
        assert.equal(
          encodeKeyFile(joined.list, { kem: KEMS.x25519, bytes: joined.keys[0]!.privateKey }),
          RFC_FILE,
        );
      }
    }
    assert.match(faultOf(joinKeyParts(config, privateKey.subarray(1))), /has not 32 bytes/);
    assert.match(faultOf(joinKeyParts(config, new Uint8Array(32).fill(3))), /belongs to none/);
  });

  test("parseGoKeys() takes the JSON of Go's type, alone and as a list", () => {
    const key = { Config: base64(config), PrivateKey: base64(privateKey), SendAsRetry: true };
    for (const [value, count] of [
      [key, 1],
      [[key], 1],
      [[key, key], 2],
    ] as const) {
      const read = parseGoKeys(JSON.stringify(value)).map(fit);
      assert.equal(read.length, count);
      for (const one of read) assert.deepEqual(Buffer.from(one.list), Buffer.from(list));
    }
    const faults = (text: string): string[] => parseGoKeys(text).map(faultOf);
    assert.deepEqual(faults('{}'), ['it has no texts Config and PrivateKey']);
    assert.deepEqual(faults('[]'), ['it is an empty list']);
    assert.deepEqual(faults('[1]'), ['it is no JSON object']);
    assert.deepEqual(faults('{'), ['it is no JSON']);
    assert.deepEqual(faults(JSON.stringify([key, {}])), ['none', 'it has no texts Config and PrivateKey']);
  });

  test("encodeGoKeys() writes what Go's type reads", () => {
    const value = JSON.parse(encodeGoKeys(keys)) as unknown;
    assert.deepEqual(value, [{ Config: base64(config), PrivateKey: base64(privateKey), SendAsRetry: true }]);
    assert.deepEqual(
      parseGoKeys(encodeGoKeys(keys)).map(one => fit(one).keys),
      [keys],
    );
  });

  test('the private key of the example is the one that Node reads', () => {
    const [pem = ''] = /^[^]*END PRIVATE KEY-----\n/.exec(RFC_FILE) ?? [];
    const { d } = createPrivateKey(pem).export({ format: 'jwk' });
    assert.equal(d, Buffer.from(privateKey).toString('base64url'));
  });
});
