import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  Aes128Gcm,
  Aes256Gcm,
  CipherSuite,
  DhkemP256HkdfSha256,
  DhkemX25519HkdfSha256,
  HkdfSha256,
} from '@hpke/core';
import * as panva from 'hpke';
import { HpkeSender } from '../../test/support/hpke-sender.ts';
import { createHpkeReceiver } from './hpke.ts';
import type { HpkeReceiver } from './hpke.ts';
import { KEMS } from './hpke-suites.ts';
import type { AeadId, KemId } from './hpke-suites.ts';
import { createKemKey, generatePrivateKey } from './kem-key.ts';
import type { KemKey } from './kem-key.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** RFC 9180 appendix A: base mode of A.1, A.2 and A.3, messages 0 and 1. */
const VECTORS = [
  {
    name: 'A.1.1, X25519 and AES-128-GCM',
    kem: KEMS.x25519,
    aead: 1,
    skEm: '52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736',
    skRm: '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
    pkRm: '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
    enc: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
    sealed: [
      'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
      'af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84',
    ],
  },
  {
    name: 'A.2.1, X25519 and ChaCha20-Poly1305',
    kem: KEMS.x25519,
    aead: 3,
    skEm: 'f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600',
    skRm: '8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb',
    pkRm: '4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a',
    enc: '1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a',
    sealed: [
      '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
      '6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c',
    ],
  },
  {
    name: 'A.3.1, P-256 and AES-128-GCM',
    kem: KEMS.p256,
    aead: 1,
    skEm: '4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb',
    skRm: 'f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2',
    pkRm: '04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0',
    enc: '04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4',
    sealed: [
      '5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434',
      'fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82',
    ],
  },
] as const;
const INFO = hex('4f6465206f6e2061204772656369616e2055726e');
const PLAINTEXT = utf8('Beauty is truth, truth beauty');

function keyOf(kem: KemId, privateKey: Uint8Array): KemKey {
  const key = createKemKey(kem, privateKey);
  assert.ok(key !== null);
  return key;
}

function receiver(key: KemKey, aead: AeadId, enc: Uint8Array): HpkeReceiver {
  const created = createHpkeReceiver({ key, aead, enc, info: INFO });
  assert.ok(created !== null);
  return created;
}

const opened = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex');

describe('HPKE by the vectors of RFC 9180', () => {
  for (const { name, kem, aead, skEm, skRm, pkRm, enc, sealed } of VECTORS) {
    test(`${name}: opens the messages in their order`, () => {
      const key = keyOf(kem, hex(skRm));
      assert.equal(opened(key.publicKey), pkRm);
      const context = receiver(key, aead, hex(enc));
      const plain = opened(PLAINTEXT);
      // The second is refused before the first, and that does not count as a message.
      assert.equal(context.open(hex(sealed[1]), utf8('Count-1')), null);
      assert.equal(opened(context.open(hex(sealed[0]), utf8('Count-0'))), plain);
      assert.equal(context.open(hex(sealed[1]), utf8('Count-0')), null);
      assert.equal(opened(context.open(hex(sealed[1]), utf8('Count-1'))), plain);
    });

    test(`${name}: the sender of the tests seals the same`, () => {
      const sender = new HpkeSender({
        kem,
        aead,
        publicKey: hex(pkRm),
        info: INFO,
        ephemeral: hex(skEm),
      });
      assert.equal(opened(sender.enc), enc);
      assert.equal(opened(sender.seal(PLAINTEXT, utf8('Count-0'))), sealed[0]);
      assert.equal(opened(sender.seal(PLAINTEXT, utf8('Count-1'))), sealed[1]);
    });
  }
});

describe('HPKE against other makers', () => {
  for (const [kem, aead, suite] of [
    [KEMS.x25519, 1, { kem: new DhkemX25519HkdfSha256(), aead: new Aes128Gcm() }],
    [KEMS.x25519, 2, { kem: new DhkemX25519HkdfSha256(), aead: new Aes256Gcm() }],
    [KEMS.p256, 2, { kem: new DhkemP256HkdfSha256(), aead: new Aes256Gcm() }],
  ] as const) {
    test(`opens what @hpke/core seals, KEM ${kem} and AEAD ${aead}`, async () => {
      const made = new CipherSuite({ ...suite, kdf: new HkdfSha256() });
      for (let round = 0; round < 5; round++) {
        const key = keyOf(kem, generatePrivateKey(kem));
        const recipientPublicKey = await made.kem.deserializePublicKey(Uint8Array.from(key.publicKey).buffer);
        const sender = await made.createSenderContext({
          recipientPublicKey,
          info: Uint8Array.from(INFO).buffer,
        });
        const context = receiver(key, aead, new Uint8Array(sender.enc));
        for (const length of [0, 1, 29, 700]) {
          const plaintext = webcrypto.getRandomValues(new Uint8Array(length));
          const aad = webcrypto.getRandomValues(new Uint8Array(length * 2));
          const sealed = new Uint8Array(await sender.seal(plaintext.buffer, aad.buffer));
          assert.equal(opened(context.open(sealed, aad)), opened(plaintext));
        }
      }
    });
  }

  for (const [kem, aead, made] of [
    [
      KEMS.x25519,
      1,
      new panva.CipherSuite(
        panva.KEM_DHKEM_X25519_HKDF_SHA256,
        panva.KDF_HKDF_SHA256,
        panva.AEAD_AES_128_GCM,
      ),
    ],
    [
      KEMS.p256,
      1,
      new panva.CipherSuite(panva.KEM_DHKEM_P256_HKDF_SHA256, panva.KDF_HKDF_SHA256, panva.AEAD_AES_128_GCM),
    ],
  ] as const) {
    test(`opens what hpke seals, KEM ${kem} and AEAD ${aead}, and seals what it opens`, async () => {
      const key = keyOf(kem, generatePrivateKey(kem));
      const publicKey = await made.DeserializePublicKey(Uint8Array.from(key.publicKey));
      const aad = utf8('what is beside it');
      const { encapsulatedSecret, ctx } = await made.SetupSender(publicKey, { info: INFO });
      const context = receiver(key, aead, encapsulatedSecret);
      for (const text of ['first', 'second', '']) {
        const sealed = await ctx.Seal(utf8(text), aad);
        assert.equal(opened(context.open(sealed, aad)), opened(utf8(text)));
      }
      const pair = await made.GenerateKeyPair(true);
      const recipient = await made.SerializePublicKey(pair.publicKey);
      const sender = new HpkeSender({ kem, aead, publicKey: recipient, info: INFO });
      const theirs = await made.SetupRecipient(pair.privateKey, sender.enc, { info: INFO });
      for (const text of ['first', 'second']) {
        assert.equal(opened(await theirs.Open(sender.seal(utf8(text), aad), aad)), opened(utf8(text)));
      }
    });
  }
});

describe('HPKE against bad input', () => {
  test('gives no receiver for a key of small order, of another length, or beside the curve', () => {
    const x25519 = keyOf(KEMS.x25519, generatePrivateKey(KEMS.x25519));
    for (const enc of [new Uint8Array(32), new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)]) {
      assert.equal(createHpkeReceiver({ key: x25519, aead: 1, enc, info: INFO }), null, `${enc.length}`);
    }
    const p256 = keyOf(KEMS.p256, generatePrivateKey(KEMS.p256));
    const beside = new Uint8Array(65).fill(1);
    beside[0] = 4;
    const compressed = Uint8Array.of(2, ...p256.publicKey.subarray(1, 33));
    for (const enc of [beside, compressed, new Uint8Array(65), new Uint8Array(0)]) {
      assert.equal(createHpkeReceiver({ key: p256, aead: 1, enc, info: INFO }), null, `${enc.length}`);
    }
  });

  test('opens nothing that has a bit turned, or is cut', () => {
    for (const aead of [1, 2, 3] as const) {
      const key = keyOf(KEMS.x25519, generatePrivateKey(KEMS.x25519));
      const sender = new HpkeSender({ kem: KEMS.x25519, publicKey: key.publicKey, aead, info: INFO });
      const context = receiver(key, aead, sender.enc);
      const sealed = sender.seal(PLAINTEXT, INFO);
      for (let at = 0; at < sealed.length; at++) {
        const turned = Uint8Array.from(sealed);
        turned[at]! ^= 1;
        assert.equal(context.open(turned, INFO), null, `byte ${at}`);
        assert.equal(context.open(sealed.subarray(0, at), INFO), null, `${at} bytes`);
      }
      assert.equal(opened(context.open(sealed, INFO)), opened(PLAINTEXT));
    }
  });

  test('takes no private key of another length, and none out of the range of P-256', () => {
    assert.equal(createKemKey(KEMS.x25519, new Uint8Array(31)), null);
    assert.equal(createKemKey(KEMS.p256, new Uint8Array(32)), null);
    assert.equal(createKemKey(KEMS.p256, new Uint8Array(32).fill(0xff)), null);
  });
});
