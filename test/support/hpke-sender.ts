/** The sender's half of HPKE in base mode, for tests: what a client does. */
import {
  createCipheriv,
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto';
import type { CipherGCMTypes, KeyObject } from 'node:crypto';
import { deriveSecrets, nonceOf } from '../../src/ech/hpke.ts';
import type { HpkeSecrets } from '../../src/ech/hpke.ts';
import { AEADS, KEMS } from '../../src/ech/hpke-suites.ts';
import type { AeadId, KemId } from '../../src/ech/hpke-suites.ts';

const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');

export class HpkeSender {
  readonly enc: Uint8Array;
  readonly #secrets: HpkeSecrets;
  #sequence = 0;

  constructor(to: {
    kem: KemId;
    publicKey: Uint8Array;
    aead: AeadId;
    info: Uint8Array;
    ephemeral?: Uint8Array;
  }) {
    const { kem, publicKey, aead, info, ephemeral } = to;
    const { enc, shared } =
      kem === KEMS.x25519 ? agreeX25519(publicKey, ephemeral) : agreeP256(publicKey, ephemeral);
    this.enc = enc;
    this.#secrets = deriveSecrets({ shared, enc, publicKey, kem, aead, info });
  }

  seal(plaintext: Uint8Array, additionalData: Uint8Array): Uint8Array {
    const { aead, key } = this.#secrets;
    const nonce = nonceOf(this.#secrets, this.#sequence++);
    const cipher = createCipheriv(AEADS[aead].cipher as CipherGCMTypes, key, nonce, { authTagLength: 16 });
    cipher.setAAD(additionalData);
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }
}

function agreeX25519(
  to: Uint8Array,
  ephemeral: Uint8Array | undefined,
): { enc: Uint8Array; shared: Uint8Array } {
  const privateKey: KeyObject =
    ephemeral === undefined
      ? generateKeyPairSync('x25519').privateKey
      : createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, ephemeral]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, to]), format: 'der', type: 'spki' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { enc: spki.subarray(SPKI_HEAD.length), shared: diffieHellman({ privateKey, publicKey }) };
}

function agreeP256(
  to: Uint8Array,
  ephemeral: Uint8Array | undefined,
): { enc: Uint8Array; shared: Uint8Array } {
  const ecdh = createECDH('prime256v1');
  if (ephemeral === undefined) ecdh.generateKeys();
  else ecdh.setPrivateKey(ephemeral);
  return { enc: ecdh.getPublicKey(), shared: ecdh.computeSecret(to) };
}
