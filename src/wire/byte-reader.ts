/**
 * The one bounds-checked reader of wire formats. A read past the end gives 0 or an empty value and clears `ok` for
 * good, so that a parser may read a whole structure and check once.
 */

/** Reads big-endian values from `bytes[start, end)`; holds a view, copies nothing. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;
  #ok = true;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#end = Math.min(end, bytes.length);
    this.#position = Math.min(start, this.#end);
  }

  /** False once any read has run past the end. */
  get ok(): boolean {
    return this.#ok;
  }

  /** Offset of the next byte in the array given to the constructor. */
  get position(): number {
    return this.#position;
  }

  /** Bytes not read yet; 0 after an overrun. */
  get remaining(): number {
    return this.#end - this.#position;
  }

  /** True if every byte was read and none was missing. */
  get done(): boolean {
    return this.#ok && this.#position === this.#end;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#bytes[at]!;
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  u24(): number {
    const at = this.#take(3);
    return at < 0 ? 0 : (this.#bytes[at]! << 16) | (this.#bytes[at + 1]! << 8) | this.#bytes[at + 2]!;
  }

  /** Steps over `count` bytes. */
  skip(count: number): void {
    this.#take(count);
  }

  /** The next `count` bytes as a view; empty after an overrun. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return at < 0 ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(at, at + count);
  }

  /** All bytes not read yet, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A reader of the vector that follows its 1-byte length (RFC 8446 section 3.4); one that is not `ok` on overrun. */
  vector8(): ByteReader {
    return this.#vector(this.u8());
  }

  /** A reader of the vector that follows its 2-byte length; one that is not `ok` on overrun. */
  vector16(): ByteReader {
    return this.#vector(this.u16());
  }

  #vector(length: number): ByteReader {
    const at = this.#take(length);
    if (at >= 0) return new ByteReader(this.#bytes, at, at + length);
    const empty = new ByteReader(this.#bytes, this.#end, this.#end);
    empty.#ok = false;
    return empty;
  }

  /** Offset of the `count` bytes just taken, or -1. */
  #take(count: number): number {
    const at = this.#position;
    if (!this.#ok || count > this.#end - at) {
      this.#ok = false;
      this.#position = this.#end;
      return -1;
    }
    this.#position = at + count;
    return at;
  }
}
