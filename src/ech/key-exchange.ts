/** Diffie-Hellman: the groups of TLS 1.3 that are known here, and the agreement that they and HPKE have in common. */
import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import type { ECDH, KeyObject } from 'node:crypto';

/** What one end of an exchange has after it. */
export interface Exchanged {
  /** The public key for the other end. */
  readonly share: Uint8Array;
  readonly secret: Uint8Array;
}

/** Numbers of groups (RFC 8446 section 4.2.7). */
export const GROUPS = { x25519: 0x001d, secp256r1: 0x0017, secp384r1: 0x0018 } as const;

export type GroupId = (typeof GROUPS)[keyof typeof GROUPS];

/** The cheapest first: OpenSSL has P-256 in assembly, and the last one takes ten times as long. */
export const GROUPS_BY_COST: readonly GroupId[] = [GROUPS.secp256r1, GROUPS.x25519, GROUPS.secp384r1];

/** Bytes of public keys; those of curves are points without compression. */
export const SHARE_BYTES: Readonly<Record<GroupId, number>> = {
  [GROUPS.x25519]: 32,
  [GROUPS.secp256r1]: 65,
  [GROUPS.secp384r1]: 97,
};

const UNCOMPRESSED_POINT = 4;

/** Answers the share of a client with a key of its own; null if that is none, or gives a secret that everybody knows. */
export function exchangeKeys(group: GroupId, share: Uint8Array): Exchanged | null {
  if (group === GROUPS.x25519) return exchangeX25519(share);
  const ecdh = createECDH(group === GROUPS.secp256r1 ? 'prime256v1' : 'secp384r1');
  const own = ecdh.generateKeys();
  const secret = agreeOnCurve(ecdh, share);
  return secret === null ? null : { share: own, secret };
}

/** The secret shared with the owner of 32 bytes of public key; null if they are not that, or of small order. */
export function agreeX25519(privateKey: KeyObject, share: Uint8Array): Uint8Array | null {
  if (share.length !== SHARE_BYTES[GROUPS.x25519]) return null;
  // Not as DER: OpenSSL takes six times as long to find out what that is a key of.
  const x = Buffer.from(share.buffer, share.byteOffset, share.length).toString('base64url');
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
    return diffieHellman({ privateKey, publicKey });
  } catch {
    // A point of small order, whose secret everybody knows (RFC 9180 section 7.1.4, RFC 8446 section 7.4.2).
    return null;
  }
}

/** The secret shared with the owner of a point; null if it is not of the curve, or compressed. */
export function agreeOnCurve(ecdh: ECDH, share: Uint8Array): Uint8Array | null {
  if (share.length !== ecdh.getPublicKey().length || share[0] !== UNCOMPRESSED_POINT) return null;
  try {
    return ecdh.computeSecret(share);
  } catch {
    return null;
  }
}

function exchangeX25519(share: Uint8Array): Exchanged | null {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const secret = agreeX25519(privateKey, share);
  if (secret === null) return null;
  // Not as DER either: that takes a hundred microseconds.
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { share: Buffer.from(x, 'base64url'), secret };
}
