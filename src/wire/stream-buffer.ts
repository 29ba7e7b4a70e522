/** The first bytes of a connection, kept in one piece while they are few: a hello, and what comes with it. */

const NOTHING = new Uint8Array(0);

export class StreamBuffer {
  #bytes: Uint8Array = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All bytes so far, as a view that the next `append` may leave behind. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies `bytes` behind those so far; doubling keeps the total cost linear however small the pieces are. */
  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** Lets go of the first bytes. */
  drop(count: number): void {
    this.#bytes.copyWithin(0, count, this.#length);
    this.#length -= count;
  }

  /** Hands all bytes over and lets go of them. */
  take(): Uint8Array {
    const { bytes } = this;
    this.#bytes = NOTHING;
    this.#length = 0;
    return bytes;
  }
}
