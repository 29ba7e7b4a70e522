/** Each code of refusal, provoked by one stream made for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  buildBody,
  buildClientHello,
  fragmentRecords,
  serverNameData,
  wrapMessage,
  wrapRecord,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import type { ExtensionParts } from '../../test/support/hello-builder.ts';
import { describeResult, readByteByByte } from '../../test/support/hello-facts.ts';
import { HELLO_EXTENSIONS_MAX, HELLO_RECORDS_MAX, LOGGED_BYTES_MAX } from '../limits.ts';
import type { HelloErrorCode } from './hello-error.ts';
import { HelloReader, parseClientHello } from './hello-reader.ts';
import { ALERTS } from './tls-alert.ts';
import type { AlertName } from './tls-alert.ts';

const EMPTY = new Uint8Array(0);
const MESSAGE = wrapMessage(buildBody({ serverName: 'example.com' }));

function withExtensions(...extensions: readonly ExtensionParts[]): Uint8Array {
  return buildClientHello({ extensions });
}

function withNames(...names: readonly string[]): Uint8Array {
  return withExtensions({ type: 0, data: serverNameData(...names) });
}

function manyExtensions(count: number): Uint8Array {
  return withExtensions(...Array.from({ length: count }, (_, at) => ({ type: 0x1000 + at, data: EMPTY })));
}

function inManyRecords(): Uint8Array {
  const padding = { type: 21, data: new Uint8Array(HELLO_RECORDS_MAX) };
  return fragmentRecords(withExtensions(padding), 1);
}

const PROVOKED: Readonly<Record<HelloErrorCode, { stream: Uint8Array; alert: AlertName; rawName?: string }>> =
  {
    'not-tls': { stream: Buffer.from('GET / HTTP/1.1\r\n\r\n'), alert: 'unexpected_message' },
    'unexpected-record': { stream: wrapRecord(Uint8Array.of(2, 40), 21), alert: 'unexpected_message' },
    'record-version': { stream: Uint8Array.of(22, 2, 0, 0, 9), alert: 'protocol_version' },
    'record-overflow': { stream: Uint8Array.of(22, 3, 1, 0x40, 0x01), alert: 'record_overflow' },
    'empty-record': { stream: wrapRecord(EMPTY), alert: 'unexpected_message' },
    'too-many-records': { stream: inManyRecords(), alert: 'illegal_parameter' },
    'not-client-hello': { stream: wrapRecord(wrapMessage(buildBody({}), 2)), alert: 'unexpected_message' },
    'hello-too-large': { stream: wrapRecord(Uint8Array.of(1, 0xff, 0xff, 0xff)), alert: 'illegal_parameter' },
    'second-message': { stream: wrapRecord(Uint8Array.of(...MESSAGE, 0)), alert: 'unexpected_message' },
    'trailing-bytes': {
      stream: wrapRecord(wrapMessage(Uint8Array.of(...buildBody({}), 0))),
      alert: 'decode_error',
    },
    'bad-length': { stream: wrapRecord(wrapMessage(EMPTY)), alert: 'decode_error' },
    'duplicate-extension': {
      stream: withExtensions({ type: 0x1234, data: EMPTY }, { type: 0x1234, data: EMPTY }),
      alert: 'illegal_parameter',
    },
    'too-many-extensions': { stream: manyExtensions(HELLO_EXTENSIONS_MAX), alert: 'decode_error' },
    'two-names': { stream: withNames('a.example', 'b.example'), alert: 'illegal_parameter' },
    'empty-name': { stream: withNames(''), alert: 'decode_error', rawName: '' },
    'bad-name': { stream: withNames('a b'), alert: 'illegal_parameter', rawName: 'a b' },
    'name-too-long': { stream: withNames('a'.repeat(64)), alert: 'decode_error', rawName: 'a'.repeat(64) },
  };

describe('parseClientHello()', () => {
  for (const [code, { stream, alert, rawName }] of Object.entries(PROVOKED)) {
    test(`refuses with ${code} and ${alert}`, () => {
      const result = parseClientHello(stream);
      assert.ok(result.kind === 'invalid', describeResult(result));
      assert.deepEqual([result.code, result.alert], [code, ALERTS[alert]]);
      assert.equal(
        result.rawName === undefined ? undefined : Buffer.from(result.rawName).toString(),
        rawName,
      );
    });

    test(`refuses with ${code} byte by byte just so`, () => {
      assert.equal(describeResult(readByteByByte(stream)), describeResult(parseClientHello(stream)));
    });
  }

  test('takes a hello at each of the bounds that these streams break', () => {
    // buildClientHello() brings three extensions of its own.
    assert.equal(parseClientHello(manyExtensions(HELLO_EXTENSIONS_MAX - 3)).kind, 'complete');
    const bare = MESSAGE.length;
    const padding = { type: 21, data: new Uint8Array(HELLO_RECORDS_MAX - bare - 4) };
    const message = wrapMessage(buildBody({ serverName: 'example.com', extensions: [padding] }));
    assert.equal(message.length, HELLO_RECORDS_MAX);
    assert.equal(parseClientHello(wrapRecords(message, 1)).kind, 'complete');
  });

  test('copies at most the first bytes of a refused name', () => {
    const stream = withNames(`${'x'.repeat(300)}!`);
    const result = parseClientHello(stream);
    stream.fill(0);
    assert.ok(result.kind === 'invalid' && result.rawName !== undefined);
    assert.equal(Buffer.from(result.rawName).toString(), 'x'.repeat(LOGGED_BYTES_MAX));
  });
});

test('HelloReader stays with its refusal, whatever comes later', () => {
  for (const { stream } of Object.values(PROVOKED)) {
    const reader = new HelloReader();
    const refused = reader.read(stream);
    assert.equal(reader.read(Buffer.concat([stream, wrapRecord(MESSAGE)])), refused);
  }
});
