/** The key schedule of TLS 1.3 as far as handshake keys (RFC 8446 section 7), for servers without tickets. */
import { createHash, createHmac } from 'node:crypto';

export type TlsHash = 'sha256' | 'sha384';

/** What a sender protects its records with. */
export interface TrafficKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

export interface Expansion {
  /** Without the "tls13 " that all labels begin with. */
  readonly label: string;
  readonly context: Uint8Array;
  /** At most that of the hash. */
  readonly length: number;
}

const NOTHING = new Uint8Array(0);
const IV_BYTES = 12;
const HASH_BYTES: Readonly<Record<TlsHash, number>> = { sha256: 32, sha384: 48 };

/** HKDF-Extract (RFC 5869 section 2.2). @param salt Empty for zeros. */
export function hkdfExtract(hash: TlsHash, salt: Uint8Array, input: Uint8Array): Buffer {
  return createHmac(hash, salt).update(input).digest();
}

/** HKDF-Expand-Label (RFC 8446 section 7.1) of at most one hash's length, which is all that is needed here. */
export function hkdfExpandLabel(
  hash: TlsHash,
  secret: Uint8Array,
  { label, context, length }: Expansion,
): Buffer {
  const fullLabel = Buffer.from(`tls13 ${label}`, 'latin1');
  return createHmac(hash, secret)
    .update(Uint8Array.of(length >> 8, length & 255, fullLabel.length))
    .update(fullLabel)
    .update(Uint8Array.of(context.length))
    .update(context)
    .update(Uint8Array.of(1))
    .digest()
    .subarray(0, length);
}

/** Hash of handshake messages, each with its header. */
export function hashMessages(hash: TlsHash, messages: readonly Uint8Array[]): Buffer {
  const digest = createHash(hash);
  for (const message of messages) digest.update(message);
  return digest.digest();
}

/** `server_handshake_traffic_secret`. @param transcript Hash of ClientHello and ServerHello. */
export function serverHandshakeSecret(hash: TlsHash, shared: Uint8Array, transcript: Uint8Array): Buffer {
  const length = HASH_BYTES[hash];
  const early = hkdfExtract(hash, NOTHING, new Uint8Array(length));
  const derived = hkdfExpandLabel(hash, early, { label: 'derived', context: hashMessages(hash, []), length });
  const handshake = hkdfExtract(hash, derived, shared);
  return hkdfExpandLabel(hash, handshake, { label: 's hs traffic', context: transcript, length });
}

export function trafficKeys(hash: TlsHash, secret: Uint8Array, keyBytes: number): TrafficKeys {
  return {
    key: hkdfExpandLabel(hash, secret, { label: 'key', context: NOTHING, length: keyBytes }),
    iv: hkdfExpandLabel(hash, secret, { label: 'iv', context: NOTHING, length: IV_BYTES }),
  };
}

/** `verify_data` of Finished (RFC 8446 section 4.4.4). @param transcript Hash of all messages before it. */
export function finishedData(hash: TlsHash, secret: Uint8Array, transcript: Uint8Array): Buffer {
  const length = HASH_BYTES[hash];
  const key = hkdfExpandLabel(hash, secret, { label: 'finished', context: NOTHING, length });
  return createHmac(hash, key).update(transcript).digest();
}
