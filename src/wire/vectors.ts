/** Numbers and vectors as TLS writes them (RFC 8446 section 3.4): what `ByteReader` reads. */

export function u16(value: number): number[] {
  return [value >> 8, value & 255];
}

/** Behind its 1-byte length: at most 255 bytes. */
export function vector8(bytes: ArrayLike<number>): number[] {
  return [bytes.length, ...Array.from(bytes)];
}

/** Behind its 2-byte length: at most 65,535 bytes. */
export function vector16(bytes: ArrayLike<number>): number[] {
  return [...u16(bytes.length), ...Array.from(bytes)];
}
