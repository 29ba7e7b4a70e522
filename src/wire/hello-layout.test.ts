import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  alpnData,
  buildClientHello,
  serverNameData,
  wrapMessage,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import type { ExtensionParts } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { parseHelloLayout } from './hello-layout.ts';
import { parseClientHello } from './hello-reader.ts';

/** legacy_version and random. */
const FIXED = [3, 3, ...new Uint8Array(32)];
/** No session, one suite, the null compression. */
const MIDDLE = [0, 0, 2, 0x13, 0x01, 1, 0];

/** The code for a body, or `complete`. */
function codeOfBody(...body: readonly number[]): string {
  const result = parseClientHello(wrapRecords(wrapMessage(Uint8Array.from(body))));
  return result.kind === 'invalid' ? result.code : result.kind;
}

/** The code for a hello with one extension of its own. */
function codeOfExtension(type: number, ...data: readonly number[]): string {
  return codeOfBody(...FIXED, ...MIDDLE, ...block(type, ...data));
}

function block(type: number, ...data: readonly number[]): number[] {
  const length = data.length + 4;
  return [length >> 8, length & 255, type >> 8, type & 255, data.length >> 8, data.length & 255, ...data];
}

function nameOf(data: Uint8Array): string | null {
  return readHello(buildClientHello({ extensions: [{ type: 0, data }] })).serverName;
}

function echOf(...data: readonly number[]): string {
  const extension = { type: 0xfe0d, data: Uint8Array.from(data) };
  return readHello(buildClientHello({ serverName: 'outer.example', extensions: [extension] })).ech;
}

describe('parseHelloLayout() about the fixed part', () => {
  test('takes a hello that ends before its extensions, or has an empty block of them', () => {
    assert.equal(codeOfBody(...FIXED, ...MIDDLE), 'complete');
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0, 0), 'complete');
  });

  test('refuses a body that ends anywhere else', () => {
    const body = [...FIXED, ...MIDDLE, ...block(0, ...serverNameData('example.com'))];
    assert.equal(codeOfBody(...body), 'complete');
    const ends = Array.from(body.keys()).filter(end => end !== FIXED.length + MIDDLE.length);
    for (const end of ends) assert.equal(codeOfBody(...body.slice(0, end)), 'bad-length', `${end} bytes`);
  });

  test('refuses a session id of more than 32 bytes', () => {
    const rest = MIDDLE.slice(1);
    assert.equal(codeOfBody(...FIXED, 32, ...new Uint8Array(32), ...rest), 'complete');
    assert.equal(codeOfBody(...FIXED, 33, ...new Uint8Array(33), ...rest), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 255, ...new Uint8Array(255), ...rest), 'bad-length');
  });

  test('refuses no or half cipher suites, and no compression methods', () => {
    assert.equal(codeOfBody(...FIXED, 0, 0, 0, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0, 1, 0x13, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0, 3, 0x13, 1, 0x13, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0, 2, 0x13, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0, 2, 0x13, 1, 2, 1, 0), 'complete');
  });

  test('refuses each length that runs past the message', () => {
    assert.equal(codeOfBody(...FIXED, 9, 0, 2, 0x13, 1, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0xff, 0xfe, 0x13, 1, 1, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, 0, 0, 2, 0x13, 1, 9, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0, 1), 'bad-length');
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0xff, 0xff, 0, 0, 0, 0), 'bad-length');
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0), 'bad-length');
  });

  test('refuses bytes behind the extensions', () => {
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0, 0, 0), 'trailing-bytes');
    assert.equal(codeOfBody(...FIXED, ...MIDDLE, ...block(0x1234), 0), 'trailing-bytes');
  });

  test('refuses an extension that is cut short', () => {
    for (const bytes of [[0], [0, 5], [0, 5, 0], [0, 5, 0, 1], [0x12, 0x34, 0xff, 0xff, 0]]) {
      assert.equal(codeOfBody(...FIXED, ...MIDDLE, 0, bytes.length, ...bytes), 'bad-length', String(bytes));
    }
  });

  test('finds where the parts are', () => {
    const body = Uint8Array.of(
      ...FIXED,
      1,
      7,
      ...MIDDLE.slice(1),
      ...block(0, ...serverNameData('A.example.')),
    );
    assert.deepEqual(parseHelloLayout(body), {
      serverName: 'a.example',
      rawName: null,
      ech: 'none',
      versionsOffset: 0,
      echOffset: 0,
      ciphersOffset: 36,
      extensionsOffset: 44,
    });
    assert.deepEqual(parseHelloLayout(Uint8Array.of(...FIXED, ...MIDDLE)), {
      serverName: null,
      rawName: null,
      ech: 'none',
      versionsOffset: 0,
      echOffset: 0,
      ciphersOffset: 35,
      extensionsOffset: 41,
    });
  });
});

describe('parseHelloLayout() about extensions', () => {
  test('ignores unknown ones, empty ones and GREASE', () => {
    const types = [0x0a0a, 0x1a1a, 0xfafa, 0xffff, 0x4469, 0xff01, 21, 35, 41, 42, 51];
    const extensions = types.map((type, at) => ({ type, data: new Uint8Array(at) }));
    const hello = readHello(buildClientHello({ serverName: 'example.com', extensions }));
    assert.equal(hello.serverName, 'example.com');
    assert.deepEqual(hello.extensions.slice(-types.length), types);
  });

  test('refuses any type twice, known, unknown or GREASE, apart or side by side', () => {
    const other: ExtensionParts = { type: 0x7777, data: new Uint8Array(3) };
    const name: ExtensionParts = { type: 0, data: serverNameData('a.example') };
    for (const one of [
      name,
      { type: 16, data: alpnData('h2') },
      { type: 0x0a0a, data: new Uint8Array(0) },
      { type: 0xffff, data: Uint8Array.of(1) },
    ]) {
      for (const extensions of [
        [one, one],
        [one, other, one],
      ]) {
        const result = parseClientHello(buildClientHello({ extensions }));
        assert.ok(result.kind === 'invalid', String(one.type));
        assert.equal(result.code, 'duplicate-extension');
      }
    }
  });

  test('counts before it looks for duplicates', () => {
    const extensions = Array.from({ length: 1024 }, (_, at) => ({
      type: 0x1000 + at,
      data: new Uint8Array(0),
    }));
    const result = parseClientHello(buildClientHello({ extensions }));
    assert.ok(result.kind === 'invalid');
    assert.equal(result.code, 'too-many-extensions');
  });

  test('checks the lists of numbers: not empty, no half number, no bytes behind', () => {
    for (const type of [10, 13]) {
      assert.equal(codeOfExtension(type, 0, 2, 0, 29), 'complete');
      assert.equal(codeOfExtension(type), 'bad-length');
      assert.equal(codeOfExtension(type, 0), 'bad-length');
      assert.equal(codeOfExtension(type, 0, 0), 'bad-length');
      assert.equal(codeOfExtension(type, 0, 1, 0), 'bad-length');
      assert.equal(codeOfExtension(type, 0, 3, 0, 29, 0), 'bad-length');
      assert.equal(codeOfExtension(type, 0, 4, 0, 29), 'bad-length');
      assert.equal(codeOfExtension(type, 0, 2, 0, 29, 0), 'trailing-bytes');
    }
    assert.equal(codeOfExtension(43, 2, 3, 4), 'complete');
    assert.equal(codeOfExtension(43), 'bad-length');
    assert.equal(codeOfExtension(43, 0), 'bad-length');
    assert.equal(codeOfExtension(43, 1, 3), 'bad-length');
    assert.equal(codeOfExtension(43, 4, 3, 4), 'bad-length');
    assert.equal(codeOfExtension(43, 2, 3, 4, 3), 'trailing-bytes');
    assert.equal(codeOfExtension(11, 1, 0), 'complete');
    assert.equal(codeOfExtension(11, 3, 0, 1, 2), 'complete');
    assert.equal(codeOfExtension(11), 'bad-length');
    assert.equal(codeOfExtension(11, 0), 'bad-length');
    assert.equal(codeOfExtension(11, 2, 0), 'bad-length');
    assert.equal(codeOfExtension(11, 1, 0, 1), 'trailing-bytes');
  });

  test('checks the list of ALPN names: not empty, nor any of them, each within the list', () => {
    assert.equal(codeOfExtension(16, ...alpnData('h2')), 'complete');
    assert.equal(codeOfExtension(16, ...alpnData('x'.repeat(255), 'h2')), 'complete');
    assert.equal(codeOfExtension(16), 'bad-length');
    assert.equal(codeOfExtension(16, 0, 0), 'bad-length');
    assert.equal(codeOfExtension(16, ...alpnData('')), 'bad-length');
    assert.equal(codeOfExtension(16, ...alpnData('h2', '')), 'bad-length');
    assert.equal(codeOfExtension(16, 0, 3, 3, 0x68, 0x32), 'bad-length');
    assert.equal(codeOfExtension(16, 0, 4, 2, 0x68, 0x32), 'bad-length');
    assert.equal(codeOfExtension(16, 0, 3, 2, 0x68, 0x32, 0), 'trailing-bytes');
  });
});

describe('parseHelloLayout() about server_name', () => {
  test('reads the one host_name', () => {
    assert.equal(nameOf(serverNameData('WWW.Example.com.')), 'www.example.com');
    const longest = `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}`;
    assert.equal(nameOf(serverNameData(`${longest}.`)), longest);
  });

  test('finds no name in an empty list, nor in entries of other types', () => {
    assert.equal(nameOf(Uint8Array.of(0, 0)), null);
    assert.equal(nameOf(Uint8Array.of(0, 4, 1, 0, 1, 0x61)), null);
    assert.equal(nameOf(Uint8Array.of(0, 3, 255, 0, 0)), null);
    assert.equal(nameOf(Uint8Array.of(0, 7, 1, 0, 0, 0, 0, 1, 0x61)), 'a');
    assert.equal(nameOf(Uint8Array.of(0, 7, 0, 0, 1, 0x61, 1, 0, 0)), 'a');
  });

  test('refuses a second host_name, even the same, an IP literal or one behind another type', () => {
    for (const names of [
      ['a.example', 'b.example'],
      ['a.example', 'a.example'],
      ['127.0.0.1', 'a.example'],
      ['a.example', '127.0.0.1'],
      ['a.example', ''],
    ]) {
      assert.equal(codeOfExtension(0, ...serverNameData(...names)), 'two-names', String(names));
    }
    assert.equal(codeOfExtension(0, 0, 11, 0, 0, 1, 0x61, 9, 0, 0, 0, 0, 1, 0x62), 'two-names');
  });

  test('refuses lengths that disagree', () => {
    assert.equal(codeOfExtension(0), 'bad-length');
    assert.equal(codeOfExtension(0, 0), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 5, 0, 0, 1, 0x61), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 4, 0, 0, 2, 0x61), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 1, 0), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 2, 1, 0), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 4, 9, 0, 2, 0x61), 'bad-length');
    assert.equal(codeOfExtension(0, 0, 4, 0, 0, 1, 0x61, 0), 'trailing-bytes');
    assert.equal(codeOfExtension(0, 0, 0, 0), 'trailing-bytes');
  });

  test('never reads a name beyond its extension', () => {
    // The list announces what follows its extension.
    const body = [...FIXED, ...MIDDLE, 0, 14, 0, 0, 0, 6, 0, 8, 0, 0, 5, 0x61, 0x12, 0x34, 0, 0];
    assert.equal(codeOfBody(...body), 'bad-length');
  });

  test('keeps the bytes of an IP literal, which is no name', () => {
    for (const literal of [
      '127.0.0.1',
      '127.1',
      '0177.0.0.1',
      '0x7f.1',
      '2130706433',
      '::1',
      '[2001:DB8::1]',
      '::ffff:127.0.0.1',
      'fe80::1%eth0',
      '192.0.2.1.',
    ]) {
      const hello = readHello(buildClientHello({ serverName: literal }));
      assert.equal(hello.serverName, null, literal);
      assert.ok(hello.rawName !== null, literal);
      assert.equal(Buffer.from(hello.rawName).toString(), literal);
    }
    assert.equal(readHello(buildClientHello({ serverName: 'a.example' })).rawName, null);
    assert.equal(readHello(buildClientHello({ serverName: null })).rawName, null);
  });
});

describe('parseHelloLayout() about encrypted_client_hello', () => {
  test('tells outer from inner', () => {
    assert.equal(echOf(0, 0, 1, 0, 1, 9, 0, 0, 0, 0), 'outer');
    assert.equal(echOf(0), 'outer');
    assert.equal(echOf(1), 'inner');
  });

  test('judges nothing else there', () => {
    for (const data of [[], [1, 0], [2], [255, 1, 2]]) assert.equal(echOf(...data), 'none', String(data));
    assert.equal(readHello(buildClientHello({})).ech, 'none');
  });
});
