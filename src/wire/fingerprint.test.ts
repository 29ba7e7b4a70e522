import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { buildClientHello } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { computeJa3, computeJa4 } from './fingerprint.ts';
import type { FingerprintFacts } from './fingerprint.ts';

/** The example of FoxIO's definition of JA4. */
const CHROME: FingerprintFacts = {
  legacyVersion: 0x0303,
  cipherSuites: [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
    0x002f, 0x0035,
  ],
  extensions: [
    0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01,
    0x000b, 0x000a, 0x0015,
  ],
  supportedGroups: [0x001d, 0x0017, 0x0018],
  ecPointFormats: [0],
  supportedVersions: [0x0304, 0x0303],
  signatureAlgorithms: [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
  alpnProtocols: ['h2', 'http/1.1'],
};
const CHROME_JA4 = 't13d1516h2_8daaf6152771_e5627efa2ab1';

/** The example of Salesforce's description of JA3. */
const SALESFORCE: FingerprintFacts = {
  legacyVersion: 769,
  cipherSuites: [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
  extensions: [0, 10, 11],
  supportedGroups: [23, 24, 25],
  ecPointFormats: [0],
  supportedVersions: [],
  signatureAlgorithms: [],
  alpnProtocols: [],
};

const GREASE = Array.from({ length: 16 }, (_, at) => at * 0x1010 + 0x0a0a);
const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const sha12 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
const alpnPart = (...alpnProtocols: readonly string[]): string =>
  computeJa4({ ...CHROME, alpnProtocols }).slice(8, 10);
const versionPart = (supportedVersions: readonly number[], legacyVersion = 0x0303): string =>
  computeJa4({ ...CHROME, supportedVersions, legacyVersion }).slice(1, 3);

const many = (count: number): number[] => Array.from({ length: count }, (_, at) => 0x0100 + at);
const shuffled = (list: readonly number[]): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray([...list], { minLength: list.length });

describe('computeJa3()', () => {
  test('gives the published hash of the published example', () => {
    assert.equal(computeJa3(SALESFORCE), 'ada70206e40642a3e4461f35503241d5');
  });

  test('gives the hash of empty fields where there is nothing', () => {
    const bare = { ...SALESFORCE, extensions: [], supportedGroups: [], ecPointFormats: [] };
    assert.equal(computeJa3(bare), md5('769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,,,'));
    assert.equal(computeJa3({ ...bare, cipherSuites: [4] }), md5('769,4,,,'));
  });

  test('leaves GREASE out, and nothing that only looks alike', () => {
    const greased = {
      ...SALESFORCE,
      cipherSuites: [...GREASE, ...SALESFORCE.cipherSuites],
      extensions: [...SALESFORCE.extensions, ...GREASE],
      supportedGroups: [...GREASE, ...SALESFORCE.supportedGroups],
    };
    assert.equal(computeJa3(greased), computeJa3(SALESFORCE));
    for (const alike of [0x0a1a, 0x1a0a, 0x0a0b, 0x0b0b, 0xaaa0]) {
      assert.equal(
        computeJa3({ ...SALESFORCE, cipherSuites: [alike] }),
        md5(`769,${alike},0-10-11,23-24-25,0`),
      );
    }
  });

  test('heeds the order, and the legacy version alone', () => {
    const turned = { ...SALESFORCE, extensions: SALESFORCE.extensions.toReversed() };
    assert.notEqual(computeJa3(turned), computeJa3(SALESFORCE));
    assert.equal(computeJa3({ ...SALESFORCE, supportedVersions: [0x0304] }), computeJa3(SALESFORCE));
  });
});

describe('computeJa4()', () => {
  test('gives the published fingerprint of the published example', () => {
    assert.equal(computeJa4(CHROME), CHROME_JA4);
  });

  test('does not heed the order of suites and extensions', () => {
    fc.assert(
      fc.property(shuffled(CHROME.cipherSuites), shuffled(CHROME.extensions), (cipherSuites, extensions) => {
        assert.equal(computeJa4({ ...CHROME, cipherSuites, extensions }), CHROME_JA4);
      }),
    );
  });

  test('heeds the order of signature algorithms', () => {
    const signatureAlgorithms = CHROME.signatureAlgorithms.toReversed();
    const ja4 = computeJa4({ ...CHROME, signatureAlgorithms });
    assert.equal(ja4.slice(0, 24), CHROME_JA4.slice(0, 24));
    assert.notEqual(ja4, CHROME_JA4);
  });

  test('leaves GREASE out everywhere', () => {
    const greased = {
      ...CHROME,
      cipherSuites: [GREASE[0]!, ...CHROME.cipherSuites, ...GREASE],
      extensions: [...GREASE, ...CHROME.extensions],
      supportedVersions: [...GREASE, ...CHROME.supportedVersions],
      signatureAlgorithms: [...GREASE, ...CHROME.signatureAlgorithms],
    };
    assert.equal(computeJa4(greased), CHROME_JA4);
  });

  test('counts server_name and ALPN, but hashes neither', () => {
    const extensions = CHROME.extensions.filter(type => type !== 0 && type !== 16);
    const ja4 = computeJa4({ ...CHROME, extensions, alpnProtocols: [] });
    assert.equal(ja4, 't13i151400_8daaf6152771_e5627efa2ab1');
    assert.equal(computeJa4({ ...CHROME, extensions: [0, 16] }), 't13d1502h2_8daaf6152771_000000000000');
  });

  test('hashes the extensions alone where there are no signature algorithms', () => {
    const facts = { ...CHROME, extensions: [0, 0x000b, 0x000a], signatureAlgorithms: [] };
    assert.equal(computeJa4(facts), `t13d1503h2_8daaf6152771_${sha12('000a,000b')}`);
  });

  test('gives zeros where there are no suites but GREASE', () => {
    assert.equal(computeJa4({ ...CHROME, cipherSuites: [0x0a0a] }), 't13d0016h2_000000000000_e5627efa2ab1');
  });

  test('counts to 99 and no further', () => {
    for (const [count, shown] of [
      [9, '09'],
      [99, '99'],
      [100, '99'],
      [1000, '99'],
    ] as const) {
      const facts = { ...CHROME, cipherSuites: many(count), extensions: many(count) };
      assert.equal(computeJa4(facts).slice(0, 10), `t13i${shown}${shown}h2`, String(count));
    }
  });

  test('takes the highest version offered, else the legacy one', () => {
    assert.equal(versionPart([0x0303, 0x0304, 0x0302]), '13');
    assert.equal(versionPart([0x0304]), '13');
    assert.equal(versionPart([0xfafa, 0x0303], 0x0301), '12');
    assert.equal(versionPart([0xfafa], 0x0302), '11');
    assert.deepEqual(
      [0x0304, 0x0303, 0x0302, 0x0301, 0x0300, 0x0002, 0x0305, 0].map(version => versionPart([], version)),
      ['13', '12', '11', '10', 's3', 's2', '00', '00'],
    );
  });

  test('takes the first and the last character of the first ALPN name', () => {
    assert.equal(alpnPart(), '00');
    assert.equal(alpnPart('http/1.1', 'h2'), 'h1');
    assert.equal(alpnPart('h'), 'hh');
    assert.equal(alpnPart('Zz9'), 'Z9');
  });

  test('takes nibbles of an ALPN name that does not begin and end with letters or digits', () => {
    // The cases of FoxIO's definition.
    assert.equal(alpnPart('\xab'), 'ab');
    assert.equal(alpnPart('\xab\xcd'), 'ad');
    assert.equal(alpnPart('\x30\xab'), '3b');
    assert.equal(alpnPart('\x30\x31\xab\xcd'), '3d');
    assert.equal(alpnPart('\x30\xab\xcd\x31'), '01');
    assert.equal(alpnPart('\x0a\x0a'), '0a');
    assert.equal(alpnPart('h2\n'), '6a');
    assert.equal(alpnPart('\xe9'), 'e9');
  });
});

test('ClientHello.ja3 and .ja4 are those of its own parts', () => {
  const { serverName, ...parts } = { ...CHROME, serverName: 'example.com' };
  const known = new Set([0, 10, 11, 13, 16, 43]);
  const extensions = CHROME.extensions
    .filter(type => !known.has(type))
    .map(type => ({ type, data: new Uint8Array(0) }));
  const hello = readHello(buildClientHello({ ...parts, serverName, extensions }));
  assert.equal(hello.ja4, CHROME_JA4);
  assert.equal(hello.ja3, computeJa3({ ...CHROME, extensions: hello.extensions }));
});
