/** PROXY headers, and what makes wrong ones out of them. */
import { encodeV1, encodeV2 } from '../../src/wire/proxy-encoder.ts';
import type { Random } from './random.ts';

const TCP4 = [
  { kind: 'tcp', address: '192.0.2.1', port: 56_324, family: 4 },
  { kind: 'tcp', address: '198.51.100.7', port: 443, family: 4 },
] as const;
const TCP6 = [
  { kind: 'tcp', address: '2001:db8::1', port: 1, family: 6 },
  { kind: 'tcp', address: 'fd00::1:2', port: 65_535, family: 6 },
] as const;
const TLVS = [
  { type: 2, value: Buffer.from('www.example.com') },
  { type: 1, value: Buffer.from('h2') },
  { type: 5, value: Buffer.from('unique') },
  { type: 0xe0, value: new Uint8Array(0) },
];
/** Valid headers that mutations start from. */
export const PROXY_HEADERS: readonly [Uint8Array, ...Uint8Array[]] = [
  encodeV1(TCP4),
  encodeV1(TCP6),
  encodeV1(null),
  encodeV2(TCP4, [], false),
  encodeV2(TCP4, TLVS, false),
  encodeV2(TCP6, TLVS, true),
  encodeV2(TCP4, TLVS, true),
  encodeV2(null, [], false),
  encodeV2(
    [
      { kind: 'unix', path: '/a' },
      { kind: 'unix', path: '/b' },
    ],
    TLVS.slice(0, 1),
    false,
  ),
  Buffer.from([13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10, 0x20, 0, 0, 0]),
];

/** Another header: some bytes changed, cut out, doubled, or put behind. */
export function mutateHeader(header: Uint8Array, random: Random): Uint8Array {
  const bytes = [...header];
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(bytes.length);
    switch (random.below(7)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = random.pick([0, 1, 2, 3, 0x0a, 0x0d, 0x20, 0x21, 0x30, 0x11, 0x31, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        bytes.splice(at, 1 + random.below(8));
        break;
      case 3:
        bytes.splice(at, 0, ...bytes.slice(at, at + 1 + random.below(20)));
        break;
      case 4:
        bytes.splice(at, 0, ...random.bytes(1 + random.below(4)));
        break;
      case 5:
        bytes.push(...random.bytes(random.below(30)));
        break;
      default:
        bytes[12 + random.below(4)] = random.below(256);
    }
    if (bytes.length === 0) bytes.push(0x50);
  }
  return Uint8Array.from(bytes);
}
