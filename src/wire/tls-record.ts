/** Facts of the TLS record header (RFC 8446 section 5.1): type, two version bytes, two length bytes. */

/** Bytes of a record header. */
export const RECORD_HEADER_BYTES = 5;
/** The content type of handshake messages. */
export const CONTENT_TYPE_HANDSHAKE = 22;
/** The major version byte of every TLS record since SSL 3.0; the minor byte says nothing (RFC 8446 section 5.1). */
export const RECORD_VERSION_MAJOR = 3;

/** change_cipher_spec, the lowest content type. */
const CONTENT_TYPE_FIRST = 20;
/** heartbeat (RFC 6520), the highest content type in use over TCP. */
const CONTENT_TYPE_LAST = 24;

/** True if a TLS record may begin with this byte, whatever the state of the handshake. */
export function isContentType(byte: number): boolean {
  return byte >= CONTENT_TYPE_FIRST && byte <= CONTENT_TYPE_LAST;
}

/** Payload bytes announced by the record header at `at`, which must lie in `stream` as a whole. */
export function recordLength(stream: Uint8Array, at: number): number {
  return (stream[at + 3]! << 8) | stream[at + 4]!;
}

/** `legacy_record_version` of the record at the beginning, such as 0x0301. */
export function recordVersion(stream: Uint8Array): number {
  return (stream[1]! << 8) | stream[2]!;
}
