import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_ALPN_BYTES_MAX } from '../limits.ts';
import { encodeOwnHeader, encodeProxyHeader } from './proxy-encoder.ts';
import type { ProxyFacts } from './proxy-encoder.ts';
import { readProxyHeader } from './proxy-header.ts';
import type { ConnectionEnd, ProxyOut } from './proxy-types.ts';

const V1: ProxyOut = {
  version: 1,
  authority: false,
  alpn: false,
  uniqueId: false,
  crc32c: false,
  custom: [],
};
const V2: ProxyOut = { ...V1, version: 2 };
const ALL: ProxyOut = { ...V2, authority: true, alpn: true, uniqueId: true, crc32c: true };

function tcp(address: string, port: number): ConnectionEnd {
  return { kind: 'tcp', address, port, family: address.includes(':') ? 6 : 4 };
}

const FACTS: ProxyFacts = {
  source: tcp('192.0.2.1', 56_324),
  destination: tcp('198.51.100.7', 443),
  serverName: 'example.com',
  alpnProtocols: ['h2', 'http/1.1'],
  uniqueId: 'a1b2-7',
};

function lineOf(facts: Partial<ProxyFacts>): string {
  return Buffer.from(encodeProxyHeader(V1, { ...FACTS, ...facts })).toString('latin1');
}

function hexOf(header: Uint8Array): string {
  return Buffer.from(header).toString('hex');
}

/** Text of the TLVs by type, a character for each byte. */
function tlvsOf(out: ProxyOut, facts: Partial<ProxyFacts> = {}): Record<number, string> {
  const header = readProxyHeader(encodeProxyHeader(out, { ...FACTS, ...facts }));
  assert.ok(header.kind === 'complete');
  return Object.fromEntries(
    header.tlvs.map(({ type, value }) => [type, Buffer.from(value).toString('latin1')]),
  );
}

test('encodeProxyHeader() writes the line of version 1', () => {
  assert.equal(lineOf({}), 'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n');
  assert.equal(
    lineOf({ source: tcp('2001:db8::1', 1), destination: tcp('2001:db8::2', 2) }),
    'PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n',
  );
});

test('encodeProxyHeader() wraps an IPv4 address in IPv6 beside an IPv6 one, and drops zones', () => {
  const mixed = { destination: tcp('fe80::2%eth0', 443) };
  assert.equal(lineOf(mixed), 'PROXY TCP6 ::ffff:192.0.2.1 fe80::2 56324 443\r\n');
  const header = readProxyHeader(encodeProxyHeader(V2, { ...FACTS, ...mixed }));
  assert.ok(header.kind === 'complete');
  assert.deepEqual(header.ends, { source: FACTS.source, destination: tcp('fe80::2', 443) });
});

test('encodeProxyHeader() says nothing of ends that version 1 has no words for', () => {
  const unix: ConnectionEnd = { kind: 'unix', path: '/run/sniway.sock' };
  for (const facts of [{ source: null }, { destination: null }, { source: unix, destination: unix }]) {
    assert.equal(lineOf(facts), 'PROXY UNKNOWN\r\n');
  }
});

test('encodeProxyHeader() writes version 2 byte for byte', () => {
  assert.equal(
    hexOf(encodeProxyHeader(V2, FACTS)),
    '0d0a0d0a000d0a515549540a 2111000c c0000201 c6336407 dc0401bb'.replaceAll(' ', ''),
  );
  assert.equal(
    hexOf(encodeProxyHeader({ ...V2, authority: true }, { ...FACTS, serverName: 'a.b' })),
    '0d0a0d0a000d0a515549540a 21110012 c0000201 c6336407 dc0401bb 020003 612e62'.replaceAll(' ', ''),
  );
});

test('encodeProxyHeader() writes version 2 for Unix-domain and unknown clients', () => {
  const source: ConnectionEnd = { kind: 'unix', path: '' };
  const destination: ConnectionEnd = { kind: 'unix', path: '/run/sniway.sock' };
  const unix = readProxyHeader(encodeProxyHeader(ALL, { ...FACTS, source, destination }));
  assert.ok(unix.kind === 'complete');
  assert.deepEqual(unix.ends, { source, destination });
  assert.equal(unix.consumed > 16 + 216, true);
  for (const facts of [{ source: null }, { destination: null }, { source }]) {
    const unknown = encodeProxyHeader(V2, { ...FACTS, ...facts });
    assert.equal(hexOf(unknown), '0d0a0d0a000d0a515549540a21000000');
  }
});

test('encodeProxyHeader() sends the TLVs that are asked for, and no other', () => {
  assert.deepEqual(tlvsOf(V2), {});
  assert.deepEqual(tlvsOf({ ...V2, authority: true }), { 2: 'example.com' });
  assert.deepEqual(tlvsOf({ ...V2, uniqueId: true }), { 5: 'a1b2-7' });
  assert.deepEqual(tlvsOf({ ...V2, alpn: true }), { 1: '\0\x0c\x02h2\x08http/1.1' });
  const custom = [{ type: 0xe0, value: Buffer.from('eu-west') }];
  assert.deepEqual(tlvsOf({ ...V2, custom }), { [0xe0]: 'eu-west' });
  assert.deepEqual(Object.keys(tlvsOf({ ...ALL, custom })), ['1', '2', '3', '5', '224']);
});

test('encodeProxyHeader() leaves out a name or protocols that the client has not sent', () => {
  const facts = { serverName: null, alpnProtocols: [] };
  assert.deepEqual(Object.keys(tlvsOf(ALL, facts)), ['3', '5']);
});

test('encodeProxyHeader() leaves out protocols beyond its bound', () => {
  const longest = ['x'.repeat(255), 'x'.repeat(255), 'x'.repeat(255), 'x'.repeat(PROXY_ALPN_BYTES_MAX - 771)];
  assert.equal(tlvsOf(ALL, { alpnProtocols: longest })[1]?.length, PROXY_ALPN_BYTES_MAX);
  assert.equal(tlvsOf(ALL, { alpnProtocols: [...longest, 'x'] })[1], undefined);
});

test('encodeOwnHeader() tells that a connection is our own, as far as a version can', () => {
  const ends = [tcp('192.0.2.1', 1), tcp('192.0.2.2', 443)] as const;
  assert.equal(hexOf(encodeOwnHeader(V2, ends)), '0d0a0d0a000d0a515549540a20000000');
  assert.equal(Buffer.from(encodeOwnHeader(V1, ends)).toString(), 'PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n');
});
