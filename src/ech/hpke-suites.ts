/** The algorithms of Hybrid Public Key Encryption that are known here (RFC 9180 section 7), by their numbers. */

export const KEMS = { x25519: 0x0020, p256: 0x0010 } as const;
export const KDFS = { hkdfSha256: 0x0001 } as const;

export type KemId = (typeof KEMS)[keyof typeof KEMS];

/** Bytes of encapsulated keys, which are public keys, and of private keys. */
export const KEM_SIZES: Readonly<Record<KemId, { readonly publicKey: number; readonly privateKey: number }>> =
  {
    [KEMS.x25519]: { publicKey: 32, privateKey: 32 },
    [KEMS.p256]: { publicKey: 65, privateKey: 32 },
  };

/** Of these, each key has its bytes, the nonce has 12 and the tag has 16. */
export const AEADS = {
  0x0001: { cipher: 'aes-128-gcm', keyBytes: 16 },
  0x0002: { cipher: 'aes-256-gcm', keyBytes: 32 },
  0x0003: { cipher: 'chacha20-poly1305', keyBytes: 32 },
} as const;

export type AeadId = keyof typeof AEADS;

export const AEAD_NONCE_BYTES = 12;
export const AEAD_TAG_BYTES = 16;

/** A pair of a key derivation and a cipher, as configurations and hellos name it. */
export interface SymmetricSuite {
  readonly kdf: number;
  readonly aead: number;
}

export function isKnownKem(kem: number): kem is KemId {
  return Object.hasOwn(KEM_SIZES, kem);
}

export function isKnownAead(aead: number): aead is AeadId {
  return Object.hasOwn(AEADS, aead);
}

/** Whether hellos sealed with this pair can be opened here. */
export function isKnownSuite({ kdf, aead }: SymmetricSuite): boolean {
  return kdf === KDFS.hkdfSha256 && isKnownAead(aead);
}
