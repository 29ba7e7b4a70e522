/** What stands in a ServerHello that is not encrypted (RFC 8446 section 4.1.3), and in a HelloRetryRequest. */
import { ByteReader } from '../wire/byte-reader.ts';
import { EXTENSIONS } from '../wire/hello-layout.ts';

/** The random of a HelloRetryRequest, which is a ServerHello otherwise. */
const RETRY_RANDOM = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex');
/** Behind the header of the message and its version. */
const RANDOM_OFFSET = 6;
const SUITE_AND_COMPRESSION_BYTES = 3;
export const COOKIE = 44;
export const KEY_SHARE = 51;

export interface ServerHelloFacts {
  /** The version of TLS chosen, such as 0x0304. */
  readonly version: number;
  /** The group of the key share, or the one that is asked for; null without key_share. */
  readonly group: number | null;
  /** The data of the extension cookie, to be sent back as it is; null without one. */
  readonly cookie: Uint8Array | null;
  /** The data of encrypted_client_hello; null without it. */
  readonly ech: Uint8Array | null;
}

/** @param message A ServerHello with its 4-byte header. */
export function isRetryRequest(message: Uint8Array): boolean {
  return RETRY_RANDOM.equals(message.subarray(RANDOM_OFFSET, RANDOM_OFFSET + RETRY_RANDOM.length));
}

/** Null for a malformed one. @param message With its 4-byte header; what comes out views it. */
export function readServerHello(message: Uint8Array): ServerHelloFacts | null {
  const reader = new ByteReader(message, RANDOM_OFFSET - 2);
  let version = reader.u16();
  reader.skip(RETRY_RANDOM.length);
  reader.vector8();
  reader.skip(SUITE_AND_COMPRESSION_BYTES);
  // Old versions may leave the extensions out (RFC 5246 section 7.4.1.3).
  const extensions = reader.remaining === 0 ? new ByteReader(message, message.length) : reader.vector16();
  let group: number | null = null;
  let cookie: Uint8Array | null = null;
  let ech: Uint8Array | null = null;
  while (extensions.remaining > 0) {
    const type = extensions.u16();
    const data = extensions.vector16();
    if (type === EXTENSIONS.supported_versions) version = data.u16();
    if (type === KEY_SHARE) group = data.u16();
    if (type === COOKIE) cookie = data.rest();
    if (type === EXTENSIONS.encrypted_client_hello) ech = data.rest();
    if (!data.ok) return null;
  }
  return reader.ok && extensions.ok ? { version, group, cookie, ech } : null;
}
