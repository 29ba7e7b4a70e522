import assert from 'node:assert/strict';
import { chmodSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createTestKey } from '../../../test/support/ech-client.ts';
import { makeFolder } from '../../../test/support/folders.ts';
import { encodeEchConfig, encodeEchConfigList } from '../../ech/ech-config.ts';
import { KEMS } from '../../ech/hpke-suites.ts';
import { encodeKeyFile } from '../../ech/key-file.ts';
import { showConfigs } from './show.ts';

function fileWith(t: TestContext, bytes: string | Uint8Array): string {
  const path = join(makeFolder(t, {}), 'file');
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}

/** What stands behind a word, in the order of the configurations. */
function valuesOf(out: string, word: string): string[] {
  return out
    .split('\n')
    .flatMap(line => (line.startsWith(`${word} `) ? [line.slice(word.length).trim()] : []));
}

describe('showConfigs()', () => {
  test('tells every field of every configuration, and which the key belongs to', async t => {
    const [own, other] = [
      createTestKey({ configId: 1 }),
      createTestKey({ configId: 255, kem: KEMS.p256, publicName: 'other.example' }),
    ];
    const list = encodeEchConfigList([other.config, own.config]);
    const path = fileWith(t, encodeKeyFile(list, { kem: KEMS.x25519, bytes: own.privateKey }));
    const { out, notes } = await showConfigs(path, false);
    assert.deepEqual(notes, []);
    assert.deepEqual(valuesOf(out, 'configuration'), ['1, of another private key', '2, of the private key']);
    assert.deepEqual(valuesOf(out, 'public name'), ['other.example', 'public.example']);
    assert.deepEqual(valuesOf(out, 'config id'), ['255', '1']);
    assert.deepEqual(valuesOf(out, 'kem'), [
      'P-256 with HKDF-SHA256 (0x0010)',
      'X25519 with HKDF-SHA256 (0x0020)',
    ]);
    assert.deepEqual(
      valuesOf(out, 'public key'),
      [other, own].map(({ parsed }) => Buffer.from(parsed.publicKey).toString('hex')),
    );
    assert.equal(valuesOf(out, 'private key')[0], 'there is one');
    assert.match(out, /\n {14}HKDF-SHA256 and AES-256-GCM \(0x0001, 0x0002\)\n {14}HKDF-SHA256 and CHACHA20/);
    assert.ok(!out.includes(Buffer.from(own.privateKey).toString('base64')));
    assert.ok(!out.includes(Buffer.from(own.privateKey).toString('hex')));
  });

  test('--list gives the list alone, of a file and of a single configuration', async t => {
    const { config, privateKey } = createTestKey();
    const list = encodeEchConfigList([config]);
    const expected = `${Buffer.from(list).toString('base64')}\n`;
    for (const form of [
      encodeKeyFile(list, { kem: KEMS.x25519, bytes: privateKey }),
      list,
      config,
      expected,
    ]) {
      assert.deepEqual(await showConfigs(fileWith(t, form), true), { out: expected });
    }
  });

  test('tells how old a file is, and that others may read its key', async t => {
    const { config, privateKey } = createTestKey();
    const path = fileWith(
      t,
      encodeKeyFile(encodeEchConfigList([config]), { kem: KEMS.x25519, bytes: privateKey }),
    );
    for (const [minutes, expected] of [
      [1, '1 minute ago'],
      [119, '119 minutes ago'],
      [120, '2 hours ago'],
      [47 * 60 + 59, '47 hours ago'],
      [3 * 24 * 60, '3 days ago'],
    ] as const) {
      const at = Date.now() / 1_000 - minutes * 60 - 1;
      utimesSync(path, at, at);
      const [written = ''] = valuesOf((await showConfigs(path, false)).out, 'written');
      assert.equal(
        written,
        `${new Date(Math.floor(at) * 1_000).toISOString().replace('.000', '')}, ${expected}`,
      );
    }
    chmodSync(path, 0o644);
    assert.match(
      (await showConfigs(path, false)).notes?.[0] ?? '',
      /^warn: "\S+file" has a private key and is open to other users: chmod 600/,
    );
  });

  test('lets no byte of a hostile list reach the terminal, nor fill it', async t => {
    const suites = Array.from({ length: 5_000 }, (_, kdf) => ({ kdf, aead: 9 }));
    const publicName = '\x1b]0;pwned\x07\u009b\n\xff"\\';
    const parts = {
      configId: 0,
      kem: 0x1234,
      publicKey: new Uint8Array(40_000),
      suites,
      maximumNameLength: 0,
      publicName,
    };
    const { out } = await showConfigs(fileWith(t, encodeEchConfigList([encodeEchConfig(parts)])), false);
    assert.match(out, /^[\x20-\x7e\n]*$/);
    assert.ok(out.length < 5_000, `${out.length} characters`);
    assert.equal(
      valuesOf(out, 'public name')[0],
      String.raw`\x1b]0;pwned\x07\x9b\x0a\xff\x22\x5c (clients do not take it: its labels may only have letters, digits and, within, '-')`,
    );
    assert.equal(valuesOf(out, 'kem')[0], 'unknown here (0x1234)');
    assert.match(out, /unknown and unknown \(0x0000, 0x0009\): not opened here/);
    assert.match(out, /and 4968 more/);
  });

  test('tells extensions, and versions that it does not know', async t => {
    const { config } = createTestKey();
    // The last two bytes are the length of the extensions.
    const body = Buffer.concat([config.subarray(4, -2), Buffer.from('000880010000000a0000', 'hex')]);
    const extended = Buffer.concat([
      Buffer.from('fe0d', 'hex'),
      Buffer.from([body.length >> 8, body.length & 255]),
      body,
    ]);
    const list = encodeEchConfigList([Buffer.from('fe0a0000', 'hex'), extended]);
    const { out } = await showConfigs(fileWith(t, list), false);
    assert.equal(
      valuesOf(out, 'extensions')[0],
      '0x8001 (clients that do not know it take another configuration), 0x000a',
    );
    assert.match(out, /others of unknown versions: 0xfe0a/);
    assert.match(out, /private key {3}none: this opens nothing/);
  });

  test('says what a file is not', async t => {
    await assert.rejects(
      showConfigs(fileWith(t, 'hello'), false),
      /"\S+file" has no configuration: it is neither PEM nor .*; give what sniway ech keygen writes/,
    );
    await assert.rejects(
      showConfigs(makeFolder(t, {}), false),
      /cannot read .*: it is a directory; give a file/,
    );
    await assert.rejects(
      showConfigs('/missing', false),
      /cannot read "\/missing": there is no such file; give a file/,
    );
  });
});
