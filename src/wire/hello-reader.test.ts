import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  alpnData,
  buildBody,
  buildClientHello,
  fragmentRecords,
  serverNameData,
  unwrapRecords,
  wrapMessage,
  wrapRecord,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import {
  assertEverySplit,
  assertSameInRecords,
  describeResult,
  factsOf,
  readByteByByte,
  readComplete,
  readHello,
  readUpTo,
} from '../../test/support/hello-facts.ts';
import { HELLO_BYTES_MAX, HELLO_RECORDS_MAX, HELLO_STREAM_BYTES_MAX } from '../limits.ts';
import { HelloReader, parseClientHello } from './hello-reader.ts';

const HELLO = buildClientHello({ serverName: 'example.com', alpnProtocols: ['h2', 'http/1.1'] });
const LEGACY_BODY = Uint8Array.from([3, 1, ...new Uint8Array(32), 0, 0, 2, 0, 0x2f, 1, 0]);
const POST_QUANTUM = buildClientHello({
  serverName: 'example.com',
  supportedGroups: [0x11ec, 0x001d],
  extensions: [{ type: 51, data: new Uint8Array(1216 + 6).fill(7) }],
});

/** A hello whose body has exactly this many bytes. */
function helloOf(bodyBytes: number): Uint8Array {
  const bare = buildBody({ serverName: 'example.com' }).length;
  const padding = { type: 21, data: new Uint8Array(bodyBytes - bare - 4) };
  const body = buildBody({ serverName: 'example.com', extensions: [padding] });
  assert.equal(body.length, bodyBytes);
  return wrapMessage(body);
}

function codeOf(stream: Uint8Array): string {
  const result = parseClientHello(stream);
  assert.equal(describeResult(readByteByByte(stream)), describeResult(result));
  return result.kind === 'invalid' ? result.code : result.kind;
}

describe('HelloReader over TCP segments', () => {
  test('finds the same hello at every split, and nothing before its last byte', () => {
    assertEverySplit(HELLO);
    assertEverySplit(wrapRecords(wrapMessage(LEGACY_BODY)));
    assertEverySplit(POST_QUANTUM);
    for (const payloadMax of [1, 3, 4, 5, 50]) assertEverySplit(fragmentRecords(HELLO, payloadMax));
  });

  test('finds the same hello when the receive buffer moves and its old place is overwritten', () => {
    for (const stream of [HELLO, fragmentRecords(HELLO, 7)]) {
      const reader = new HelloReader();
      for (let end = 0; end < stream.length; end++) {
        const segment = Uint8Array.from(stream.subarray(0, end));
        assert.equal(reader.read(segment).kind, 'incomplete');
        segment.fill(0xff);
      }
      assert.equal(describeResult(reader.read(stream)), describeResult(readComplete(stream)));
    }
  });

  test('is incomplete for an empty stream, and for the same bytes again', () => {
    assert.equal(parseClientHello(new Uint8Array(0)).kind, 'incomplete');
    const reader = new HelloReader();
    for (const end of [0, 0, 3, 3, 9, 9, 60, 60]) {
      assert.equal(reader.read(HELLO.subarray(0, end)).kind, 'incomplete');
    }
    assert.equal(reader.read(HELLO).kind, 'complete');
  });

  test('leaves alone what comes behind the hello', () => {
    for (const stream of [HELLO, fragmentRecords(HELLO, 9)]) {
      for (const more of [[0], [23, 3, 3, 0, 1, 0], [0x14, 3, 3, 0, 1, 1], [...HELLO], [0xff]]) {
        const result = readComplete(Uint8Array.of(...stream, ...more));
        assert.equal(result.consumed, stream.length);
        assert.deepEqual(factsOf(result.hello), factsOf(readHello(stream)));
      }
    }
  });

  test('touches each byte of a 64 KiB hello a bounded number of times when it comes byte by byte', t => {
    const stream = wrapRecords(helloOf(HELLO_BYTES_MAX), 9);
    let touched = 0;
    let received = 0;
    const counting = new Proxy(stream, {
      get(target, key) {
        if (key === 'length') return received;
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value === 'number') touched++;
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
    const copy: unknown = Reflect.get(typedArray, 'set');
    assert.ok(typeof copy === 'function');
    t.mock.method(typedArray, 'set', function set(this: Uint8Array, from: Uint8Array, at: number) {
      touched += from.length;
      Reflect.apply(copy, this, [from, at]);
    });
    const reader = new HelloReader();
    for (; received < stream.length; received++) assert.equal(reader.read(counting).kind, 'incomplete');
    const result = reader.read(counting);
    assert.ok(result.kind === 'complete');
    assert.equal(result.hello.serverName, 'example.com');
    assert.ok(touched >= stream.length / 2, `${touched} counted`);
    assert.ok(touched <= 8 * stream.length, `${touched} for ${stream.length} bytes`);
  });
});

describe('HelloReader over TLS records', () => {
  test('joins one byte per record, and any other size', () => {
    for (const payloadMax of [1, 2, 3, 4, 5, 6, 37, 38, 39, 100]) assertSameInRecords(HELLO, payloadMax);
    assertSameInRecords(POST_QUANTUM, 1);
    assertSameInRecords(wrapRecords(wrapMessage(LEGACY_BODY)), 1);
  });

  test('joins two records, wherever the message is cut', () => {
    const message = unwrapRecords(HELLO);
    const facts = factsOf(readHello(HELLO));
    for (let cut = 1; cut < message.length; cut++) {
      const stream = Buffer.concat([wrapRecord(message.subarray(0, cut)), wrapRecord(message.subarray(cut))]);
      assert.deepEqual(factsOf(readHello(stream)), facts, `cut at ${cut}`);
      assert.equal(describeResult(readByteByByte(stream)), describeResult(readComplete(stream)));
    }
  });

  test('joins 40 records', () => {
    const message = unwrapRecords(HELLO);
    const stream = fragmentRecords(HELLO, Math.ceil(message.length / 40));
    const records = (stream.length - message.length) / 5;
    assert.ok(records > 35 && records <= 40, `${records} records`);
    assert.equal(readHello(stream).serverName, 'example.com');
  });

  test('takes any minor version of a record, and no other major one', () => {
    for (let byte = 0; byte < 256; byte++) {
      const minor = Uint8Array.from(HELLO);
      minor[2] = byte;
      assert.equal(readHello(minor).serverName, 'example.com', `minor ${byte}`);
      const major = Uint8Array.from(HELLO);
      major[1] = byte;
      assert.equal(codeOf(major), byte === 3 ? 'complete' : 'record-version', `major ${byte}`);
    }
    const second = Buffer.concat([wrapRecord(HELLO.subarray(5, 50)), Uint8Array.of(22, 4)]);
    assert.equal(codeOf(second), 'record-version');
  });

  test('tells by the very first byte what is no TLS', () => {
    for (let byte = 0; byte < 256; byte++) {
      const expected =
        byte === 22 ? 'incomplete' : byte >= 20 && byte <= 24 ? 'unexpected-record' : 'not-tls';
      assert.equal(codeOf(Uint8Array.of(byte)), expected, `byte ${byte}`);
    }
  });

  test('refuses other records between the fragments, by their first byte', () => {
    const message = unwrapRecords(HELLO);
    const first = wrapRecord(message.subarray(0, 40));
    for (const type of [20, 21, 23, 24, 0, 255]) {
      const stream = Buffer.concat([
        first,
        wrapRecord(Uint8Array.of(1), type),
        wrapRecord(message.subarray(40)),
      ]);
      assert.equal(codeOf(stream), 'unexpected-record', `type ${type}`);
      assert.equal(codeOf(stream.subarray(0, first.length + 1)), 'unexpected-record', `type ${type}`);
    }
  });

  test('refuses an empty record, first or between the fragments, by its header', () => {
    const message = unwrapRecords(HELLO);
    const first = wrapRecord(message.subarray(0, 40));
    assert.equal(codeOf(Uint8Array.of(22, 3, 1, 0, 0)), 'empty-record');
    assert.equal(codeOf(Buffer.concat([first, Uint8Array.of(22, 3, 1, 0, 0)])), 'empty-record');
  });

  test('takes a record of 2^14 bytes and refuses a longer one by its header', () => {
    const message = helloOf(16_384 - 4);
    assert.equal(readHello(wrapRecord(message)).serverName, 'example.com');
    assert.equal(codeOf(wrapRecord(helloOf(16_385 - 4))), 'record-overflow');
    for (const [high, low] of [
      [0x40, 0x01],
      [0x48, 0x00],
      [0xff, 0xff],
    ] as const) {
      assert.equal(codeOf(Uint8Array.of(22, 3, 1, high, low)), 'record-overflow');
    }
  });

  test('refuses more records than the bound, and takes as many', () => {
    const message = helloOf(HELLO_RECORDS_MAX - 4);
    assert.equal(readHello(wrapRecords(message, 1)).serverName, 'example.com');
    const one = wrapRecords(helloOf(HELLO_RECORDS_MAX - 3), 1);
    assert.equal(codeOf(one), 'too-many-records');
    assert.equal(parseClientHello(one.subarray(0, 6 * HELLO_RECORDS_MAX + 4)).kind, 'incomplete');
    assert.equal(codeOf(one.subarray(0, 6 * HELLO_RECORDS_MAX + 5)), 'too-many-records');
  });
});

describe('HelloReader about the message', () => {
  test('takes 64 KiB, and refuses more on the header, before any of it has come', () => {
    const stream = wrapRecords(helloOf(HELLO_BYTES_MAX));
    assert.equal(readHello(stream).serverName, 'example.com');
    for (const length of [HELLO_BYTES_MAX + 1, 0x02_0000, 0xff_ffff]) {
      const header = [1, length >> 16, (length >> 8) & 255, length & 255];
      assert.equal(codeOf(Uint8Array.of(22, 3, 1, 0x40, 0, ...header)), 'hello-too-large', String(length));
      assert.equal(codeOf(wrapRecords(Uint8Array.from(header), 1)), 'hello-too-large', `${length} split`);
    }
    const allowed = Uint8Array.of(22, 3, 1, 0x40, 0, 1, 1, 0, 0);
    assert.equal(codeOf(allowed), 'incomplete');
  });

  test('never needs more of the stream than HELLO_STREAM_BYTES_MAX', () => {
    const size = Math.ceil((HELLO_BYTES_MAX + 4) / HELLO_RECORDS_MAX);
    const longest = wrapRecords(helloOf(HELLO_BYTES_MAX), size);
    assert.ok(longest.length <= HELLO_STREAM_BYTES_MAX);
    const step = 997;
    const ends = Array.from({ length: Math.ceil(longest.length / step) }, (_, at) => at * step);
    assert.equal(readUpTo(longest, ends).kind, 'complete');
  });

  test('refuses any other first message by its first byte', () => {
    for (let type = 0; type < 256; type++) {
      const expected = type === 1 ? 'incomplete' : 'not-client-hello';
      assert.equal(codeOf(Uint8Array.of(22, 3, 1, 0, 9, type)), expected, `type ${type}`);
    }
  });

  test('refuses bytes behind the message in its record, as soon as the header tells', () => {
    const message = unwrapRecords(HELLO);
    const second = wrapMessage(buildBody({ serverName: 'other.example' }));
    for (const more of [Uint8Array.of(0), second]) {
      const stream = wrapRecord(Buffer.concat([message, more]));
      assert.equal(codeOf(stream), 'second-message');
      assert.equal(codeOf(stream.subarray(0, 9)), 'second-message');
      const fragments = Buffer.concat([
        wrapRecord(message.subarray(0, 60)),
        wrapRecord(Buffer.concat([message.subarray(60), more])),
      ]);
      assert.equal(codeOf(fragments), 'second-message');
      assert.equal(codeOf(fragments.subarray(0, 65 + 6)), 'second-message');
    }
  });

  test('takes 1000 extensions and 500 ALPN names', () => {
    const extensions = Array.from({ length: 1000 }, (_, at) => ({
      type: 0x2000 + at,
      data: Uint8Array.of(at & 255),
    }));
    const alpnProtocols = Array.from({ length: 500 }, (_, at) => `protocol-${at}`);
    const stream = buildClientHello({ serverName: 'example.com', alpnProtocols, extensions });
    const hello = readHello(stream);
    assert.equal(hello.serverName, 'example.com');
    assert.deepEqual(hello.alpnProtocols, alpnProtocols);
    assert.equal(hello.extensions.length, 1005);
    assert.equal(describeResult(readByteByByte(stream)), describeResult(readComplete(stream)));
  });

  test('knows the types of one hello only, after many hellos', () => {
    const twice = { type: 16, data: alpnData('h2') };
    for (let round = 0; round < 300; round++) {
      assert.equal(parseClientHello(HELLO).kind, 'complete');
      const other = buildClientHello({ extensions: [{ type: 0, data: serverNameData('a') }, twice] });
      assert.equal(readHello(other).serverName, 'a');
      assert.equal(codeOf(buildClientHello({ extensions: [twice, twice] })), 'duplicate-extension');
    }
  });
});
