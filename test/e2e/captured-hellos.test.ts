/** ClientHellos of real clients: parsed, cut everywhere, spread over records, and shown to OpenSSL's own parser. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { captureNodeHello, captureProgramHello } from '../support/captures.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { assertEverySplit, assertSameInRecords, readHello } from '../support/hello-facts.ts';
import { startHelloJudge } from '../support/hello-judge.ts';
import { needs } from '../support/programs.ts';
import { createTrustedAuthority, startTlsBackend } from '../support/tls-backends.ts';
import type { ClientHello } from '../../src/wire/client-hello.ts';

const NAME = 'www.example.com';
const TLS12 = 0x0303;
const TLS13 = 0x0304;
const X25519 = 0x001d;

interface Expected {
  readonly serverName: string | null;
  readonly alpnProtocols: readonly string[];
  /** Highest version offered. */
  readonly version: number;
}

/** Checks one captured stream in every way, and gives its hello. */
async function examine(t: TestContext, stream: Uint8Array, expected: Expected): Promise<ClientHello> {
  const hello = readHello(stream);
  assert.equal(hello.serverName, expected.serverName);
  assert.deepEqual(hello.alpnProtocols, expected.alpnProtocols);
  assert.equal(Math.max(hello.legacyVersion, ...hello.supportedVersions), expected.version);
  assertEverySplit(stream);
  for (const payloadMax of [1, 2, 7, 100]) assertSameInRecords(stream, payloadMax);
  const judge = await startHelloJudge(t);
  const { names, protocols } = await judge.judge(stream);
  assert.deepEqual(names, expected.serverName === null ? [] : [expected.serverName]);
  assert.deepEqual(protocols, expected.alpnProtocols.length === 0 ? [] : [expected.alpnProtocols]);
  return hello;
}

function openssl(...options: readonly string[]): [string, ...string[]] {
  return ['openssl', 's_client', '-connect', '127.0.0.1:{port}', ...options];
}

function curl(...options: readonly string[]): [string, ...string[]] {
  const url = `https://${NAME}:{port}/`;
  return [
    'curl',
    '--silent',
    '--insecure',
    '--noproxy',
    '*',
    '--connect-to',
    '::127.0.0.1:{port}',
    ...options,
    url,
  ];
}

function gnutls(...options: readonly string[]): [string, ...string[]] {
  return ['gnutls-cli', '--insecure', '--port', '{port}', ...options, '127.0.0.1'];
}

describe('the hello of openssl s_client', () => {
  test('with defaults and a name', needs('openssl'), async t => {
    const stream = await captureProgramHello(t, openssl('-servername', NAME));
    await examine(t, stream, { serverName: NAME, alpnProtocols: [], version: TLS13 });
  });

  test('without a name', needs('openssl'), async t => {
    const stream = await captureProgramHello(t, openssl('-noservername', '-alpn', 'h2'));
    await examine(t, stream, { serverName: null, alpnProtocols: ['h2'], version: TLS13 });
  });

  test('with TLS 1.2 only has no supported_versions', needs('openssl'), async t => {
    const stream = await captureProgramHello(
      t,
      openssl('-servername', NAME, '-tls1_2', '-alpn', 'h2,http/1.1'),
    );
    const hello = await examine(t, stream, {
      serverName: NAME,
      alpnProtocols: ['h2', 'http/1.1'],
      version: TLS12,
    });
    assert.deepEqual(hello.supportedVersions, []);
  });

  test('with TLS 1.3 only, one group, one suite, one algorithm', needs('openssl'), async t => {
    const suite = ['-ciphersuites', 'TLS_AES_256_GCM_SHA384', '-sigalgs', 'ecdsa_secp256r1_sha256'];
    const stream = await captureProgramHello(
      t,
      openssl('-servername', NAME, '-tls1_3', '-groups', 'X25519', ...suite),
    );
    const hello = await examine(t, stream, { serverName: NAME, alpnProtocols: [], version: TLS13 });
    assert.deepEqual(hello.supportedVersions, [TLS13]);
    assert.deepEqual(hello.supportedGroups, [X25519]);
    assert.deepEqual(hello.cipherSuites, [0x1302, 0x00ff]);
    assert.deepEqual(hello.signatureAlgorithms, [0x0403]);
  });
});

describe('the hello of curl', () => {
  test('with HTTP/1.1', needs('curl'), async t => {
    const stream = await captureProgramHello(t, curl('--http1.1'));
    await examine(t, stream, { serverName: NAME, alpnProtocols: ['http/1.1'], version: TLS13 });
  });

  test('with HTTP/2 and at most TLS 1.2', needs('curl'), async t => {
    const stream = await captureProgramHello(t, curl('--http2', '--tls-max', '1.2'));
    await examine(t, stream, { serverName: NAME, alpnProtocols: ['h2', 'http/1.1'], version: TLS12 });
  });

  test('without ALPN', needs('curl'), async t => {
    const stream = await captureProgramHello(t, curl('--no-alpn'));
    await examine(t, stream, { serverName: NAME, alpnProtocols: [], version: TLS13 });
  });
});

describe('the hello of gnutls-cli', () => {
  test('with a name and ALPN', needs('gnutls-cli'), async t => {
    const stream = await captureProgramHello(
      t,
      gnutls('--sni-hostname', NAME, '--alpn', 'h2', '--alpn', 'http/1.1'),
    );
    await examine(t, stream, { serverName: NAME, alpnProtocols: ['h2', 'http/1.1'], version: TLS13 });
  });

  test('with TLS 1.2 only', needs('gnutls-cli'), async t => {
    const priority = ['--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.2'];
    const stream = await captureProgramHello(t, gnutls('--sni-hostname', NAME, ...priority));
    await examine(t, stream, { serverName: NAME, alpnProtocols: [], version: TLS12 });
  });
});

describe("the hello of Node's TLS client", () => {
  const cases: readonly (readonly [string, ConnectionOptions, Expected])[] = [
    ['with defaults', { servername: NAME }, { serverName: NAME, alpnProtocols: [], version: TLS13 }],
    ['without a name', {}, { serverName: null, alpnProtocols: [], version: TLS13 }],
    [
      'with TLS 1.2 only',
      { servername: NAME, maxVersion: 'TLSv1.2' },
      { serverName: NAME, alpnProtocols: [], version: TLS12 },
    ],
    [
      'with TLS 1.3 only',
      { servername: NAME, minVersion: 'TLSv1.3' },
      { serverName: NAME, alpnProtocols: [], version: TLS13 },
    ],
    [
      'with many ALPN names',
      { servername: NAME, ALPNProtocols: ['h2', 'http/1.1', 'acme-tls/1', 'x'.repeat(200)] },
      { serverName: NAME, alpnProtocols: ['h2', 'http/1.1', 'acme-tls/1', 'x'.repeat(200)], version: TLS13 },
    ],
    [
      'with the longest name',
      { servername: `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}` },
      { serverName: `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}`, alpnProtocols: [], version: TLS13 },
    ],
  ];
  for (const [claim, options, expected] of cases) {
    test(claim, async t => {
      await examine(t, await captureNodeHello(t, options), expected);
    });
  }

  test('with X25519 only', async t => {
    const stream = await captureNodeHello(t, { servername: NAME, ecdhCurve: 'X25519' });
    const hello = await examine(t, stream, { serverName: NAME, alpnProtocols: [], version: TLS13 });
    assert.deepEqual(hello.supportedGroups, [X25519]);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`resuming a ${version} session by its ticket`, async t => {
      const authority = await createTrustedAuthority(t);
      const backend = await startTlsBackend(t, authority, { name: NAME, serve: socket => socket.end('x') });
      const limits = { servername: NAME, maxVersion: version } as const;
      const client = connect({ host: '127.0.0.1', port: backend.port, ca: authority.ca, ...limits });
      t.after(() => client.destroy());
      const [session] = (await once(client, 'session')) as [Buffer];
      const stream = await captureNodeHello(t, { ...limits, ca: authority.ca, session });
      const expected = {
        serverName: NAME,
        alpnProtocols: [],
        version: version === 'TLSv1.2' ? TLS12 : TLS13,
      };
      const hello = await examine(t, stream, expected);
      // session_ticket or pre_shared_key, the latter at the end (RFC 8446 section 4.2.11).
      if (version === 'TLSv1.2') assert.ok(hello.extensions.includes(35));
      else assert.equal(hello.extensions.at(-1), 41);
      assert.ok(stream.length > 350, `${stream.length} bytes`);
    });
  }
});

test('a hello as large as those of browsers with post-quantum key shares', async t => {
  // Two shares, of X25519MLKEM768 and X25519, behind GREASE: more than one TCP segment.
  const shares = [0x0a, 0x0a, 0, 1, 0, 0x11, 0xec, 4, 0xc0, ...new Uint8Array(1216).fill(3), 0, 0x1d, 0, 32];
  const list = [...shares, ...new Uint8Array(32).fill(9)];
  const stream = buildClientHello({
    serverName: NAME,
    alpnProtocols: ['h2', 'http/1.1'],
    cipherSuites: [0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f],
    supportedVersions: [0x3a3a, TLS13, TLS12],
    supportedGroups: [0x0a0a, 0x11ec, X25519, 0x0017],
    extensions: [
      { type: 0x4a4a, data: new Uint8Array(0) },
      { type: 51, data: Uint8Array.of(list.length >> 8, list.length & 255, ...list) },
      { type: 0xfe0d, data: Uint8Array.from({ length: 250 }, (_, at) => at) },
      { type: 0x5a5a, data: Uint8Array.of(0) },
    ],
  });
  assert.ok(stream.length > 1460);
  const hello = await examine(t, stream, {
    serverName: NAME,
    alpnProtocols: ['h2', 'http/1.1'],
    version: 0x3a3a,
  });
  assert.equal(hello.ech, 'outer');
  assert.match(hello.ja4, /^t13d0507h2_/);
});
