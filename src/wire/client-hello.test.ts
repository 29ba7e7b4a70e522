import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  buildBody,
  buildClientHello,
  fragmentRecords,
  wrapMessage,
  wrapRecords,
} from '../../test/support/hello-builder.ts';
import { factsOf, hexOf, readHello } from '../../test/support/hello-facts.ts';

const GREASE = [0x0a0a, 0x1a1a, 0x2a2a, 0xfafa] as const;

describe('ClientHello', () => {
  test('gives every part in the order of the client, GREASE included', () => {
    const parts = {
      serverName: 'example.com',
      alpnProtocols: ['\x1a\x1a', 'h2', 'http/1.1'],
      legacyVersion: 0x0303,
      sessionId: Uint8Array.of(9, 8, 7),
      cipherSuites: [GREASE[0], 0xc02f, 0x1301],
      supportedVersions: [GREASE[1], 0x0303, 0x0304, 0x7f1c],
      supportedGroups: [GREASE[2], 0x11ec, 0x001d],
      signatureAlgorithms: [GREASE[3], 0x0804, 0x0403],
      ecPointFormats: [0, 2, 1],
      extensions: [
        { type: GREASE[0], data: new Uint8Array(0) },
        { type: 0xffce, data: Uint8Array.of(1) },
        { type: GREASE[3], data: Uint8Array.of(0) },
      ],
    };
    const hello = readHello(buildClientHello(parts));
    assert.equal(hello.serverName, parts.serverName);
    assert.equal(hello.legacyVersion, parts.legacyVersion);
    assert.deepEqual([...hello.sessionId], [...parts.sessionId]);
    assert.deepEqual(hello.cipherSuites, parts.cipherSuites);
    assert.deepEqual(hello.alpnProtocols, parts.alpnProtocols);
    assert.deepEqual(hello.supportedVersions, parts.supportedVersions);
    assert.deepEqual(hello.supportedGroups, parts.supportedGroups);
    assert.deepEqual(hello.signatureAlgorithms, parts.signatureAlgorithms);
    assert.deepEqual(hello.ecPointFormats, parts.ecPointFormats);
    assert.deepEqual(hello.extensions, [0, 10, 11, 13, 16, 43, GREASE[0], 0xffce, GREASE[3]]);
  });

  test('gives empty lists where the hello has no such extension', () => {
    const bare = {
      supportedVersions: [],
      supportedGroups: [],
      signatureAlgorithms: [],
      sessionId: new Uint8Array(0),
    };
    const hello = readHello(buildClientHello(bare));
    assert.deepEqual(
      [hello.alpnProtocols, hello.supportedVersions, hello.supportedGroups, hello.signatureAlgorithms],
      [[], [], [], []],
    );
    assert.deepEqual([hello.ecPointFormats, hello.extensions, [...hello.sessionId]], [[], [], []]);
    assert.deepEqual([hello.serverName, hello.rawName, hello.ech], [null, null, 'none']);
  });

  test('reads a TLS 1.0 hello that ends before its extensions', () => {
    const body = Uint8Array.from([3, 1, ...new Uint8Array(32), 2, 5, 6, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]);
    const hello = readHello(wrapRecords(wrapMessage(body)));
    assert.equal(hello.legacyVersion, 0x0301);
    assert.deepEqual([...hello.sessionId], [5, 6]);
    assert.deepEqual(hello.cipherSuites, [0x002f, 0x0035]);
    assert.deepEqual([hello.extensions, hello.supportedVersions, hello.serverName], [[], [], null]);
    assert.match(hello.ja4, /^t10i020000_[0-9a-f]{12}_000000000000$/);
  });

  test('takes any legacy version and any list of versions', () => {
    for (const legacyVersion of [0x0000, 0x0002, 0x0300, 0x0304, 0x7f1c, 0xfefd, 0xffff]) {
      const hello = readHello(buildClientHello({ legacyVersion, supportedVersions: [0x0305, 0xffff] }));
      assert.deepEqual([hello.legacyVersion, hello.supportedVersions], [legacyVersion, [0x0305, 0xffff]]);
    }
  });

  test('reads a hello with only TLS 1.3', () => {
    const hello = readHello(buildClientHello({ serverName: 'a.example', supportedVersions: [0x0304] }));
    assert.deepEqual([hello.serverName, hello.supportedVersions], ['a.example', [0x0304]]);
  });

  test('gives ALPN names byte for byte, whatever they are', () => {
    const alpnProtocols = ['\0', '\xff\xfe', 'a\r\nb', '"', 'x'.repeat(255), 'caf\xc3\xa9'];
    assert.deepEqual(readHello(buildClientHello({ alpnProtocols })).alpnProtocols, alpnProtocols);
  });

  test('views the bytes of a hello in one record', () => {
    const stream = buildClientHello({ sessionId: Uint8Array.of(1, 2, 3) });
    const { sessionId } = readHello(stream);
    assert.equal(sessionId.buffer, stream.buffer);
    assert.equal(sessionId.byteOffset, stream.byteOffset + 5 + 4 + 35);
  });

  test('reads from the middle of a larger buffer', () => {
    const stream = buildClientHello({ serverName: 'example.com', alpnProtocols: ['h2'] });
    const larger = new Uint8Array(stream.length + 20).fill(0xee);
    larger.set(stream, 10);
    const hello = readHello(larger.subarray(10, 10 + stream.length));
    assert.deepEqual(factsOf(hello), factsOf(readHello(stream)));
  });

  test('says the same each time it is asked, and gives lists of the caller', () => {
    const hello = readHello(fragmentRecords(buildClientHello({ alpnProtocols: ['h2'] }), 11));
    const facts = factsOf(hello);
    hello.cipherSuites.length = 0;
    hello.alpnProtocols.push('http/1.1');
    hello.extensions.reverse();
    assert.deepEqual(factsOf(hello), facts);
  });

  test('is not confused by extensions whose data look like other extensions', () => {
    const inner = buildBody({ serverName: 'inner.example', alpnProtocols: ['h3'] });
    for (const type of [21, 51, 0x0a0a]) {
      const hello = readHello(
        buildClientHello({ serverName: 'outer.example', extensions: [{ type, data: inner }] }),
      );
      assert.equal(hello.serverName, 'outer.example');
      assert.deepEqual(hello.alpnProtocols, []);
      assert.equal(hexOf(hello.sessionId), '00'.repeat(32));
    }
  });
});
