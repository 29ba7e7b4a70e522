import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX } from '../limits.ts';
import { encodeV2 } from './proxy-encoder.ts';
import { mayBeProxyHeader, readProxyHeader } from './proxy-header.ts';
import type { ProxyHeader } from './proxy-header.ts';
import { V2_SIGNATURE } from './proxy-types.ts';
import type { ConnectionEnd, ProxyTlv } from './proxy-types.ts';

const BEHIND = Buffer.from('\x16\x03\x01PROXY \r\n');
const IPV4_ENDS: readonly [ConnectionEnd, ConnectionEnd] = [
  { kind: 'tcp', address: '192.0.2.1', port: 56_324, family: 4 },
  { kind: 'tcp', address: '198.51.100.7', port: 443, family: 4 },
];
const IPV6_ENDS: readonly [ConnectionEnd, ConnectionEnd] = [
  { kind: 'tcp', address: '2001:db8::1', port: 56_324, family: 6 },
  { kind: 'tcp', address: '2001:db8:0:7::a', port: 443, family: 6 },
];

function line(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** A header of version 2 with any bytes after its signature. */
function binary(versionAndCommand: number, family: number, body: Uint8Array | readonly number[]): Uint8Array {
  return Uint8Array.of(
    ...V2_SIGNATURE,
    versionAndCommand,
    family,
    body.length >> 8,
    body.length & 255,
    ...body,
  );
}

/** Reads a whole header with other bytes behind it, which must be neither taken nor needed. */
function readWhole(header: Uint8Array): ProxyHeader {
  const result = readProxyHeader(Uint8Array.of(...header, ...BEHIND));
  assert.deepEqual(readProxyHeader(Uint8Array.from(header)), result);
  assert.ok(result.kind === 'complete', JSON.stringify(result));
  assert.equal(result.consumed, header.length);
  return result;
}

function codeOf(stream: Uint8Array): string {
  const result = readProxyHeader(stream);
  return result.kind === 'invalid' ? result.code : result.kind;
}

const IPV4_BODY = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 1, 0xbb];

test('readProxyHeader() reads a line of version 1 with IPv4 addresses', () => {
  const header = readWhole(line('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n'));
  assert.deepEqual(header.ends, { source: IPV4_ENDS[0], destination: IPV4_ENDS[1] });
  assert.equal(header.version, 1);
});

test('readProxyHeader() reads IPv6 addresses of version 1 in any spelling, IPv4-mapped ones as IPv4', () => {
  const header = readWhole(line('PROXY TCP6 2001:DB8:0:0::1 2001:0db8:0000:0007::000A 56324 443\r\n'));
  assert.deepEqual(header.ends, { source: IPV6_ENDS[0], destination: IPV6_ENDS[1] });
  const mapped = readWhole(line('PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6407 56324 443\r\n'));
  assert.deepEqual(mapped.ends, { source: IPV4_ENDS[0], destination: IPV4_ENDS[1] });
});

test('readProxyHeader() ignores what stands behind UNKNOWN', () => {
  const tails = ['', ' ', ' ffff::1 ffff::2 65535 65535', '  anything\0\xff at all'];
  for (const tail of tails) assert.equal(readWhole(line(`PROXY UNKNOWN${tail}\r\n`)).ends, null);
  const longest = `PROXY UNKNOWN ${'x'.repeat(PROXY_V1_BYTES_MAX - 16)}\r\n`;
  assert.equal(longest.length, PROXY_V1_BYTES_MAX);
  assert.equal(readWhole(line(longest)).ends, null);
});

test('readProxyHeader() accepts the least and the greatest port', () => {
  const header = readWhole(line('PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n'));
  assert.deepEqual(
    [header.ends?.source, header.ends?.destination].map(end => (end?.kind === 'tcp' ? end.port : -1)),
    [0, 65_535],
  );
});

test('readProxyHeader() refuses every line that is not exactly as specified', () => {
  const addresses = '192.0.2.1 198.51.100.7';
  const lines = [
    'PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n',
    `PROXY TCP4  ${addresses} 1 2\r\n`,
    `PROXY TCP4 ${addresses} 1  2\r\n`,
    `PROXY TCP4 ${addresses} 1 2 \r\n`,
    `PROXY TCP4 ${addresses} 1 2 3\r\n`,
    `PROXY TCP4 ${addresses} 1\r\n`,
    `PROXY TCP4 ${addresses}\t1 2\r\n`,
    `PROXY tcp4 ${addresses} 1 2\r\n`,
    `PROXY TCP5 ${addresses} 1 2\r\n`,
    `PROXY UDP4 ${addresses} 1 2\r\n`,
    `PROXY TCP6 ${addresses} 1 2\r\n`,
    'PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n',
    `PROXY TCP4 ${addresses} 01 2\r\n`,
    `PROXY TCP4 ${addresses} 1 65536\r\n`,
    `PROXY TCP4 ${addresses} -1 2\r\n`,
    `PROXY TCP4 ${addresses} +1 2\r\n`,
    `PROXY TCP4 ${addresses} 0x1 2\r\n`,
    `PROXY TCP4 ${addresses} 1e1 2\r\n`,
    'PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1.1 198.51.100.7 1 2\r\n',
    'PROXY TCP4 0x7f.0.0.1 198.51.100.7 1 2\r\n',
    'PROXY TCP4 \xb9.0.0.1 198.51.100.7 1 2\r\n',
    'PROXY TCP6 2001:db8::1::2 2001:db8::2 1 2\r\n',
    'PROXY TCP6 1:2:3:4:5:6:7 2001:db8::2 1 2\r\n',
    'PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::2 1 2\r\n',
    'PROXY TCP6 1:2:3:4::5:6:7:8 2001:db8::2 1 2\r\n',
    'PROXY TCP6 2001:db8::00001 2001:db8::2 1 2\r\n',
    'PROXY TCP6 fe80::1%lo 2001:db8::2 1 2\r\n',
    'PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n',
    'PROXY TCP6 :::1 2001:db8::2 1 2\r\n',
    'PROXY TCP6 1:2:3:4:5:6:7:192.0.2.1 2001:db8::2 1 2\r\n',
    'PROXY TCP6 192.0.2.1::1 2001:db8::2 1 2\r\n',
    `PROXY TCP4 ${addresses} 1 2\n`,
    `PROXY TCP4 ${addresses} 1 2\r\r\n`,
    `PROXY TCP4 ${addresses}\r1 2\r\n`,
    'PROXY \r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY unknown\r\n',
    `PROXY UNKNOWN ${'x'.repeat(PROXY_V1_BYTES_MAX - 15)}\r\n`,
  ];
  for (const text of lines) assert.equal(codeOf(line(text)), 'bad-proxy-line', JSON.stringify(text));
});

test('readProxyHeader() refuses a line as soon as it cannot end well', () => {
  assert.equal(codeOf(line('PROXY TCP4\rx')), 'bad-proxy-line');
  assert.equal(codeOf(line('PROXY TCP4\r')), 'incomplete');
  assert.equal(codeOf(line(`PROXY ${'x'.repeat(PROXY_V1_BYTES_MAX - 7)}`)), 'incomplete');
  assert.equal(codeOf(line(`PROXY ${'x'.repeat(PROXY_V1_BYTES_MAX - 6)}`)), 'bad-proxy-line');
});

test('readProxyHeader() refuses a stream without a header at its first byte that fits none', () => {
  for (const text of ['\x16\x03\x01', 'X', 'p', 'PROXX', 'PROXY\t', 'PROXY\r', '\r\n\r\nX', '\n', 'GET /']) {
    assert.equal(codeOf(line(text)), 'no-proxy-header', JSON.stringify(text));
    assert.equal(mayBeProxyHeader(line(text)), false);
  }
  for (const text of ['', 'P', 'PROXY', 'PROXY x', '\r', '\r\n\r\n\0\r\nQUIT', '\r\n\r\n\0\r\nQUIT\n!']) {
    assert.equal(mayBeProxyHeader(line(text)), true, JSON.stringify(text));
  }
});

test('readProxyHeader() reads version 2 with IPv4, IPv6 and Unix-domain addresses', () => {
  assert.deepEqual(readWhole(binary(0x21, 0x11, IPV4_BODY)).ends, {
    source: IPV4_ENDS[0],
    destination: IPV4_ENDS[1],
  });
  assert.deepEqual(readWhole(encodeV2(IPV6_ENDS, [], false)).ends, {
    source: IPV6_ENDS[0],
    destination: IPV6_ENDS[1],
  });
  const unix = [
    { kind: 'unix', path: '/run/\xe9' },
    { kind: 'unix', path: 'x'.repeat(108) },
  ] as const;
  assert.deepEqual(readWhole(encodeV2(unix, [], false)).ends, { source: unix[0], destination: unix[1] });
});

test('readProxyHeader() shows an IPv4-mapped address of version 2 as IPv4', () => {
  const mapped = [...new Uint8Array(10), 0xff, 0xff, 192, 0, 2, 1];
  const header = readWhole(binary(0x21, 0x21, [...mapped, ...new Uint8Array(15), 1, 0xdc, 4, 1, 0xbb]));
  assert.deepEqual(header.ends?.source, IPV4_ENDS[0]);
  assert.deepEqual(header.ends.destination, { kind: 'tcp', address: '::1', port: 443, family: 6 });
});

test('readProxyHeader() takes LOCAL, UNSPEC and datagrams for a header without addresses, whatever follows', () => {
  const tail = [1, 2, 3, 4, 5];
  const headers = [
    binary(0x20, 0x00, []),
    binary(0x20, 0x11, IPV4_BODY),
    binary(0x20, 0xff, tail),
    binary(0x21, 0x00, tail),
    binary(0x21, 0x01, tail),
    binary(0x21, 0x02, tail),
    binary(0x21, 0x10, tail),
    binary(0x21, 0x12, tail),
    binary(0x21, 0x22, new Uint8Array(36)),
    binary(0x21, 0x32, new Uint8Array(216)),
  ];
  for (const header of headers) {
    const { ends, tlvs } = readWhole(header);
    assert.deepEqual([ends, tlvs], [null, []]);
  }
});

test('readProxyHeader() refuses what version 2 does not know, at once', () => {
  const head = (versionAndCommand: number, family: number, length = 12): Uint8Array =>
    Uint8Array.of(...V2_SIGNATURE, versionAndCommand, family, length >> 8, length & 255);
  const cases: readonly (readonly [stream: Uint8Array, code: string])[] = [
    [head(0x11, 0x11).subarray(0, 13), 'bad-proxy-version'],
    [head(0x31, 0x11).subarray(0, 13), 'bad-proxy-version'],
    [head(0x01, 0x11).subarray(0, 13), 'bad-proxy-version'],
    [head(0x22, 0x11).subarray(0, 13), 'bad-proxy-command'],
    [head(0x2f, 0x11).subarray(0, 13), 'bad-proxy-command'],
    [head(0x21, 0x41), 'bad-proxy-family'],
    [head(0x21, 0xf1), 'bad-proxy-family'],
    [head(0x21, 0x13), 'bad-proxy-family'],
    [head(0x21, 0x1f), 'bad-proxy-family'],
    [head(0x21, 0x11, 11), 'bad-proxy-length'],
    [head(0x21, 0x11, 0), 'bad-proxy-length'],
    [head(0x21, 0x21, 35), 'bad-proxy-length'],
    [head(0x21, 0x31, 215), 'bad-proxy-length'],
    [head(0x21, 0x11, PROXY_V2_BYTES_MAX - 16), 'incomplete'],
    [head(0x21, 0x11, PROXY_V2_BYTES_MAX - 15), 'proxy-header-too-large'],
    [head(0x20, 0x00, 0xffff), 'proxy-header-too-large'],
  ];
  for (const [stream, code] of cases) assert.equal(codeOf(stream), code, Buffer.from(stream).toString('hex'));
});

test('readProxyHeader() reads TLVs, registered, own, repeated and empty', () => {
  const tlvs: readonly ProxyTlv[] = [
    { type: 0x02, value: Buffer.from('example.com') },
    { type: 0x04, value: Buffer.from('padding') },
    { type: 0x05, value: new Uint8Array(128).fill(7) },
    { type: 0xea, value: new Uint8Array(0) },
    { type: 0xea, value: new Uint8Array(300).fill(1) },
  ];
  for (const withChecksum of [false, true]) {
    const header = readWhole(encodeV2(IPV4_ENDS, tlvs, withChecksum));
    const read = header.tlvs.filter(({ type }) => type !== 3);
    assert.equal(read.length, header.tlvs.length - (withChecksum ? 1 : 0));
    assert.deepEqual(
      read.map(({ type, value }) => [type, [...value]]),
      tlvs.map(({ type, value }) => [type, [...value]]),
    );
  }
});

test('readProxyHeader() refuses TLVs that do not fill the header exactly, and wrong lengths', () => {
  const tails = [
    [0xe0],
    [0xe0, 0],
    [0xe0, 0, 1],
    [0xe0, 0xff, 0xff, 1],
    [0xe0, 0, 0, 0xe0, 0, 2, 1],
    [0x03, 0, 3, 0, 0, 0],
    [0x03, 0, 5, 0, 0, 0, 0, 0],
    [0x05, 0, 129, ...new Uint8Array(129)],
  ];
  for (const tail of tails)
    assert.equal(codeOf(binary(0x21, 0x11, [...IPV4_BODY, ...tail])), 'bad-proxy-tlv', tail.join(' '));
  const twice = encodeV2(IPV4_ENDS, [{ type: 3, value: new Uint8Array(4) }], true);
  assert.equal(codeOf(twice), 'bad-proxy-tlv');
});

test('readProxyHeader() refuses a header whose checksum does not fit, whichever bit is wrong', () => {
  const header = encodeV2(IPV4_ENDS, [{ type: 0x02, value: Buffer.from('example.com') }], true);
  assert.equal(codeOf(header), 'complete');
  for (let at = 16; at < header.length; at++) {
    // Without its type, the checksum is none.
    if (at === 28) continue;
    const mutated = Uint8Array.from(header);
    mutated[at] = mutated[at]! ^ 0x10;
    const code = codeOf(mutated);
    assert.ok(code === 'bad-proxy-checksum' || (code !== 'complete' && at >= 28), `${code} at ${at}`);
  }
});

test('readProxyHeader() needs every byte of a header, and no byte behind it', () => {
  const headers = [
    line('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n'),
    line('PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n'),
    line('PROXY UNKNOWN\r\n'),
    binary(0x20, 0x00, []),
    binary(0x20, 0x00, [1, 2, 3]),
    encodeV2(IPV4_ENDS, [], false),
    encodeV2(IPV6_ENDS, [{ type: 0xe0, value: Buffer.from('eu-west') }], true),
    encodeV2(null, [{ type: 0xe0, value: Buffer.from('eu-west') }], true),
  ];
  for (const header of headers) {
    for (let length = 0; length < header.length; length++) {
      assert.equal(codeOf(header.subarray(0, length)), 'incomplete', `${length} of ${header.length} bytes`);
    }
    readWhole(header);
  }
});
