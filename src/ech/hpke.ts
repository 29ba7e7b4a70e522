/**
 * The receiver of Hybrid Public Key Encryption in base mode (RFC 9180 section 5.1.1), synchronous: with one hello to open,
 * the order of bytes stays simple, and a promise for each step would cost more than the step.
 */
import { createDecipheriv, createHmac } from 'node:crypto';
import type { CipherGCMTypes } from 'node:crypto';
import { AEADS, AEAD_NONCE_BYTES, AEAD_TAG_BYTES, KDFS } from './hpke-suites.ts';
import type { AeadId } from './hpke-suites.ts';
import type { KemKey } from './kem-key.ts';

/** What both ends derive from the key exchange. */
export interface HpkeSecrets {
  readonly aead: AeadId;
  readonly key: Uint8Array;
  readonly baseNonce: Uint8Array;
}

export interface HpkeSetup {
  readonly key: KemKey;
  readonly aead: AeadId;
  /** The sender's encapsulated key. */
  readonly enc: Uint8Array;
  readonly info: Uint8Array;
}

const VERSION_LABEL = Buffer.from('HPKE-v1');
const MODE_BASE = 0;
const NOTHING = new Uint8Array(0);
const SECRET_BYTES = 32;

/** Opens the messages of one sender in their order. */
export class HpkeReceiver {
  readonly #secrets: HpkeSecrets;
  #sequence = 0;

  constructor(secrets: HpkeSecrets) {
    this.#secrets = secrets;
  }

  /**
   * The plaintext of the next message; null if it is not that, after which the same message may be tried again.
   *
   * @param sealed Ciphertext with the tag behind it.
   */
  open(sealed: Uint8Array, additionalData: Uint8Array): Uint8Array | null {
    const end = sealed.length - AEAD_TAG_BYTES;
    if (end < 0) return null;
    const { aead, key } = this.#secrets;
    const nonce = nonceOf(this.#secrets, this.#sequence);
    // The three ciphers share this interface; Node's types name it by GCM alone.
    const cipher = AEADS[aead].cipher as CipherGCMTypes;
    const decipher = createDecipheriv(cipher, key, nonce, { authTagLength: AEAD_TAG_BYTES });
    decipher.setAAD(additionalData);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return null;
    }
    this.#sequence++;
    return plaintext;
  }
}

/** SetupBaseR; null if `enc` is no key that fits. */
export function createHpkeReceiver({ key, aead, enc, info }: HpkeSetup): HpkeReceiver | null {
  const shared = key.agree(enc);
  if (shared === null) return null;
  return new HpkeReceiver(deriveSecrets({ shared, enc, publicKey: key.publicKey, kem: key.kem, aead, info }));
}

/** What the key exchange gives to both ends (RFC 9180 sections 4.1 and 5.1). */
export function deriveSecrets(exchange: {
  /** The Diffie-Hellman secret. */
  readonly shared: Uint8Array;
  readonly enc: Uint8Array;
  /** The recipient's. */
  readonly publicKey: Uint8Array;
  readonly kem: number;
  readonly aead: AeadId;
  readonly info: Uint8Array;
}): HpkeSecrets {
  const { shared, enc, publicKey, kem, aead, info } = exchange;
  const kemSuite = Buffer.concat([Buffer.from('KEM'), u16(kem)]);
  const agreed = expand(extract(kemSuite, NOTHING, ['eae_prk', shared]), kemSuite, {
    label: 'shared_secret',
    context: Buffer.concat([enc, publicKey]),
    length: SECRET_BYTES,
  });
  const suite = Buffer.concat([Buffer.from('HPKE'), u16(kem), u16(KDFS.hkdfSha256), u16(aead)]);
  const context = Buffer.concat([
    Uint8Array.of(MODE_BASE),
    extract(suite, NOTHING, ['psk_id_hash', NOTHING]),
    extract(suite, NOTHING, ['info_hash', info]),
  ]);
  const secret = extract(suite, agreed, ['secret', NOTHING]);
  return {
    aead,
    key: expand(secret, suite, { label: 'key', context, length: AEADS[aead].keyBytes }),
    baseNonce: expand(secret, suite, { label: 'base_nonce', context, length: AEAD_NONCE_BYTES }),
  };
}

/** The nonce of a message: the base nonce with the number of the message in its last bytes (RFC 9180 section 5.2). */
export function nonceOf({ baseNonce }: HpkeSecrets, sequence: number): Uint8Array {
  const nonce = Buffer.from(baseNonce);
  nonce.writeUInt32BE((nonce.readUInt32BE(AEAD_NONCE_BYTES - 4) ^ sequence) >>> 0, AEAD_NONCE_BYTES - 4);
  return nonce;
}

/** LabeledExtract (RFC 9180 section 4). */
function extract(suite: Uint8Array, salt: Uint8Array, [label, input]: readonly [string, Uint8Array]): Buffer {
  const mac = createHmac('sha256', salt).update(VERSION_LABEL).update(suite);
  return mac.update(label).update(input).digest();
}

/** LabeledExpand (RFC 9180 section 4) of at most one hash's length, which is all that is needed here. */
function expand(
  secret: Uint8Array,
  suite: Uint8Array,
  { label, context, length }: { label: string; context: Uint8Array; length: number },
): Buffer {
  const mac = createHmac('sha256', secret).update(u16(length)).update(VERSION_LABEL).update(suite);
  return mac.update(label).update(context).update(Uint8Array.of(1)).digest().subarray(0, length);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}
