import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ECH,
  EchClient,
  INNER_MARK,
  OUTER_EXTENSIONS,
  PUBLIC_NAME,
  createTestKey,
  encodeInner,
  outerExtensions,
} from '../../test/support/ech-client.ts';
import {
  buildBody,
  serverNameData,
  unwrapRecords,
  wrapMessage,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import type { HelloParts } from '../../test/support/hello-builder.ts';
import { factsOf, readHello } from '../../test/support/hello-facts.ts';
import { ALERTS } from '../wire/tls-alert.ts';
import type { EchErrorCode } from './ech-error.ts';
import { EchOpener } from './ech-opener.ts';
import type { EchOpening, EchOpenerOptions } from './ech-opener.ts';
import { KEMS } from './hpke-suites.ts';

const KEY = createTestKey();
const NOTHING = new Uint8Array(0);

function openBody(body: Uint8Array, options: EchOpenerOptions = {}, keys = [KEY]): EchOpening {
  return new EchOpener(keys, options).open(readHello(wrapRecords(wrapMessage(body))), 0x0301);
}

function openInner(inner: Uint8Array, outer: HelloParts = {}): EchOpening {
  return openBody(new EchClient(KEY).seal(inner, outer));
}

/** What came of it in a word: the code of a refusal, or the kind. */
function outcome(opening: EchOpening): string {
  return opening.kind === 'illegal' ? opening.code : opening.kind;
}

describe('EchOpener', () => {
  test('rebuilds the inner hello byte by byte, with the session id of the outer one', () => {
    const sessionId = new Uint8Array(32).fill(9);
    const inner = { serverName: 'secret.example', alpnProtocols: ['h2'], extensions: [INNER_MARK] };
    for (const padding of [0, 1, 31, 300]) {
      const opening = openInner(encodeInner(inner, padding), { sessionId });
      assert.ok(opening.kind === 'accepted', outcome(opening));
      const expected = buildBody({
        ...inner,
        sessionId,
        cipherSuites: [0x1301],
        supportedVersions: [0x0304],
      });
      assert.deepEqual(Buffer.from(opening.hello.body), Buffer.from(expected));
      assert.deepEqual(Buffer.from(unwrapRecords(opening.records)), Buffer.from(wrapMessage(expected)));
      assert.equal(opening.hello.serverName, 'secret.example');
      assert.equal(opening.hello.ech, 'inner');
      assert.deepEqual([opening.configId, opening.publicName], [7, PUBLIC_NAME]);
      assert.deepEqual(factsOf(opening.hello), factsOf(readHello(opening.records)));
    }
  });

  test('opens with every key encapsulation and cipher that a configuration names', () => {
    for (const kem of [KEMS.x25519, KEMS.p256]) {
      const key = createTestKey({ kem });
      for (const aead of [1, 2, 3]) {
        const body = new EchClient(key, aead).seal(encodeInner());
        assert.equal(outcome(openBody(body, {}, [key])), 'accepted', `${kem} ${aead}`);
      }
    }
  });

  test('puts the extensions of the outer hello where the inner one refers to them', () => {
    const shared = [
      { type: 51, data: new Uint8Array(40).fill(3) },
      { type: 0x1234, data: NOTHING },
    ];
    const extensions = [outerExtensions(10, 13, 51, 0x1234), INNER_MARK];
    const inner = encodeInner({ supportedGroups: [], signatureAlgorithms: [], extensions }, 5);
    const opening = openInner(inner, { extensions: shared });
    assert.ok(opening.kind === 'accepted', outcome(opening));
    const expected = buildBody({
      serverName: 'secret.example',
      cipherSuites: [0x1301],
      supportedVersions: [0x0304],
      supportedGroups: [],
      signatureAlgorithms: [],
      extensions: [
        { type: 10, data: Uint8Array.of(0, 4, 0, 0x1d, 0, 0x17) },
        { type: 13, data: Uint8Array.of(0, 4, 4, 3, 8, 4) },
        ...shared,
        INNER_MARK,
      ],
    });
    assert.deepEqual(Buffer.from(opening.hello.body), Buffer.from(expected));
    assert.deepEqual(opening.hello.supportedGroups, [0x001d, 0x0017]);
  });

  test('tells a hello without the extension from one it cannot open', () => {
    const plain = openBody(buildBody({ serverName: PUBLIC_NAME }));
    assert.deepEqual(plain, { kind: 'none' });
    const stale = new EchClient(createTestKey());
    const seal = (serverName: string): EchOpening => openBody(stale.seal(encodeInner(), { serverName }));
    assert.deepEqual(seal(PUBLIC_NAME), { kind: 'undecryptable', configId: 7, isPublicName: true });
    assert.deepEqual(seal('PUBLIC.example.'), { kind: 'undecryptable', configId: 7, isPublicName: true });
    assert.deepEqual(seal('other.example'), { kind: 'undecryptable', configId: 7, isPublicName: false });
  });

  test('tries only keys of the number in the hello, unless told to try all', () => {
    const client = new EchClient(KEY);
    const body = client.seal(encodeInner(), {}, { configId: 8 });
    assert.equal(outcome(openBody(body)), 'undecryptable');
    // The number is part of what is authenticated, so the client has to seal with it.
    const renumbered = createTestKey({ configId: 7 });
    const other = createTestKey({ configId: 7 });
    const sealed = new EchClient(renumbered).seal(encodeInner());
    assert.equal(outcome(openBody(sealed, {}, [other, renumbered])), 'accepted');
    assert.equal(outcome(openBody(sealed, {}, [renumbered, other])), 'accepted');
    assert.equal(outcome(openBody(body, { trialDecryption: true })), 'accepted');
  });

  test('cannot open what has a bit turned, wherever in the hello', () => {
    const body = new EchClient(KEY).seal(encodeInner());
    const opener = new EchOpener([KEY]);
    for (const at of [0, 2, 20, 40, 66, 70, body.length - 1, body.length - 60, body.length - 200]) {
      const turned = Uint8Array.from(body);
      turned[at]! ^= 1;
      const opening = opener.open(readHello(wrapRecords(wrapMessage(turned))), 0x0301);
      assert.equal(opening.kind, 'undecryptable', `byte ${at}`);
    }
  });

  test('cannot open a hello without an encapsulated key, with one of small order, or too short a payload', () => {
    for (const enc of [NOTHING, new Uint8Array(32), new Uint8Array(33)]) {
      const body = new EchClient(KEY).seal(encodeInner(), {}, { enc });
      assert.equal(outcome(openBody(body)), 'undecryptable', `${enc.length} bytes`);
    }
    for (const length of [1, 15, 16]) {
      const head = [0, 0, 1, 0, 1, 7, 0, 32, ...new Uint8Array(32).fill(9), 0, length];
      const extension = { type: ECH, data: Uint8Array.of(...head, ...new Uint8Array(length)) };
      assert.equal(outcome(openBody(buildBody({ extensions: [extension] }))), 'undecryptable', `${length}`);
    }
  });

  test('cannot open a hello for algorithms that the configuration does not name', () => {
    for (const aead of [0, 4, 0xff]) {
      const body = new EchClient(KEY).seal(encodeInner(), {}, { aead });
      assert.equal(outcome(openBody(body)), 'undecryptable', `AEAD ${aead}`);
    }
  });

  test('asks for the public name in clear only if told to', () => {
    const body = new EchClient(KEY).seal(encodeInner(), { serverName: 'other.example' });
    assert.equal(outcome(openBody(body)), 'accepted');
    const strict = openBody(body, { requirePublicName: true });
    assert.equal(outcome(strict), 'ech-other-public-name');
    const fit = new EchClient(KEY).seal(encodeInner(), { serverName: 'Public.Example' });
    assert.equal(outcome(openBody(fit, { requirePublicName: true })), 'accepted');
  });

  test('splits an inner hello of more than a record', () => {
    const large = { type: 0x4242, data: new Uint8Array(40_000).fill(1) };
    const opening = openInner(encodeInner({ extensions: [outerExtensions(0x4242), INNER_MARK] }), {
      extensions: [large],
    });
    assert.ok(opening.kind === 'accepted', outcome(opening));
    assert.deepEqual(factsOf(readHello(opening.records)), factsOf(opening.hello));
    assert.ok(opening.records.length <= opening.hello.body.length + 4 + 3 * 5);
  });

  test('sends the inner hello on with the record version of the outer one', () => {
    const body = new EchClient(KEY).seal(encodeInner());
    for (const version of [0x0301, 0x0303]) {
      const opening = new EchOpener([KEY]).open(readHello(wrapRecords(wrapMessage(body))), version);
      assert.ok(opening.kind === 'accepted');
      assert.equal((opening.records[1]! << 8) | opening.records[2]!, version);
    }
  });

  test('takes no key that does not belong to its configuration', () => {
    const other = createTestKey();
    const mixed = { config: KEY.config, privateKey: other.privateKey };
    assert.throws(() => new EchOpener([mixed]), /does not belong/);
    assert.throws(() => new EchOpener([{ ...KEY, config: KEY.config.subarray(1) }]), /does not belong/);
  });

  test('opens with keys that were sent through a structured clone', () => {
    const { config, privateKey } = structuredClone({ config: KEY.config, privateKey: KEY.privateKey });
    const opening = new EchOpener([{ config, privateKey }]).open(
      readHello(wrapRecords(wrapMessage(new EchClient(KEY).seal(encodeInner())))),
      0x0301,
    );
    assert.equal(outcome(opening), 'accepted');
  });
});

const ILLEGAL = ALERTS.illegal_parameter;
const DECODE = ALERTS.decode_error;
/** Offsets in an encoded inner hello with one cipher suite and one compression method. */
const SESSION_ID_AT = 34;
const EXTENSIONS_AT = 34 + 1 + 2 + 2 + 2;

/** Bytes in place of others, `from` up to `to`. */
function splice(bytes: Uint8Array, from: number, to: number, ...between: number[]): Uint8Array {
  return Uint8Array.of(...bytes.subarray(0, from), ...between, ...bytes.subarray(to));
}

/** Every MUST about the inner hello: what breaks it, and the alert. */
const BROKEN_INNER: readonly [
  name: string,
  code: EchErrorCode,
  alert: number,
  inner: Uint8Array,
  outer?: HelloParts,
][] = [
  [
    'a byte other than zero in the padding',
    'inner-padding',
    ILLEGAL,
    Uint8Array.of(...encodeInner({}, 3), 1, 0),
  ],
  ['a padding of one byte other than zero', 'inner-padding', ILLEGAL, Uint8Array.of(...encodeInner(), 255)],
  [
    'a session id of its own',
    'inner-session-id',
    ILLEGAL,
    splice(encodeInner(), SESSION_ID_AT, SESSION_ID_AT + 1, 1, 7),
  ],
  ['no extensions', 'inner-no-extensions', ILLEGAL, encodeInner().subarray(0, EXTENSIONS_AT)],
  [
    'an empty list of extensions',
    'inner-no-extensions',
    ILLEGAL,
    splice(encodeInner(), EXTENSIONS_AT, 1e9, 0, 0),
  ],
  ['nothing but padding', 'inner-no-extensions', ILLEGAL, new Uint8Array(200)],
  ['an end in its random', 'inner-malformed', DECODE, encodeInner().subarray(0, 20)],
  ['an end in its extensions', 'inner-malformed', DECODE, encodeInner().subarray(0, -1)],
  [
    'an extension longer than the list',
    'inner-malformed',
    DECODE,
    splice(encodeInner({ serverName: null }), EXTENSIONS_AT + 4, EXTENSIONS_AT + 6, 0xff, 0xff),
  ],
  [
    'an extension longer than the list, behind a reference',
    'inner-malformed',
    DECODE,
    splice(encodeInner({ extensions: [outerExtensions(10), INNER_MARK] }), -3, 1e9, 0, 9, 1),
  ],
  [
    'an odd list of outer extensions',
    'outer-list-malformed',
    DECODE,
    encodeInner({ extensions: [INNER_MARK, { type: OUTER_EXTENSIONS, data: Uint8Array.of(3, 0, 10, 0) }] }),
  ],
  [
    'an empty list of outer extensions',
    'outer-list-malformed',
    DECODE,
    encodeInner({ extensions: [INNER_MARK, outerExtensions()] }),
  ],
  [
    'no list of outer extensions at all',
    'outer-list-malformed',
    DECODE,
    encodeInner({ extensions: [INNER_MARK, { type: OUTER_EXTENSIONS, data: NOTHING }] }),
  ],
  [
    'bytes behind the list of outer extensions',
    'outer-list-malformed',
    DECODE,
    encodeInner({ extensions: [INNER_MARK, { type: OUTER_EXTENSIONS, data: Uint8Array.of(2, 0, 10, 0) }] }),
  ],
  [
    'two lists of outer extensions',
    'outer-list-twice',
    ILLEGAL,
    encodeInner({
      supportedGroups: [],
      extensions: [outerExtensions(10), INNER_MARK, outerExtensions(13)],
    }),
  ],
  [
    'an outer extension that is missing',
    'outer-list-missing',
    ILLEGAL,
    encodeInner({ extensions: [outerExtensions(0x7777), INNER_MARK] }),
  ],
  [
    'an outer extension named twice',
    'outer-list-missing',
    ILLEGAL,
    encodeInner({ supportedGroups: [], extensions: [outerExtensions(10, 10), INNER_MARK] }),
  ],
  [
    'outer extensions out of their order',
    'outer-list-missing',
    ILLEGAL,
    encodeInner({
      supportedGroups: [],
      signatureAlgorithms: [],
      extensions: [outerExtensions(13, 10), INNER_MARK],
    }),
  ],
  [
    'encrypted_client_hello among the outer extensions',
    'outer-list-ech',
    ILLEGAL,
    encodeInner({ extensions: [outerExtensions(ECH)] }),
  ],
  [
    'the reference itself among the outer extensions',
    'outer-list-ech',
    ILLEGAL,
    encodeInner({ extensions: [INNER_MARK, outerExtensions(OUTER_EXTENSIONS)] }),
    { extensions: [outerExtensions(10)] },
  ],
  ['no mark of an inner hello', 'inner-not-marked', ILLEGAL, encodeInner({ extensions: [] })],
  [
    'the mark of an outer hello',
    'inner-not-marked',
    ILLEGAL,
    encodeInner({ extensions: [{ type: ECH, data: Uint8Array.of(0) }] }),
  ],
  [
    'a mark with a byte behind it',
    'inner-not-marked',
    ILLEGAL,
    encodeInner({ extensions: [{ type: ECH, data: Uint8Array.of(1, 0) }] }),
  ],
  ['no supported_versions', 'inner-old-version', ILLEGAL, encodeInner({ supportedVersions: [] })],
  ['TLS 1.2', 'inner-old-version', ILLEGAL, encodeInner({ supportedVersions: [0x0304, 0x0303] })],
  ['SSL 3.0', 'inner-old-version', ILLEGAL, encodeInner({ supportedVersions: [0x0300, 0x0304] })],
  ['no version but GREASE', 'inner-old-version', ILLEGAL, encodeInner({ supportedVersions: [0x1a1a] })],
  [
    'an extension twice',
    'duplicate-extension',
    ILLEGAL,
    encodeInner({ extensions: [INNER_MARK, { type: 0, data: serverNameData('other.example') }] }),
  ],
  [
    'a second name through the outer extensions',
    'duplicate-extension',
    ILLEGAL,
    encodeInner({ extensions: [outerExtensions(0), INNER_MARK] }),
  ],
  ['a name that is none', 'bad-name', ILLEGAL, encodeInner({ serverName: 'a b.example' })],
  ['an odd list of cipher suites', 'bad-length', DECODE, oddCiphers()],
];

function oddCiphers(): Uint8Array {
  const inner = encodeInner();
  return splice(inner, SESSION_ID_AT + 1, SESSION_ID_AT + 5, 0, 3, 0x13, 1, 0);
}

describe('EchOpener refuses an inner hello with', () => {
  for (const [name, code, alert, inner, outer] of BROKEN_INNER) {
    test(name, () => {
      assert.deepEqual(openInner(inner, outer), { kind: 'illegal', code, alert });
    });
  }

  test('nothing of that: GREASE, a draft and TLS 1.3 are fit', () => {
    const opening = openInner(encodeInner({ supportedVersions: [0x3a3a, 0x0304, 0x7f1c] }));
    assert.equal(outcome(opening), 'accepted');
  });
});

/** What is wrong with the extension of the outer hello. */
const HEAD = [0, 0, 1, 0, 1, 7];
const BROKEN_OUTER: readonly [name: string, code: EchErrorCode, alert: number, data: readonly number[]][] = [
  ['nothing in it', 'ech-malformed', DECODE, []],
  ['an unknown type', 'ech-unknown-type', ILLEGAL, [2]],
  ['the type of an inner hello', 'ech-inner-in-clear', ILLEGAL, [1]],
  ['the type of an inner hello and more', 'ech-inner-in-clear', ILLEGAL, [1, 0]],
  ['an end in the suite', 'ech-malformed', DECODE, [0, 0, 1]],
  ['no encapsulated key', 'ech-malformed', DECODE, HEAD],
  ['no payload', 'ech-malformed', DECODE, [...HEAD, 0, 0]],
  ['an empty payload', 'ech-malformed', DECODE, [...HEAD, 0, 1, 5, 0, 0]],
  ['a payload that is cut', 'ech-malformed', DECODE, [...HEAD, 0, 1, 5, 0, 9, 1]],
  ['bytes behind the payload', 'ech-malformed', DECODE, [...HEAD, 0, 1, 5, 0, 1, 1, 0]],
];

describe('EchOpener refuses an outer extension with', () => {
  for (const [name, code, alert, data] of BROKEN_OUTER) {
    test(name, () => {
      const body = buildBody({
        serverName: PUBLIC_NAME,
        extensions: [{ type: ECH, data: Uint8Array.from(data) }],
      });
      assert.deepEqual(openBody(body), { kind: 'illegal', code, alert });
    });
  }
});
