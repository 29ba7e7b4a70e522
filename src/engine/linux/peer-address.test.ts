import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { readPeer } from './peer-address.ts';
import { AF_INET, AF_INET6 } from './syscalls/constants.ts';
import type { Region } from './syscalls/arena.ts';

/** A socket address as the kernel writes it: port 443, and these bytes from `at` on. */
function region(family: number, at: number, hex: string): Region {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(443, 2);
  bytes.write(hex, at, 'hex');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { view, offset: 0 } as Region;
}

describe('readPeer()', () => {
  test('reads the same numbers as parsePeerAddress() does from the text', () => {
    const v4 = parsePeerAddress('10.0.0.1', 443);
    assert.deepEqual(readPeer(region(AF_INET, 4, '0a000001')), v4);
    assert.deepEqual(readPeer(region(AF_INET6, 8, '00000000000000000000ffff0a000001')), v4);
    const v6 = parsePeerAddress('2001:db8::1', 443);
    assert.deepEqual(readPeer(region(AF_INET6, 8, '20010db8000000000000000000000001')), v6);
  });
});
