/** Private keys of certificates: the signatures they can make in TLS 1.3 (RFC 8446 section 4.2.3). */
import { constants, createPrivateKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { RSA_BITS_MAX, RSA_BITS_MIN } from '../limits.ts';

/** One way to sign, by its number in signature_algorithms. */
export interface SignatureScheme {
  readonly id: number;
  /** Null: the scheme says it. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  readonly isPss: boolean;
}

/** A key that is ready for use; made once for each thread from plain bytes. */
export interface SigningKey {
  /** What it can sign with, the most preferred first; at least one. */
  readonly schemes: readonly SignatureScheme[];
  /** Bytes that a signature has at most. */
  readonly signatureBytesMax: number;
  sign(scheme: SignatureScheme, content: Uint8Array): Uint8Array;
}

const ED25519: SignatureScheme = { id: 0x0807, hash: null, isPss: false };
const RSA_PSS: readonly SignatureScheme[] = [
  { id: 0x0804, hash: 'sha256', isPss: true },
  { id: 0x0805, hash: 'sha384', isPss: true },
  { id: 0x0806, hash: 'sha512', isPss: true },
];
/** Each curve has one hash. */
const ECDSA: Readonly<Record<string, SignatureScheme>> = {
  prime256v1: { id: 0x0403, hash: 'sha256', isPss: false },
  secp384r1: { id: 0x0503, hash: 'sha384', isPss: false },
};
/** DER of two numbers of the curve's size, with their heads. */
const ECDSA_SIGNATURE_BYTES_MAX: Readonly<Record<string, number>> = { prime256v1: 72, secp384r1: 104 };
const ED25519_SIGNATURE_BYTES = 64;

/** Whether the key is of a kind that signs here; else why not, as a clause about "it". */
export function signingKeyFault(key: KeyObject): string | null {
  return describeKey(key).fault;
}

/**
 * @param privateKey PKCS#8, DER.
 * @throws Error if it is no key that signs here; whoever reads keys has checked that.
 */
export function createSigningKey(privateKey: Uint8Array): SigningKey {
  const key = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
  const { fault, schemes, signatureBytesMax } = describeKey(key);
  if (fault !== null) throw new Error(`the private key cannot sign here: ${fault}`);
  return {
    schemes,
    signatureBytesMax,
    sign: ({ hash, isPss }, content) =>
      isPss
        ? sign(hash, content, {
            key,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          })
        : sign(hash, content, key),
  };
}

interface KeyFacts {
  readonly fault: string | null;
  readonly schemes: readonly SignatureScheme[];
  readonly signatureBytesMax: number;
}

function describeKey({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): KeyFacts {
  const { modulusLength = 0, namedCurve = '' } = details;
  const ecdsa = type === 'ec' ? ECDSA[namedCurve] : undefined;
  if (ecdsa !== undefined) {
    return {
      fault: null,
      schemes: [ecdsa],
      signatureBytesMax: ECDSA_SIGNATURE_BYTES_MAX[namedCurve] ?? 0,
    };
  }
  if (type === 'ed25519') {
    return { fault: null, schemes: [ED25519], signatureBytesMax: ED25519_SIGNATURE_BYTES };
  }
  if (type !== 'rsa') return unusable(`it is of the kind ${namedCurve === '' ? String(type) : namedCurve}`);
  if (modulusLength < RSA_BITS_MIN || modulusLength > RSA_BITS_MAX) {
    return unusable(`it is an RSA key of ${modulusLength} bits`);
  }
  return { fault: null, schemes: RSA_PSS, signatureBytesMax: Math.ceil(modulusLength / 8) };
}

function unusable(what: string): KeyFacts {
  const known = `P-256, P-384, Ed25519 or RSA with ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`;
  return { fault: `${what}, where ${known} is needed`, schemes: [], signatureBytesMax: 0 };
}
