import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildClientHello } from '../../test/support/hello-builder.ts';
import { parseClientHello } from './hello-reader.ts';
import { sniffProtocol } from './sniff-protocol.ts';
import type { SniffedProtocol } from './sniff-protocol.ts';

/** First bytes as clients send them; a character for each byte. */
const OPENINGS: readonly (readonly [SniffedProtocol, string])[] = [
  ['http', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['http', 'HEAD / HTTP/1.0\r\n\r\n'],
  ['http', 'POST /upload HTTP/1.1\r\n'],
  ['http', 'PUT / HTTP/1.1\r\n'],
  ['http', 'DELETE / HTTP/1.1\r\n'],
  ['http', 'OPTIONS * HTTP/1.1\r\n'],
  ['http', 'TRACE / HTTP/1.1\r\n'],
  ['http', 'PATCH / HTTP/1.1\r\n'],
  ['http', 'PROPFIND / HTTP/1.1\r\n'],
  ['http', 'CONNECT a:443 HTTP/1.1\r\n'],
  ['http', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['ssh', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['smtp', 'EHLO mail.example.com\r\n'],
  ['smtp', 'helo mail\r\n'],
  ['ftp', 'USER anonymous\r\n'],
  ['ftp', 'AUTH TLS\r\n'],
  ['xmpp', "<?xml version='1.0'?><stream:stream>"],
  ['xmpp', '<stream:stream to="example.com">'],
  ['proxy', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'],
  ['proxy', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c'],
  ['postgres', '\0\0\0\x08\x04\xd2\x16\x2f'],
  ['postgres', '\0\0\0\x08\x04\xd2\x16\x30'],
  ['postgres', '\0\0\0\x52\0\x03\0\0user\0a\0'],
  ['rdp', '\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0'],
  ['sslv2', '\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10'],
  ['socks', '\x04\x01\x01\xbb\xc0\0\x02\x01\0'],
  ['socks', '\x05\x01\0'],
  ['socks', '\x05\x02\0\x02'],
];

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

test('sniffProtocol() names what often turns up at a TLS port', () => {
  for (const [protocol, opening] of OPENINGS) {
    assert.equal(sniffProtocol(bytesOf(opening)), protocol, JSON.stringify(opening));
  }
});

test('parseClientHello() calls each of them not-tls on the very first byte', () => {
  for (const [protocol, opening] of OPENINGS) {
    for (const seen of [bytesOf(opening).subarray(0, 1), bytesOf(opening)]) {
      const result = parseClientHello(seen);
      assert.ok(result.kind === 'invalid', protocol);
      assert.equal(result.code, 'not-tls', protocol);
    }
  }
});

test('sniffProtocol() names nothing by too few bytes, nor what only looks alike', () => {
  for (const opening of [
    '',
    'G',
    'GET',
    'GETAWAY ',
    'ssh-2.0',
    'EHLOX',
    '\x04',
    '\x04\x03',
    '\x05',
    '\x05\0\0',
  ]) {
    assert.equal(sniffProtocol(bytesOf(opening)), null, JSON.stringify(opening));
  }
  assert.equal(sniffProtocol(bytesOf('\0\0\0\x08\x04\xd2\x16\x2e')), null);
  assert.equal(sniffProtocol(bytesOf(' GET / HTTP/1.1\r\n')), null);
  assert.equal(sniffProtocol(bytesOf('\n\x04\x01')), null);
});

test('sniffProtocol() names nothing for TLS itself', () => {
  assert.equal(sniffProtocol(buildClientHello({ serverName: 'example.com' })), null);
});
