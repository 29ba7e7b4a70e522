/**
 * HalfSipHash-2-4 with 64 bits of output (github.com/veorq/SipHash, halfsiphash.c) over 32-bit words: keys of the limit
 * table. Clients choose what is hashed; with a secret key they cannot choose what collides.
 */

export class KeyedHash {
  /** The two halves of the last digest; never both 0. */
  low = 0;
  high = 0;
  readonly #k0: number;
  readonly #k1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;
  #words = 0;

  constructor(k0: number, k1: number) {
    this.#k0 = k0;
    this.#k1 = k1;
  }

  begin(): void {
    this.#v0 = this.#k0;
    this.#v1 = this.#k1 ^ 0xee;
    this.#v2 = 0x6c796765 ^ this.#k0;
    this.#v3 = 0x74656462 ^ this.#k1;
    this.#words = 0;
  }

  add(word: number): void {
    this.#words++;
    this.#absorb(word | 0);
  }

  /** Adds a text of single-byte characters, such as a canonical server name, and its length. */
  addText(text: string): void {
    let word = 0;
    for (let index = 0; index < text.length; index++) {
      word = (word << 8) | (text.charCodeAt(index) & 0xff);
      if (index % 4 === 3) {
        this.add(word);
        word = 0;
      }
    }
    this.add(word);
    this.add(text.length);
  }

  /** Puts the digest into `low` and `high`. */
  finish(): void {
    this.#absorb((this.#words * 4) << 24);
    this.#v2 ^= 0xee;
    for (let round = 0; round < 4; round++) this.#round();
    this.low = this.#v1 ^ this.#v3;
    this.#v1 ^= 0xdd;
    for (let round = 0; round < 4; round++) this.#round();
    this.high = this.#v1 ^ this.#v3;
    if (this.low === 0 && this.high === 0) this.low = 1;
  }

  #absorb(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#round();
    this.#v0 ^= word;
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
