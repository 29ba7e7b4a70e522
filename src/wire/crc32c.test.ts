import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeCrc32c } from './crc32c.ts';

test('computeCrc32c() gives the known values', () => {
  // RFC 3720 section B.4, and the check value of the catalogue of parametrised CRC algorithms.
  const vectors: readonly (readonly [bytes: Uint8Array, crc: number])[] = [
    [new Uint8Array(0), 0],
    [Buffer.from('123456789'), 0xe306_9283],
    [Buffer.from('a'), 0xc1d0_4330],
    [new Uint8Array(32), 0x8a91_36aa],
    [new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    [Uint8Array.from({ length: 32 }, (_, at) => at), 0x46dd_794e],
    [Uint8Array.from({ length: 32 }, (_, at) => 31 - at), 0x113f_db5c],
  ];
  for (const [bytes, crc] of vectors) assert.equal(computeCrc32c(bytes), crc);
});
