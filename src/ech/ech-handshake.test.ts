import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EchClient, createTestKey, encodeInner } from '../../test/support/ech-client.ts';
import type { TestKey } from '../../test/support/ech-client.ts';
import {
  RETRY_MARK,
  buildAcceptingHello,
  buildRetryRequest,
  buildServerHello,
} from '../../test/support/ech-server.ts';
import {
  buildBody,
  fragmentRecords,
  unwrapRecords,
  wrapMessage,
  wrapRecord,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import type { HelloParts } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { HELLO_STREAM_BYTES_MAX } from '../limits.ts';
import { ALERTS } from '../wire/tls-alert.ts';
import type { EchErrorCode } from './ech-error.ts';
import { EchHandshake } from './ech-handshake.ts';
import type { EchStep } from './ech-handshake.ts';
import { EchOpener } from './ech-opener.ts';
import type { EchAccepted } from './ech-opener.ts';

const KEY = createTestKey();
const NOTHING = new Uint8Array(0);
const CCS = wrapRecord(Uint8Array.of(1), 20);
const DATA = wrapRecord(new Uint8Array(300).fill(0xdd), 23);
const CLIENT_ALERT = wrapRecord(Uint8Array.of(1, 0), 21);
const PLAIN_SERVER_HELLO = wrapRecord(buildServerHello(new Uint8Array(32).fill(1)));
const RETRY_REQUEST = buildRetryRequest(0x1301, [RETRY_MARK]);
const RETRY = wrapRecord(RETRY_REQUEST);

interface Started {
  readonly handshake: EchHandshake;
  readonly client: EchClient;
  readonly accepted: EchAccepted;
  /** The first inner hello, as a handshake message. */
  readonly hello: Uint8Array;
}

function start(key: TestKey = KEY, inner: HelloParts = {}): Started {
  const client = new EchClient(key);
  const stream = wrapRecords(wrapMessage(client.seal(encodeInner(inner))));
  const accepted = new EchOpener([key]).open(readHello(stream), 0x0301);
  assert.ok(accepted.kind === 'accepted');
  return { handshake: new EchHandshake(accepted), client, accepted, hello: unwrapRecords(accepted.records) };
}

/** The second hello of a client, in one record. */
function second(client: EchClient, inner: HelloParts = {}): Uint8Array {
  return wrapRecords(wrapMessage(client.seal(encodeInner(inner))));
}

function bytesOf({ toBackend }: EchStep): Buffer {
  return Buffer.concat(toBackend);
}

function pass(step: EchStep): Buffer {
  assert.equal(step.illegal, null);
  return bytesOf(step);
}

describe('EchHandshake without a second hello', () => {
  test('is done with the ServerHello, and passes what the client sends before it', () => {
    const { handshake } = start();
    for (const record of [CCS, DATA, DATA, CLIENT_ALERT]) {
      assert.deepEqual(pass(handshake.fromClient(record)), Buffer.from(record));
    }
    assert.equal(handshake.isDone, false);
    assert.deepEqual(pass(handshake.fromBackend(PLAIN_SERVER_HELLO)), Buffer.from(NOTHING));
    assert.equal(handshake.isDone, true);
    const anything = Uint8Array.of(1, 2, 3, 22);
    assert.deepEqual(pass(handshake.fromClient(anything)), Buffer.from(anything));
  });

  test('confirms a backend that accepts, with both hashes, and no other one', () => {
    for (const suite of [0x1301, 0x1302, 0x1303]) {
      const { handshake, hello } = start();
      const serverHello = buildAcceptingHello(hello, null, suite);
      handshake.fromBackend(Buffer.concat([wrapRecord(serverHello), CCS, DATA]));
      assert.equal(handshake.confirmation, 'confirmed', String(suite));
      const other = start(KEY, { serverName: 'other.example' }).handshake;
      other.fromBackend(wrapRecord(serverHello));
      assert.equal(other.confirmation, 'unconfirmed');
    }
    const { handshake } = start();
    assert.equal(handshake.confirmation, 'pending');
    handshake.fromBackend(PLAIN_SERVER_HELLO);
    assert.equal(handshake.confirmation, 'unconfirmed');
  });

  test('tells of an alert instead of a ServerHello', () => {
    const { handshake } = start();
    handshake.fromBackend(wrapRecord(Uint8Array.of(2, ALERTS.protocol_version), 21));
    assert.deepEqual(
      [handshake.isDone, handshake.confirmation, handshake.backendAlert],
      [true, 'unknown', ALERTS.protocol_version],
    );
  });

  test('is done with anything else that a backend sends', () => {
    for (const answer of [
      DATA,
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      wrapRecord(Uint8Array.of(11, 0, 0, 0)),
      wrapRecord(Uint8Array.of(2, 0, 0x40, 1)),
      wrapRecord(NOTHING, 21),
      Buffer.from([22, 2, 0, 0, 1]),
      Buffer.from([22, 3, 3, 0x40, 1]),
    ]) {
      const { handshake } = start();
      handshake.fromBackend(answer);
      const seen = [handshake.isDone, handshake.confirmation, handshake.backendAlert];
      assert.deepEqual(seen, [true, 'unknown', null], Buffer.from(answer).toString('latin1'));
    }
  });

  test('holds a handshake message of the client, and all behind it, until there is a ServerHello', () => {
    const { handshake } = start();
    const early = Buffer.concat([wrapRecord(Uint8Array.of(20, 0, 0, 0)), DATA]);
    assert.equal(pass(handshake.fromClient(Buffer.concat([CCS, early]))).length, CCS.length);
    assert.equal(pass(handshake.fromClient(CCS)).length, 0);
    assert.deepEqual(pass(handshake.fromBackend(PLAIN_SERVER_HELLO)), Buffer.concat([early, CCS]));
    assert.equal(handshake.isDone, true);
  });

  test('holds no more than a hello may have', () => {
    const { handshake } = start();
    const head = Uint8Array.of(22, 3, 3, 0x40, 0);
    pass(handshake.fromClient(head));
    pass(handshake.fromClient(new Uint8Array(HELLO_STREAM_BYTES_MAX - head.length)));
    const { illegal, toBackend } = handshake.fromClient(Uint8Array.of(0));
    assert.deepEqual([illegal?.code, toBackend], ['unexpected-message', []]);
    assert.deepEqual(handshake.fromClient(DATA), { toBackend: [], illegal: null });
    assert.deepEqual(handshake.fromBackend(RETRY), { toBackend: [], illegal: null });
    assert.equal(handshake.isDone, false);
  });
});

describe('EchHandshake with a HelloRetryRequest', () => {
  test('opens the second hello with the key of the first, and is done with the ServerHello', () => {
    const { handshake, client, hello } = start();
    pass(handshake.fromBackend(Buffer.concat([RETRY, CCS])));
    assert.deepEqual([handshake.awaitsHello, handshake.wasRetried], [true, false]);
    assert.deepEqual(pass(handshake.fromClient(CCS)), Buffer.from(CCS));
    const shares = { type: 51, data: Uint8Array.of(1, 2, 3) };
    const sent = second(client, { extensions: [shares, { type: 0xfe0d, data: Uint8Array.of(1) }] });
    const records = pass(handshake.fromClient(Buffer.concat([sent, DATA])));
    const expected = wrapMessage(
      buildBody({
        serverName: 'secret.example',
        cipherSuites: [0x1301],
        supportedVersions: [0x0304],
        extensions: [shares, { type: 0xfe0d, data: Uint8Array.of(1) }],
      }),
    );
    const record = Buffer.from(wrapRecord(expected));
    record[2] = 3;
    assert.deepEqual(records, Buffer.concat([record, DATA]));
    assert.deepEqual([handshake.awaitsHello, handshake.wasRetried, handshake.isDone], [false, true, false]);
    const retry = { request: RETRY_REQUEST, hello: expected };
    handshake.fromBackend(wrapRecord(buildAcceptingHello(hello, retry)));
    assert.deepEqual([handshake.isDone, handshake.confirmation], [true, 'confirmed']);
  });

  test('tells of a backend that does not know inner hellos, although its client is refused', () => {
    for (const more of [[], [{ type: 0xfe0d, data: new Uint8Array(7) }]]) {
      const { handshake, client } = start();
      pass(handshake.fromBackend(wrapRecord(buildRetryRequest(0x1301, more))));
      assert.equal(handshake.confirmation, 'unconfirmed');
      // What such a backend leads to: the client takes itself for rejected, and goes on with the outer hello.
      const { illegal } = handshake.fromClient(
        wrapRecords(wrapMessage(client.seal(encodeInner(), {}, { enc: new Uint8Array(32) }))),
      );
      assert.deepEqual([illegal?.code, handshake.confirmation], ['retry-other-key', 'unconfirmed']);
    }
  });

  test('does not mistake a backend for one that accepts', () => {
    const { handshake, client } = start();
    pass(handshake.fromBackend(RETRY));
    pass(handshake.fromClient(second(client)));
    handshake.fromBackend(PLAIN_SERVER_HELLO);
    assert.deepEqual([handshake.isDone, handshake.confirmation], [true, 'unconfirmed']);
  });

  test('opens a second hello that came before the request', () => {
    const { handshake, client } = start();
    assert.equal(pass(handshake.fromClient(second(client))).length, 0);
    const records = pass(handshake.fromBackend(RETRY));
    assert.equal(readHello(records).serverName, 'secret.example');
  });

  test('goes on after a second request, which clients refuse', () => {
    const { handshake, client } = start();
    pass(handshake.fromBackend(Buffer.concat([RETRY, RETRY])));
    assert.equal(handshake.confirmation, 'unknown');
    assert.equal(readHello(pass(handshake.fromClient(second(client)))).ech, 'inner');
    assert.equal(handshake.isDone, true);
  });
});

/** Every MUST about the second hello: what breaks it, and the alert. */
const BROKEN: readonly [
  name: string,
  code: EchErrorCode,
  alert: number,
  send: (client: EchClient) => Uint8Array,
][] = [
  [
    'no encrypted_client_hello',
    'retry-without-ech',
    ALERTS.missing_extension,
    () => wrapMessage(buildBody({ serverName: 'public.example' })),
  ],
  [
    'another number of the key',
    'retry-other-key',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner(), {}, { configId: 8 })),
  ],
  [
    'another cipher',
    'retry-other-key',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner(), {}, { aead: 3 })),
  ],
  [
    'an encapsulated key of its own',
    'retry-other-key',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner(), {}, { enc: new Uint8Array(32).fill(1) })),
  ],
  [
    'the type of an inner hello',
    'ech-inner-in-clear',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner(), {}, { type: 1 })),
  ],
  [
    'an unknown type',
    'ech-unknown-type',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner(), {}, { type: 9 })),
  ],
  [
    'a byte behind the payload',
    'ech-malformed',
    ALERTS.decode_error,
    client => wrapMessage(client.seal(encodeInner(), {}, { tail: Uint8Array.of(0) })),
  ],
  [
    'the encryption of a new first hello',
    'retry-not-opened',
    ALERTS.decrypt_error,
    () => wrapMessage(new EchClient(KEY).seal(encodeInner(), {}, { enc: NOTHING })),
  ],
  [
    'another name',
    'retry-other-name',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner({ serverName: 'other.example' }))),
  ],
  [
    'no name',
    'retry-other-name',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner({ serverName: null }))),
  ],
  [
    'an old version',
    'inner-old-version',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner({ supportedVersions: [0x0303] }))),
  ],
  [
    'no mark of an inner hello',
    'inner-not-marked',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(encodeInner({ extensions: [] }))),
  ],
  [
    'bytes other than zero in the padding',
    'inner-padding',
    ALERTS.illegal_parameter,
    client => wrapMessage(client.seal(Uint8Array.of(...encodeInner(), 1))),
  ],
  [
    'another message in its place',
    'not-client-hello',
    ALERTS.unexpected_message,
    () => Uint8Array.of(20, 0, 0, 0),
  ],
];

describe('EchHandshake refuses a second hello with', () => {
  for (const [name, code, alert, send] of BROKEN) {
    test(name, () => {
      const { handshake, client } = start();
      pass(handshake.fromBackend(RETRY));
      const step = handshake.fromClient(Buffer.concat([CCS, wrapRecords(send(client)), DATA]));
      assert.deepEqual(step.illegal, { kind: 'illegal', code, alert });
      assert.deepEqual(bytesOf(step), Buffer.from(CCS));
      assert.deepEqual(handshake.fromClient(DATA), { toBackend: [], illegal: null });
    });
  }
});

describe('EchHandshake refuses from a client', () => {
  const cases: readonly [string, EchErrorCode, number, Uint8Array][] = [
    ['what is no record', 'unexpected-message', ALERTS.unexpected_message, Buffer.from('GET / HTTP/1.1')],
    ['a heartbeat', 'unexpected-message', ALERTS.unexpected_message, wrapRecord(Uint8Array.of(1), 24)],
    [
      'a record of more bytes than there may be',
      'record-overflow',
      ALERTS.record_overflow,
      Uint8Array.of(23, 3, 3, 0x41, 1),
    ],
  ];
  for (const [name, code, alert, bytes] of cases) {
    test(name, () => {
      for (const retried of [false, true]) {
        const { handshake } = start();
        if (retried) pass(handshake.fromBackend(RETRY));
        const { illegal } = handshake.fromClient(Buffer.concat([DATA, bytes]));
        assert.deepEqual(illegal, { kind: 'illegal', code, alert });
      }
    });
  }

  test('another record between the records of a second hello', () => {
    const { handshake, client } = start();
    pass(handshake.fromBackend(RETRY));
    const cut = fragmentRecords(second(client), 100).subarray(0, 105);
    const { illegal } = handshake.fromClient(Buffer.concat([cut, CCS]));
    assert.equal(illegal?.code, 'unexpected-record');
  });

  test('an empty handshake record', () => {
    const { handshake } = start();
    pass(handshake.fromBackend(RETRY));
    assert.equal(handshake.fromClient(wrapRecord(NOTHING)).illegal?.code, 'empty-record');
  });
});
