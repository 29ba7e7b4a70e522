/**
 * What the bench client says to the bench backend. The backend learns from the hello itself what to do, because a proxy
 * must find an ordinary ClientHello and nothing else: the first byte of its random field is the letter of the mode.
 */

/** What the backend does once the hello is there. */
export const MODES = {
  /** Sends ANSWER_BYTES and closes. */
  answer: 'a',
  /** Sends as fast as it can until the connection ends. */
  download: 'd',
  /** Reads as fast as it can until the connection ends. */
  upload: 'u',
  /** Sends back what it reads. */
  echo: 'e',
  /** Sends one byte, then holds the connection. */
  hold: 'h',
  /** Sends 8 bytes: the upload bytes it has read so far, little-endian. Only asked without a proxy. */
  count: 'c',
} as const;
export type Mode = keyof typeof MODES;

export const ANSWER_BYTES = 256;
export const PING_BYTES = 64;
export const COUNT_BYTES = 8;
/** Bytes one read or write of a bulk flow asks for. */
export const BULK_BYTES = 256 * 1024;

/** Record header, handshake header, version: the random field follows (RFC 8446 sections 4, 4.1.2, 5.1). */
export const MODE_OFFSET = 5 + 4 + 2;
const RECORD_HEADER_BYTES = 5;

/** A copy of `hello` that asks for `mode`. */
export function helloFor(hello: Buffer, mode: Mode): Buffer {
  const copy = Buffer.from(hello);
  copy.write(MODES[mode], MODE_OFFSET, 'latin1');
  return copy;
}

/** Bytes of the TLS record that begins at `offset`. */
export function recordBytes(bytes: Buffer, offset: number): number {
  return RECORD_HEADER_BYTES + bytes.readUInt16BE(offset + 3);
}
