import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPeerAddress, parsePeerAddress } from './peer-address.ts';

test('parsePeerAddress() reads what formatPeerAddress() shows', () => {
  for (const text of ['192.0.2.1', '255.255.255.255', '2001:db8::1', '::', 'fe80::1:2:3:4', 'unix']) {
    assert.equal(formatPeerAddress(parsePeerAddress(text, 1)), text);
  }
});

test('parsePeerAddress() takes an IPv4-mapped address for IPv4, and leaves zones out', () => {
  assert.deepEqual(parsePeerAddress('::ffff:192.0.2.1', 7), parsePeerAddress('192.0.2.1', 7));
  assert.deepEqual(parsePeerAddress('fe80::1%eth0', 7), parsePeerAddress('fe80::1', 7));
});

test('parsePeerAddress() gives family 0 to what is no address', () => {
  for (const text of ['unknown', 'unix', '', '127.1']) assert.equal(parsePeerAddress(text, 1).family, 0);
});
