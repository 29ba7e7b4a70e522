/** Clients of others before the server that tells of fresh keys: all of them take its handshake, and those with an old key its list. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { RetryResponder } from '../../src/ech/retry-responder.ts';
import { makeFolder } from '../support/folders.ts';
import { needs, run, start } from '../support/programs.ts';
import { KEY_KINDS, createKindAuthority } from '../support/retry-identities.ts';
import type { KeyKind, KindAuthority } from '../support/retry-identities.ts';
import { startRetryServer } from '../support/retry-server.ts';
import type { RetryServer } from '../support/retry-server.ts';

const BORINGSSL = 'bssl-tool';
const NSS = 'tstclnt';
const NAME = 'public.example';
const KINDS = Object.keys(KEY_KINDS) as KeyKind[];
const NO_LIST = Uint8Array.of(0, 0);

interface ServerTerms {
  readonly kind?: KeyKind;
  readonly list?: Uint8Array;
  /** In the certificate. */
  readonly names?: readonly string[];
  readonly isBrief?: boolean;
}

async function startServer(
  t: TestContext,
  authority: KindAuthority,
  { kind = 'P-256', list = NO_LIST, names = [NAME], isBrief = false }: ServerTerms = {},
): Promise<RetryServer> {
  const { identity } = await authority.issue(names, kind);
  // A clock that stands still: no handshake is refused, however slow the machine.
  const responder = new RetryResponder([{ publicName: NAME, list, identity }], () => 0);
  return await startRetryServer(t, responder, isBrief);
}

/** What Node's client has after its handshake, or why it gave up. */
async function handshake(port: number, options: ConnectionOptions): Promise<unknown> {
  return await new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', servername: NAME, minVersion: 'TLSv1.3', ...options });
    socket.on('secureConnect', () => {
      const { name: suite } = socket.getCipher();
      const { name: group } = socket.getEphemeralKeyInfo() as { name?: string };
      resolve({ suite, group, isTrusted: socket.authorized, alpn: socket.alpnProtocol });
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

describe("the handshake of Node's client", () => {
  for (const kind of KINDS) {
    test(`ends well with each suite and group, and a key of ${kind}`, async t => {
      const authority = await createKindAuthority(t);
      const { port } = await startServer(t, authority, { kind });
      for (const suite of [
        'TLS_AES_128_GCM_SHA256',
        'TLS_AES_256_GCM_SHA384',
        'TLS_CHACHA20_POLY1305_SHA256',
      ]) {
        for (const [group, name] of [
          ['X25519', 'X25519'],
          ['P-256', 'prime256v1'],
          ['P-384', 'secp384r1'],
        ] as const) {
          const offer = { ca: authority.ca, ciphers: suite, ecdhCurve: group, ALPNProtocols: ['h2'] };
          const expected = { suite, group: name, isTrusted: true, alpn: false };
          assert.deepEqual(await handshake(port, offer), expected);
        }
      }
    });
  }

  test('ends well with each signature that a key of RSA makes', async t => {
    const authority = await createKindAuthority(t);
    const { port } = await startServer(t, authority, { kind: 'RSA-2048' });
    for (const hash of ['sha256', 'sha384', 'sha512']) {
      const offer = { ca: authority.ca, sigalgs: `rsa_pss_rsae_${hash}:ecdsa_secp256r1_sha256` };
      const { isTrusted } = (await handshake(port, offer)) as { isTrusted?: boolean };
      assert.equal(isTrusted, true, hash);
    }
  });

  test('fails where the certificate is of nobody it trusts, or of another name', async t => {
    const authority = await createKindAuthority(t);
    const { port } = await startServer(t, authority);
    assert.equal(await handshake(port, {}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    const other = await startServer(t, authority, { names: ['other.example'] });
    assert.equal(await handshake(other.port, { ca: authority.ca }), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('fails by an alert where nothing is in common', async t => {
    const authority = await createKindAuthority(t);
    const { port } = await startServer(t, authority);
    const { ca } = authority;
    const FAILURE = 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE';
    assert.equal(await handshake(port, { ca, ecdhCurve: 'P-521' }), FAILURE);
    assert.equal(await handshake(port, { ca, sigalgs: 'rsa_pss_rsae_sha256' }), FAILURE);
    const old = { ca, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    assert.equal(await handshake(port, old), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });
});

test('OpenSSL takes the handshake, with a session id and without one', needs('openssl'), async t => {
  const authority = await createKindAuthority(t);
  for (const kind of KINDS) {
    const { port, seen } = await startServer(t, authority, { kind });
    for (const mode of [[], ['-no_middlebox']]) {
      const trust = ['-CAfile', authority.caFile, '-verify_return_error', '-verify_hostname', NAME];
      const target = ['-connect', `127.0.0.1:${port}`, '-servername', NAME];
      const { code, stderr } = await run(t, ['openssl', 's_client', '-brief', ...target, ...trust, ...mode]);
      assert.match(stderr, /Protocol version: TLSv1\.3[^]*Verification: OK/);
      assert.equal(code, 0);
    }
    assert.deepEqual(
      seen.map(({ hello }) => hello.sessionId.length),
      [32, 0],
    );
  }
});

test('GnuTLS takes the handshake with each kind of key, and in each group', needs('gnutls-cli'), async t => {
  const authority = await createKindAuthority(t);
  for (const [index, kind] of KINDS.entries()) {
    const group = ['X25519', 'SECP256R1', 'SECP384R1'][index % 3];
    const { port } = await startServer(t, authority, { kind, isBrief: true });
    const priority = `NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-${group}`;
    const names = ['--sni-hostname', NAME, '--verify-hostname', NAME];
    const flags = ['--x509cafile', authority.caFile, '--priority', priority, ...names];
    const { stdout } = await run(t, ['gnutls-cli', ...flags, '-p', String(port), '127.0.0.1']);
    assert.match(stdout, /The certificate is trusted/);
    assert.match(stdout, new RegExp(`TLS1\\.3.*${group}[^]*Handshake was completed`));
  }
});

test('curl takes the handshake, and gets no answer', needs('curl'), async t => {
  const authority = await createKindAuthority(t);
  const { port } = await startServer(t, authority, { isBrief: true });
  const place = ['--resolve', `${NAME}:${port}:127.0.0.1`, `https://${NAME}:${port}/`];
  const { code, stderr } = await run(t, ['curl', '-sv', '--cacert', authority.caFile, ...place]);
  assert.match(stderr, /SSL certificate verify ok/);
  assert.notEqual(code, 0);
});

interface List {
  readonly bytes: Uint8Array;
  readonly file: string;
}

/** A list for the public name, made by BoringSSL. */
async function generateList(t: TestContext, folder: string, configId: number): Promise<List> {
  const file = (name: string): string => join(folder, `${configId}-${name}`);
  const outputs = [
    ['-out-ech-config-list', file('list')],
    ['-out-ech-config', file('config')],
    ['-out-private-key', file('key')],
  ];
  const settings = ['-public-name', NAME, '-config-id', String(configId), '-max-name-length', '32'];
  const { code, stderr } = await run(t, [BORINGSSL, 'generate-ech', ...outputs.flat(), ...settings]);
  assert.equal(code, 0, stderr);
  return { bytes: readFileSync(file('list')), file: file('list') };
}

describe('a client of BoringSSL with an old key', needs(BORINGSSL), () => {
  const connectWith = async (t: TestContext, port: number, ...flags: string[]): Promise<string> => {
    const target = ['-connect', `127.0.0.1:${port}`];
    const client = start(t, [BORINGSSL, 'client', ...target, ...flags]);
    client.write('GET / HTTP/1.0\r\n\r\n');
    return (await client.finished).stderr;
  };

  test('ends its handshake as rejected, with each kind of key and in each group', async t => {
    const authority = await createKindAuthority(t);
    const folder = makeFolder(t, {});
    const [stale, fresh] = [await generateList(t, folder, 1), await generateList(t, folder, 2)];
    for (const [index, kind] of KINDS.entries()) {
      // What it does not offer by itself.
      const sigalgs = kind === 'Ed25519' ? ['-sigalgs', 'ed25519:ecdsa_secp256r1_sha256'] : [];
      const { port, seen } = await startServer(t, authority, { kind, list: fresh.bytes, isBrief: index > 0 });
      const group = ['X25519', 'P-256', 'P-384'][index % 3] ?? '';
      const flags = ['-server-name', 'secret.example', '-root-certs', authority.caFile, '-curves', group];
      const stderr = await connectWith(t, port, '-ech-config-list', stale.file, ...flags, ...sigalgs);
      assert.match(stderr, /ECH_REJECTED/);
      const [one] = seen;
      assert.deepEqual([one?.hello.serverName, one?.answer?.kind], [NAME, 'flight']);
    }
  });

  test('does not believe a certificate of another name', async t => {
    const authority = await createKindAuthority(t);
    const { file, bytes } = await generateList(t, makeFolder(t, {}), 1);
    const { port } = await startServer(t, authority, { list: bytes, names: ['secret.example'] });
    const flags = ['-server-name', 'secret.example', '-root-certs', authority.caFile];
    const stderr = await connectWith(t, port, '-ech-config-list', file, ...flags);
    assert.match(stderr, /CERTIFICATE_VERIFY_FAILED/);
    assert.doesNotMatch(stderr, /ECH_REJECTED/);
  });

  test('that is only a pretence for the public name itself is connected, and told what it leaves aside', async t => {
    const authority = await createKindAuthority(t);
    const { bytes } = await generateList(t, makeFolder(t, {}), 1);
    const { port } = await startServer(t, authority, { list: bytes, isBrief: true });
    const flags = ['-server-name', NAME, '-root-certs', authority.caFile];
    const stderr = await connectWith(t, port, '-ech-grease', ...flags);
    assert.match(stderr, /Connected\.[^]*Encrypted ClientHello: no/);
  });
});

describe('a client of NSS with an old key', needs(BORINGSSL, NSS, 'certutil'), () => {
  const connectWith = async (t: TestContext, database: string, port: number, list: List): Promise<string> => {
    const target = ['-h', '127.0.0.1', '-p', String(port), '-a', 'secret.example'];
    const encoded = Buffer.from(list.bytes).toString('base64');
    // It shows the list once it has something to send.
    const command = [NSS, ...target, '-d', database, '-Q', '-N', encoded] as const;
    const { stdout, stderr } = await run(t, command, 'GET / HTTP/1.0\r\n\r\n');
    return stdout + stderr;
  };
  /** A database of certificates that trusts the authority, or nobody. */
  const createDatabase = async (t: TestContext, caFile: string | null): Promise<string> => {
    const folder = `sql:${makeFolder(t, {})}`;
    const trust = caFile === null ? [] : [['-A', '-n', 'authority', '-t', 'C,,', '-i', caFile]];
    for (const command of [['-N', '--empty-password'], ...trust]) {
      const { code, stderr } = await run(t, ['certutil', '-d', folder, ...command]);
      assert.equal(code, 0, stderr);
    }
    return folder;
  };

  test('verifies the certificate, and has the fresh list byte by byte', async t => {
    const authority = await createKindAuthority(t);
    const database = await createDatabase(t, authority.caFile);
    const folder = makeFolder(t, {});
    const [stale, fresh] = [await generateList(t, folder, 1), await generateList(t, folder, 2)];
    // The library leaves the public name to its caller, and this one looks for the inner name in any certificate.
    const names = [NAME, 'secret.example'];
    for (const kind of ['P-256', 'P-384', 'RSA-2048', 'RSA-3072'] as const) {
      for (const isBrief of [false, true]) {
        const { port } = await startServer(t, authority, { kind, list: fresh.bytes, isBrief, names });
        const output = await connectWith(t, database, port, stale);
        assert.match(output, /SSL_ERROR_ECH_RETRY_WITH_ECH: .* verification succeeded/);
        assert.deepEqual(receivedList(output), Buffer.from(fresh.bytes));
      }
    }
  });

  test('takes no list from somebody it does not trust', async t => {
    const authority = await createKindAuthority(t);
    const database = await createDatabase(t, null);
    const list = await generateList(t, makeFolder(t, {}), 1);
    const { port } = await startServer(t, authority, { list: list.bytes, names: [NAME, 'secret.example'] });
    const output = await connectWith(t, database, port, list);
    assert.match(output, /SEC_ERROR_UNKNOWN_ISSUER/);
    assert.equal(receivedList(output).length, 0);
  });
});

function receivedList(output: string): Buffer {
  const [, received = ''] = /Received ECH retry_configs:\s+(\S+)/.exec(output) ?? [];
  return Buffer.from(received, 'base64');
}
