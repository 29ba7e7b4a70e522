import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import { ECH } from '../../test/support/ech-client.ts';
import { buildClientHello } from '../../test/support/hello-builder.ts';
import type { ExtensionParts, HelloParts } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { createClientKey, keyShare, readFlight } from '../../test/support/tls13-client.ts';
import type { ClientKey } from '../../test/support/tls13-client.ts';
import { RETRY_FLIGHT_BYTES_MAX } from '../limits.ts';
import { ALERTS } from '../wire/tls-alert.ts';
import type { EchErrorCode } from './ech-error.ts';
import { GROUPS } from './key-exchange.ts';
import { RetryResponder, retryTermsFault } from './retry-responder.ts';
import type { RetryAnswer, RetryTerms } from './retry-responder.ts';

const NAME = 'public.example';
const LIST = Uint8Array.from({ length: 71 }, (_, at) => at);
const CERTIFICATES = [new Uint8Array(500).fill(1), new Uint8Array(800).fill(2)];
const EXCHANGES = [GROUPS.x25519, GROUPS.secp256r1, GROUPS.secp384r1].map(createClientKey);
const [X25519_KEY, P256_KEY, P384_KEY] = EXCHANGES as [ClientKey, ClientKey, ClientKey];
/** What is there once a hello cannot be opened. */
const UNOPENED: ExtensionParts = { type: ECH, data: new Uint8Array(180) };

const KEYS: readonly (readonly [name: string, key: KeyObject, schemes: readonly number[]])[] = [
  ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, [0x0403]],
  ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, [0x0503]],
  ['Ed25519', generateKeyPairSync('ed25519').privateKey, [0x0807]],
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, [0x0804, 0x0805, 0x0806]],
];
const [[, P256_SIGNER]] = KEYS as [readonly [string, KeyObject, readonly number[]]];

function termsWith(key: KeyObject, parts: Partial<RetryTerms> = {}): RetryTerms {
  const privateKey = Uint8Array.from(key.export({ format: 'der', type: 'pkcs8' }));
  const identity = { certificates: CERTIFICATES, privateKey };
  return { publicName: NAME, list: LIST, identity, ...parts };
}

/** One with a clock that stands still, so that it is never busy. */
function createResponder(key: KeyObject = P256_SIGNER, parts: Partial<RetryTerms> = {}): RetryResponder {
  return new RetryResponder([termsWith(key, parts)], () => 0);
}

function helloWith(
  parts: HelloParts,
  ...shares: readonly { group: number; share: Uint8Array }[]
): Uint8Array {
  return buildClientHello({
    serverName: NAME,
    supportedGroups: [0x001d, 0x0017, 0x0018],
    ...parts,
    extensions: parts.extensions ?? [UNOPENED, keyShare(...shares)],
  });
}

function flightOf(answer: RetryAnswer): Uint8Array {
  assert.ok(answer?.kind === 'flight', JSON.stringify(answer));
  return answer.bytes;
}

/** Answers a hello and reads all of the flight. */
function handshake(
  hello: Uint8Array,
  { signer = P256_SIGNER, key = X25519_KEY, responder = createResponder(signer) } = {},
) {
  const bytes = flightOf(responder.answer(readHello(hello)));
  return readFlight(hello, bytes, { key, publicKey: createPublicKey(signer) });
}

describe('RetryResponder.answer()', () => {
  for (const [name, signer, schemes] of KEYS) {
    test(`signs with a key of ${name}, whatever the suite and the group`, () => {
      for (const suite of [0x1301, 0x1302, 0x1303]) {
        for (const key of EXCHANGES) {
          for (const scheme of schemes) {
            const parts = { cipherSuites: [suite], signatureAlgorithms: [0x0401, scheme] };
            const flight = handshake(helloWith(parts, key), { signer, key });
            assert.deepEqual([flight.suite, flight.group, flight.scheme], [suite, key.group, scheme]);
            assert.deepEqual(
              flight.certificates,
              CERTIFICATES.map(one => Buffer.from(one)),
            );
          }
        }
      }
    });
  }

  test('tells the list, and nothing else, as the only extension that is encrypted', () => {
    const parts = { alpnProtocols: ['h2', 'http/1.1'] };
    const { extensions } = handshake(helloWith(parts, X25519_KEY));
    assert.deepEqual(
      extensions.map(({ type, data }) => [type, Buffer.from(data)]),
      [[ECH, Buffer.from(LIST)]],
    );
  });

  test('tells a hello without the extension nothing, for nothing was asked', () => {
    const hello = helloWith({ extensions: [keyShare(X25519_KEY)] });
    assert.deepEqual(handshake(hello).extensions, []);
  });

  test('gives the session id back, and with one the change_cipher_spec that middleboxes want', () => {
    const sessionId = Uint8Array.from({ length: 32 }, (_, at) => at);
    const compatible = handshake(helloWith({ sessionId }, X25519_KEY));
    assert.deepEqual(Buffer.from(compatible.sessionId), Buffer.from(sessionId));
    assert.equal(compatible.hasChangeCipherSpec, true);
    const plain = handshake(helloWith({ sessionId: new Uint8Array(0) }, X25519_KEY));
    assert.deepEqual([plain.sessionId.length, plain.hasChangeCipherSpec], [0, false]);
  });

  test("takes the client's first suite, its cheapest share and our first signature", () => {
    const signer = KEYS[3]![1];
    const parts = {
      cipherSuites: [0x1a1a, 0xc02f, 0x1303, 0x1302, 0x1301],
      signatureAlgorithms: [0x0806, 0x0805, 0x0403],
      supportedGroups: [0x2a2a, 0x11ec, 0x0018, 0x0017],
    };
    const grease = { group: 0x2a2a, share: Uint8Array.of(0) };
    const unknown = { group: 0x11ec, share: new Uint8Array(1216) };
    const hello = helloWith(parts, grease, unknown, P384_KEY, P256_KEY);
    const flight = handshake(hello, { signer, key: P256_KEY });
    assert.deepEqual([flight.suite, flight.group, flight.scheme], [0x1303, 0x0017, 0x0805]);
  });

  test('has another random and another key each time', () => {
    const hello = helloWith({}, X25519_KEY);
    const responder = createResponder();
    const flights = [0, 1].map(() => Buffer.from(flightOf(responder.answer(readHello(hello)))));
    const [one, other] = flights as [Buffer, Buffer];
    assert.notDeepEqual(one.subarray(11, 43), other.subarray(11, 43));
    assert.notDeepEqual(one.subarray(95, 127), other.subarray(95, 127));
  });

  test('answers each public name with what is its own, and no other name', () => {
    const signer = KEYS[2]![1];
    const other = termsWith(signer, { publicName: 'Other.Example', list: Uint8Array.of(0, 0) });
    const responder = new RetryResponder([termsWith(P256_SIGNER), other], () => 0);
    const signatureAlgorithms = [0x0403, 0x0807];
    const first = helloWith({ signatureAlgorithms }, X25519_KEY);
    assert.equal(handshake(first, { responder }).scheme, 0x0403);
    const second = helloWith({ signatureAlgorithms, serverName: 'other.example' }, X25519_KEY);
    const flight = handshake(second, { responder, signer });
    assert.deepEqual([flight.scheme, [...flight.extensions[0]!.data]], [0x0807, [0, 0]]);
    for (const serverName of ['secret.example', 'www.public.example', null]) {
      assert.equal(responder.answer(readHello(helloWith({ serverName }, X25519_KEY))), null);
    }
  });

  test('works with terms that have been sent to another thread', () => {
    const responder = new RetryResponder(structuredClone([termsWith(P256_SIGNER)]), () => 0);
    assert.equal(handshake(helloWith({}, X25519_KEY), { responder }).scheme, 0x0403);
  });

  test('is busy once answers take more than their share of the time, and until that has passed', () => {
    let now = 0;
    // Each look at the clock takes two milliseconds, and so does each answer.
    const responder = new RetryResponder([termsWith(P256_SIGNER)], () => (now += 2));
    const hello = readHello(helloWith({}, X25519_KEY));
    const wrongShare = readHello(helloWith({}, { group: 0x001d, share: new Uint8Array(32) }));
    const flood = Array.from({ length: 100 }, (_, at) => responder.answer(at % 2 === 0 ? hello : wrongShare));
    const kinds = flood.map(answer => answer?.kind);
    assert.ok(kinds.indexOf('busy') > 20 && kinds.indexOf('busy') < 40, String(kinds.indexOf('busy')));
    assert.ok(kinds.slice(50).filter(kind => kind === 'busy').length > 30);
    const cheap = helloWith({ supportedVersions: [0x0303] }, X25519_KEY);
    assert.equal(responder.answer(readHello(cheap))?.kind, 'illegal', 'what costs nothing is told');
    now += 1_000;
    assert.equal(responder.answer(hello)?.kind, 'flight');
  });
});

type Refusal = readonly [what: string, code: EchErrorCode, alert: number, hello: Uint8Array];

const shareOf = (bytes: number[], supportedGroups = [0x001d]): Uint8Array =>
  helloWith({ supportedGroups, extensions: [UNOPENED, { type: 51, data: Uint8Array.from(bytes) }] });
const psk: ExtensionParts = { type: 41, data: new Uint8Array(60) };
const pskModes: ExtensionParts = { type: 45, data: Uint8Array.of(1, 1) };
const share = keyShare(X25519_KEY);
/** A point that is not on the curve. */
const noPoint = Uint8Array.of(4, ...new Uint8Array(64).fill(5));

/** With two compression methods, or with another one than none. */
function withCompressions(...methods: number[]): Uint8Array {
  const body = Buffer.from(helloWith({ sessionId: new Uint8Array(0) }, X25519_KEY)).subarray(9);
  // Behind version, random, an empty session id and two suites.
  const at = 2 + 32 + 1 + 6;
  assert.deepEqual([...body.subarray(at, at + 2)], [1, 0]);
  const changed = [...body.subarray(0, at), methods.length, ...methods, ...body.subarray(at + 2)];
  const length = changed.length;
  const head = [22, 3, 1, (length + 4) >> 8, (length + 4) & 255, 1, 0, length >> 8, length & 255];
  return Uint8Array.from([...head, ...changed]);
}

const REFUSALS: readonly Refusal[] = [
  ['TLS 1.2 alone', 'no-tls13', 70, helloWith({ supportedVersions: [0x0303] }, X25519_KEY)],
  ['no supported_versions', 'no-tls13', 70, helloWith({ supportedVersions: [] }, X25519_KEY)],
  ['compression beside none', 'compression-offered', 47, withCompressions(1, 0)],
  ['compression alone', 'compression-offered', 47, withCompressions(1)],
  ['no suite of TLS 1.3', 'no-common-cipher', 40, helloWith({ cipherSuites: [0xc02f] }, X25519_KEY)],
  [
    'suites for small devices',
    'no-common-cipher',
    40,
    helloWith({ cipherSuites: [0x1304, 0x1305] }, X25519_KEY),
  ],
  ['no share, to be asked for one', 'no-common-group', 40, shareOf([0, 0])],
  ['shares of other groups', 'no-common-group', 40, shareOf([0, 5, 0, 0x1e, 0, 1, 7], [0x001e, 0x001d])],
  [
    'other signatures',
    'no-common-signature',
    40,
    helloWith({ signatureAlgorithms: [0x0804, 0x0401] }, X25519_KEY),
  ],
  ['no key_share', 'missing-extension', 109, helloWith({ extensions: [UNOPENED] })],
  ['no supported_groups', 'missing-extension', 109, helloWith({ supportedGroups: [] }, X25519_KEY)],
  ['no signature_algorithms', 'missing-extension', 109, helloWith({ signatureAlgorithms: [] }, X25519_KEY)],
  ['a ticket without its modes', 'missing-extension', 109, helloWith({ extensions: [UNOPENED, share, psk] })],
  [
    'a ticket before the end',
    'psk-not-last',
    47,
    helloWith({ extensions: [UNOPENED, pskModes, psk, share] }),
  ],
  ['key_share without its length', 'key-share-malformed', 50, shareOf([0])],
  ['key_share cut off', 'key-share-malformed', 50, shareOf([0, 9, 0, 0x1d, 0, 1, 7])],
  ['key_share with bytes behind it', 'key-share-malformed', 50, shareOf([0, 0, 0])],
  ['a share cut off', 'key-share-malformed', 50, shareOf([0, 5, 0, 0x1d, 0, 9, 7])],
  ['a share without its length', 'key-share-malformed', 50, shareOf([0, 2, 0, 0x1d])],
  ['an empty share', 'key-share-malformed', 50, shareOf([0, 4, 0, 0x1d, 0, 0])],
  ['two shares of a group', 'key-share-illegal', 47, helloWith({}, X25519_KEY, X25519_KEY)],
  [
    'a share of a group that is not offered',
    'key-share-illegal',
    47,
    helloWith({ supportedGroups: [0x0017] }, X25519_KEY, P256_KEY),
  ],
  [
    'a share of 31 bytes',
    'key-share-illegal',
    47,
    helloWith({}, { group: 0x001d, share: new Uint8Array(31) }),
  ],
  ['a secret of zeros', 'key-share-illegal', 47, helloWith({}, { group: 0x001d, share: new Uint8Array(32) })],
  ['no point of P-256', 'key-share-illegal', 47, helloWith({}, { group: 0x0017, share: noPoint })],
  [
    'a point that is compressed',
    'key-share-illegal',
    47,
    helloWith({}, { group: 0x0017, share: Uint8Array.of(2, ...P256_KEY.share.subarray(1, 33)) }),
  ],
  [
    'a point in its hybrid form',
    'key-share-illegal',
    47,
    helloWith(
      {},
      { group: 0x0017, share: Uint8Array.of(6 + (P256_KEY.share[64]! & 1), ...P256_KEY.share.subarray(1)) },
    ),
  ],
  ['no point of P-384', 'key-share-illegal', 47, helloWith({}, { group: 0x0018, share: new Uint8Array(97) })],
];

describe('RetryResponder.answer() refuses', () => {
  for (const [what, code, alert, hello] of REFUSALS) {
    test(`${what}: ${code}`, () => {
      assert.deepEqual(createResponder().answer(readHello(hello)), { kind: 'illegal', code, alert });
    });
  }

  test('with alerts that a table names', () => {
    const known = new Set<number>(Object.values(ALERTS));
    for (const [what, , alert] of REFUSALS) assert.ok(known.has(alert), what);
  });

  test('nothing of a ticket that stands at its end with its modes', () => {
    const hello = helloWith({ extensions: [UNOPENED, share, pskModes, psk] });
    assert.equal(handshake(hello).scheme, 0x0403);
  });
});

describe('RetryResponder', () => {
  test('takes what makes the largest flight, and not a byte more', () => {
    for (const [name, signer] of KEYS) {
      const listOf = (bytes: number): RetryTerms => termsWith(signer, { list: new Uint8Array(bytes) });
      let bytes = RETRY_FLIGHT_BYTES_MAX;
      while (retryTermsFault(listOf(bytes)) !== null) bytes--;
      assert.ok(bytes > 14_000, name);
      const responder = createResponder(signer, { list: new Uint8Array(bytes) });
      const sessionId = new Uint8Array(32).fill(1);
      const signatureAlgorithms = [0x0806, 0x0403, 0x0503, 0x0807];
      const hello = helloWith({ sessionId, cipherSuites: [0x1302], signatureAlgorithms }, P384_KEY);
      const flight = flightOf(responder.answer(readHello(hello)));
      assert.ok(flight.length <= RETRY_FLIGHT_BYTES_MAX && flight.length > RETRY_FLIGHT_BYTES_MAX - 8, name);
      readFlight(hello, flight, { key: P384_KEY, publicKey: createPublicKey(signer) });
      assert.throws(
        () => createResponder(signer, { list: new Uint8Array(bytes + 1) }),
        /^Error: the answer for public\.example would take 16385 bytes, and 16384 at most .*shorten the chain/,
      );
    }
  });

  test('says what is wrong with a key or with certificates', () => {
    const keyFaults: readonly (readonly [KeyObject, RegExp])[] = [
      [
        generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
        /an RSA key of 1024 bits, where P-256/,
      ],
      [generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, /of the kind secp256k1, where/],
      [generateKeyPairSync('ed448').privateKey, /of the kind ed448, where/],
      [generateKeyPairSync('x25519').privateKey, /of the kind x25519, where/],
    ];
    for (const [key, message] of keyFaults) {
      assert.match(retryTermsFault(termsWith(key)) ?? '', message);
      assert.throws(() => createResponder(key), message);
    }
    const { privateKey } = termsWith(P256_SIGNER).identity;
    const bare = termsWith(P256_SIGNER, { identity: { certificates: [], privateKey } });
    assert.equal(retryTermsFault(bare), 'for public.example there is no certificate');
    assert.equal(retryTermsFault(termsWith(P256_SIGNER)), null);
  });
});
