import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KeyedHash } from './keyed-hash.ts';

/** The reference's test vectors: key 00..07, messages 00 01 02 ... of whole words, 64 bits out. */
const VECTORS: readonly (readonly [bytes: number, digest: string])[] = [
  [0, '218d1f59b9b83cc8'],
  [4, 'd5e78a175be52ea1'],
  [8, 'edfee820bce4858c'],
  [12, '7bc71f9faef5c799'],
];

function digest(bytes: number): string {
  const hash = new KeyedHash(0x03020100, 0x07060504);
  hash.begin();
  for (let at = 0; at < bytes; at += 4) {
    hash.add(at | ((at + 1) << 8) | ((at + 2) << 16) | ((at + 3) << 24));
  }
  hash.finish();
  const out = Buffer.alloc(8);
  out.writeInt32LE(hash.low, 0);
  out.writeInt32LE(hash.high, 4);
  return out.toString('hex');
}

describe('KeyedHash', () => {
  test('gives the digests of the reference', () => {
    for (const [bytes, expected] of VECTORS) assert.equal(digest(bytes), expected, `${bytes} bytes`);
  });

  test('tells texts apart that differ in their end only', () => {
    const seen = new Set<string>();
    const hash = new KeyedHash(1, 2);
    for (const text of ['', 'a', 'a\0', 'ab', 'abc', 'abcd', 'abcde', '\0abc', 'abcd\0']) {
      hash.begin();
      hash.addText(text);
      hash.finish();
      seen.add(`${hash.low} ${hash.high}`);
    }
    assert.equal(seen.size, 9);
  });
});
