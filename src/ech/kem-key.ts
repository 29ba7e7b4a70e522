/** The private half of a key encapsulation: Diffie-Hellman on X25519 or P-256 (RFC 9180 section 4.1). */
import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { KEMS, KEM_SIZES } from './hpke-suites.ts';
import type { KemId } from './hpke-suites.ts';
import { agreeOnCurve, agreeX25519 } from './key-exchange.ts';

/** One private key, ready for use; made once for each thread from plain bytes. */
export interface KemKey {
  readonly kem: KemId;
  /** As it stands in configurations: 32 bytes, or 65 for an uncompressed point. */
  readonly publicKey: Uint8Array;
  /** The secret shared with the owner of `enc`, a public key; null if that is none, or of small order. */
  agree(enc: Uint8Array): Uint8Array | null;
}

/** DER of a PKCS#8 key and of a SubjectPublicKeyInfo, up to the 32 bytes of the key (RFC 8410 section 7). */
const X25519_PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');

/**
 * @param privateKey 32 bytes: of X25519 as they are, of P-256 the scalar.
 * @returns null if they are no private key.
 */
export function createKemKey(kem: KemId, privateKey: Uint8Array): KemKey | null {
  if (privateKey.length !== KEM_SIZES[kem].privateKey) return null;
  return kem === KEMS.x25519 ? createX25519Key(privateKey) : createP256Key(privateKey);
}

/** The bytes of a new private key. */
export function generatePrivateKey(kem: KemId): Uint8Array {
  if (kem === KEMS.p256) {
    const ecdh = createECDH('prime256v1');
    ecdh.generateKeys();
    return padLeft(ecdh.getPrivateKey(), KEM_SIZES[kem].privateKey);
  }
  const { privateKey } = generateKeyPairSync('x25519');
  return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(X25519_PKCS8_HEAD.length);
}

function createX25519Key(bytes: Uint8Array): KemKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([X25519_PKCS8_HEAD, bytes]),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    kem: KEMS.x25519,
    publicKey: spki.subarray(X25519_SPKI_HEAD.length),
    agree: enc => agreeX25519(privateKey, enc),
  };
}

function createP256Key(bytes: Uint8Array): KemKey | null {
  const ecdh = createECDH('prime256v1');
  try {
    ecdh.setPrivateKey(bytes);
  } catch {
    return null;
  }
  return {
    kem: KEMS.p256,
    publicKey: ecdh.getPublicKey(),
    agree: enc => agreeOnCurve(ecdh, enc),
  };
}

function padLeft(bytes: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length);
  padded.set(bytes, length - bytes.length);
  return padded;
}
