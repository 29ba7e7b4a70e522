import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isContentType, recordLength } from './tls-record.ts';

test('isContentType() knows change_cipher_spec to heartbeat', () => {
  const known = Array.from({ length: 256 }, (_, byte) => byte).filter(isContentType);
  assert.deepEqual(known, [20, 21, 22, 23, 24]);
});

test('recordLength() reads the two length bytes of the header at an offset', () => {
  assert.equal(recordLength(Uint8Array.of(22, 3, 1, 0x12, 0x34), 0), 0x1234);
  assert.equal(recordLength(Uint8Array.of(9, 9, 22, 3, 1, 0xff, 0xff), 2), 0xffff);
});
