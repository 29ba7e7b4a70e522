import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeFolder } from '../../test/support/folders.ts';
import { KEY_KINDS, createKindAuthority } from '../../test/support/retry-identities.ts';
import type { IssuedIdentity, KeyKind } from '../../test/support/retry-identities.ts';
import { retryTermsFault } from '../ech/retry-responder.ts';
import { CHAIN_CERTIFICATES_MAX, ECH_FILE_BYTES_MAX } from '../limits.ts';
import { coversName, readRetryIdentity } from './ech-retry.ts';
import type { RetryIdentityFile } from './ech-retry.ts';

const NAME = 'public.example';
const DAY_MS = 86_400_000;

/** Reads files with these texts, nobody but their owner being let in; messages come without the folder. */
function readTexts(t: TestContext, cert: string, key: string, nowMs = Date.now()): RetryIdentityFile {
  const folder = makeFolder(t, { 'cert.pem': cert, 'key.pem': key });
  chmodSync(join(folder, 'key.pem'), 0o600);
  return withoutFolder(folder, readRetryIdentity(join(folder, 'cert.pem'), join(folder, 'key.pem'), nowMs));
}

function withoutFolder(folder: string, read: RetryIdentityFile): RetryIdentityFile {
  const strip = (texts: readonly string[]): string[] => texts.map(text => text.replaceAll(`${folder}/`, ''));
  return { ...read, problems: strip(read.problems), warnings: strip(read.warnings) };
}

function assertUsable({ identity, problems, warnings }: RetryIdentityFile, expected: IssuedIdentity): void {
  assert.deepEqual([problems, warnings], [[], []]);
  assert.deepEqual(identity, expected.identity);
}

describe('readRetryIdentity()', () => {
  test('reads keys of every kind, in each form that is without a password', async t => {
    const authority = await createKindAuthority(t);
    for (const kind of Object.keys(KEY_KINDS) as KeyKind[]) {
      const issued = await authority.issue([NAME], kind);
      const read = readTexts(t, issued.cert, issued.key);
      assertUsable(read, issued);
      assert.ok(Math.abs(read.validToMs - Date.now() - 30 * DAY_MS) < DAY_MS);
      assert.ok(read.identity !== null);
      assert.equal(
        retryTermsFault({ publicName: NAME, list: Uint8Array.of(0, 0), identity: read.identity }),
        null,
      );
      const type = kind.startsWith('RSA') ? 'pkcs1' : kind === 'Ed25519' ? 'pkcs8' : 'sec1';
      const old = createPrivateKey(issued.key).export({ format: 'pem', type }).toString();
      assertUsable(readTexts(t, issued.cert, old), issued);
    }
  });

  test('reads a chain in its order, from a file that may have the key and other blocks too', async t => {
    const authority = await createKindAuthority(t);
    const issued = await authority.issue([NAME]);
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
    const all = `subject=somebody\n${issued.cert}${parameters}${issued.key}${authority.ca}\n`;
    const folder = makeFolder(t, { 'all.pem': all.replaceAll('\n', '\r\n') });
    const path = join(folder, 'all.pem');
    chmodSync(path, 0o600);
    const { identity, problems, warnings } = readRetryIdentity(path, path);
    assert.deepEqual([problems, warnings], [[], []]);
    assert.equal(identity?.certificates.length, 2);
    assert.deepEqual(identity?.certificates[0], issued.identity.certificates[0]);
    assert.deepEqual(identity?.privateKey, issued.identity.privateKey);
  });

  test('holds no more memory than the certificates and the key have', async t => {
    const authority = await createKindAuthority(t);
    const { cert, key } = await authority.issue([NAME]);
    const { identity } = readTexts(t, cert, key);
    for (const bytes of [...(identity?.certificates ?? []), identity?.privateKey]) {
      assert.equal(bytes?.buffer.byteLength, bytes?.length);
    }
  });

  test('says of both files what is wrong with them, and what to do', async t => {
    const authority = await createKindAuthority(t);
    const issued = await authority.issue([NAME]);
    const other = await authority.issue([NAME]);
    const encrypted = createPrivateKey(issued.key)
      .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'x' })
      .toString();
    const oldEncrypted = createPrivateKey(issued.key)
      .export({ format: 'pem', type: 'sec1', cipher: 'aes-128-cbc', passphrase: 'x' })
      .toString();
    const pemOf = (pair: {
      privateKey: { export(options: { format: 'pem'; type: 'pkcs8' }): string | Buffer };
    }) => pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const cases: readonly (readonly [cert: string, key: string, ...problems: RegExp[]])[] = [
      [
        '',
        '',
        /^"cert\.pem" has no certificate: give a PEM file/,
        /^"key\.pem" has no private key: give a PEM/,
      ],
      [issued.cert, issued.cert, /^"key\.pem" has no private key/],
      [issued.key, issued.key, /^"cert\.pem" has no certificate/],
      [
        `${issued.cert}${issued.cert.replace(/-----END.*/, '')}`,
        issued.key,
        /^a certificate in "cert\.pem" is cut off/,
      ],
      [issued.cert, encrypted, /^"key\.pem" has a password, .* openssl pkey -in FILE -out FILE/],
      [issued.cert, oldEncrypted, /^"key\.pem" has a password/],
      [issued.cert, issued.key.replace('MI', 'AA'), /^the private key in "key\.pem" is malformed/],
      [issued.cert.replace('MII', 'AAA'), issued.key, /^certificate 1 of 1 in "cert\.pem" is malformed/],
      [
        `${issued.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
        issued.key,
        /^certificate 2 of 2 in "cert\.pem" is malformed/,
      ],
      [
        issued.cert,
        other.key,
        /^"key\.pem" does not belong to the certificate in "cert\.pem": give the one that it was requested with$/,
      ],
      [
        `${authority.ca}\n${issued.cert}`,
        issued.key,
        /: it belongs to number 2 there, which has to come first$/,
      ],
      [
        issued.cert.repeat(CHAIN_CERTIFICATES_MAX + 1),
        issued.key,
        /^"cert\.pem" has 11 certificates, and at most 10 are sent: leave those between/,
      ],
      [
        issued.cert,
        pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 })),
        /^the private key in "key\.pem" cannot sign here: it is an RSA key of 1024 bits, where P-256, .* is needed$/,
      ],
      [issued.cert, pemOf(generateKeyPairSync('x25519')), /cannot sign here: it is of the kind x25519/],
    ];
    for (const [cert, key, ...expected] of cases) {
      const { identity, problems, warnings } = readTexts(t, cert, key);
      assert.deepEqual([identity, warnings], [null, []]);
      assert.equal(problems.length, expected.length, problems.join('; '));
      for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern);
      const secrets = issued.key.split('\n').filter(line => line.length === 64);
      assert.ok(!secrets.some(line => problems.join().includes(line.slice(0, 20))));
    }
  });

  test('says why a file cannot be read', t => {
    const folder = makeFolder(t, { 'large.pem': 'x'.repeat(ECH_FILE_BYTES_MAX + 1) });
    mkdirSync(join(folder, 'folder.pem'));
    const read = (cert: string, key: string): readonly string[] =>
      withoutFolder(folder, readRetryIdentity(join(folder, cert), join(folder, key))).problems;
    assert.deepEqual(read('none.pem', 'large.pem'), [
      'cannot read "none.pem": there is no such file',
      'cannot read "large.pem": it is larger than 128 KiB',
    ]);
    assert.deepEqual(read('folder.pem', 'none.pem'), [
      'cannot read "folder.pem": it is a directory',
      'cannot read "none.pem": there is no such file',
    ]);
  });

  test('warns of a certificate that has expired, soon does, or is not valid yet', async t => {
    const authority = await createKindAuthority(t);
    const { cert, key } = await authority.issue([NAME]);
    const at = (days: number): readonly string[] =>
      readTexts(t, cert, key, Date.now() + days * DAY_MS).warnings;
    assert.deepEqual([at(0), at(15)], [[], []]);
    assert.match(at(17)[0] ?? '', /^the certificate in "cert\.pem" expires on \d{4}-\d\d-\d\d: renew it/);
    assert.match(at(31)[0] ?? '', /^the certificate in "cert\.pem" has expired on .* so renew it$/);
    assert.match(at(-31)[0] ?? '', /^the certificate in "cert\.pem" is valid from .* on: clients/);
  });

  test('warns of a key that others may read, and of a chain out of its order', async t => {
    const authority = await createKindAuthority(t);
    const [issued, other] = [await authority.issue([NAME]), await authority.issue([NAME])];
    const folder = makeFolder(t, { 'cert.pem': `${issued.cert}${other.cert}`, 'key.pem': '' });
    writeFileSync(join(folder, 'key.pem'), issued.key);
    chmodSync(join(folder, 'key.pem'), 0o640);
    const read = readRetryIdentity(join(folder, 'cert.pem'), join(folder, 'key.pem'));
    assert.ok(read.identity !== null);
    assert.deepEqual(withoutFolder(folder, read).warnings, [
      'in "cert.pem" certificate 2 has not issued certificate 1: put each behind the one it has issued',
      '"key.pem" has a private key and is open to other users: chmod 600 closes it',
    ]);
  });
});

describe('coversName()', () => {
  test('takes names and a star for one label, of the alternative names alone', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue([NAME, '*.wild.example', 'www*.part.example']);
    for (const [name, isCovered] of [
      [NAME, true],
      ['PUBLIC.example', true],
      ['a.wild.example', true],
      ['wild.example', false],
      ['a.b.wild.example', false],
      ['www1.part.example', false],
      ['other.example', false],
      ['.example', false],
      ['public.example\0', false],
      ['', false],
    ] as const) {
      assert.equal(coversName(identity, name), isCovered, name);
    }
    const { identity: nameless } = await authority.issue([]);
    assert.equal(coversName(nameless, 'nobody'), false);
    assert.equal(coversName({ ...identity, certificates: [] }, NAME), false);
  });
});
