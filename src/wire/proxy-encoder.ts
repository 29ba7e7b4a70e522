/** Writes PROXY headers, version 1 and 2 (haproxy's proxy-protocol.txt). */
import { PROXY_ALPN_BYTES_MAX } from '../limits.ts';
import { computeCrc32c } from './crc32c.ts';
import { isIPv6Text, writeIPv4, writeIPv6 } from './address-text.ts';
import {
  TLV_HEAD_BYTES,
  TLV_TYPES,
  V2_ADDRESS_BYTES,
  V2_COMMANDS,
  V2_FAMILIES,
  V2_HEAD_BYTES,
  V2_SIGNATURE,
  V2_TRANSPORTS,
  V2_UNIX_BYTES,
} from './proxy-types.ts';
import type { ConnectionEnd, ProxyOut, ProxyTlv } from './proxy-types.ts';

/** What is known of a connection when its header is written. */
export interface ProxyFacts {
  /** The client; null if its address is not known. */
  readonly source: ConnectionEnd | null;
  /** Where the client has connected to. */
  readonly destination: ConnectionEnd | null;
  readonly serverName: string | null;
  /** Protocols the client offers, a character for each byte. */
  readonly alpnProtocols: readonly string[];
  /** A character for each byte, at most PROXY_UNIQUE_ID_BYTES_MAX. */
  readonly uniqueId: string;
}

type Ends = readonly [source: ConnectionEnd, destination: ConnectionEnd];

/** The header that tells one backend of one connection. */
export function encodeProxyHeader(out: ProxyOut, facts: ProxyFacts): Uint8Array {
  const ends = endsOf(facts);
  return out.version === 1 ? encodeV1(ends) : encodeV2(ends, tlvsOf(out, facts), out.crc32c);
}

/**
 * The header of a connection of our own, such as a health check: LOCAL, or in version 1, which has no such word, the two
 * ends of that connection itself (section 2.1).
 */
export function encodeOwnHeader({ version }: Pick<ProxyOut, 'version'>, ends: Ends): Uint8Array {
  if (version === 1) return encodeV1(ends);
  return Uint8Array.of(...V2_SIGNATURE, (2 << 4) | V2_COMMANDS.local, 0, 0, 0);
}

/** Version 1, which has no words for a connection without IP addresses; null for ends that are not known. */
export function encodeV1(ends: Ends | null): Uint8Array {
  const [source, destination] = ends ?? [];
  if (source?.kind !== 'tcp' || destination?.kind !== 'tcp') return Buffer.from('PROXY UNKNOWN\r\n');
  const isIPv4 = source.family === 4 && destination.family === 4;
  const addresses = [source, destination].map(end => (isIPv4 ? end.address : inIPv6(end)));
  const ports = `${source.port} ${destination.port}`;
  return Buffer.from(`PROXY ${isIPv4 ? 'TCP4' : 'TCP6'} ${addresses.join(' ')} ${ports}\r\n`);
}

/** Version 2 with these TLVs, and a checksum over everything if wanted; null for ends that are not known. */
export function encodeV2(ends: Ends | null, tlvs: readonly ProxyTlv[], withChecksum: boolean): Uint8Array {
  const family = familyOf(ends);
  const tlvStart = V2_HEAD_BYTES + V2_ADDRESS_BYTES[family]!;
  const checksumBytes = withChecksum ? TLV_HEAD_BYTES + 4 : 0;
  const length = tlvs.reduce(
    (sum, { value }) => sum + TLV_HEAD_BYTES + value.length,
    tlvStart + checksumBytes,
  );
  const header = new Uint8Array(length);
  const view = new DataView(header.buffer);
  header.set(V2_SIGNATURE);
  header[12] = (2 << 4) | V2_COMMANDS.proxy;
  header[13] = (family << 4) | (family === V2_FAMILIES.unspec ? V2_TRANSPORTS.unspec : V2_TRANSPORTS.stream);
  view.setUint16(14, length - V2_HEAD_BYTES);
  if (ends !== null) writeEnds(header, family, ends);
  let at = tlvStart;
  if (withChecksum) {
    header[at] = TLV_TYPES.crc32c;
    view.setUint16(at + 1, 4);
    at += checksumBytes;
  }
  for (const { type, value } of tlvs) {
    header[at] = type;
    view.setUint16(at + 1, value.length);
    header.set(value, at + TLV_HEAD_BYTES);
    at += TLV_HEAD_BYTES + value.length;
  }
  if (withChecksum) view.setUint32(tlvStart + TLV_HEAD_BYTES, computeCrc32c(header));
  return header;
}

/** Both ends, or null where one is unknown or they are of kinds that no header can hold together. */
function endsOf({ source, destination }: ProxyFacts): Ends | null {
  return source === null || destination === null || source.kind !== destination.kind
    ? null
    : [source, destination];
}

function tlvsOf(out: ProxyOut, facts: ProxyFacts): readonly ProxyTlv[] {
  const tlvs: ProxyTlv[] = [];
  if (out.authority && facts.serverName !== null)
    tlvs.push({ type: TLV_TYPES.authority, value: Buffer.from(facts.serverName) });
  const alpn = out.alpn ? encodeAlpn(facts.alpnProtocols) : null;
  if (alpn !== null) tlvs.push({ type: TLV_TYPES.alpn, value: alpn });
  if (out.uniqueId) tlvs.push({ type: TLV_TYPES.uniqueId, value: Buffer.from(facts.uniqueId, 'latin1') });
  return out.custom.length === 0 ? tlvs : [...tlvs, ...out.custom];
}

/** The data of the ALPN extension as the client has sent it (RFC 7301 section 3.1); null without one. */
function encodeAlpn(protocols: readonly string[]): Uint8Array | null {
  const length = protocols.reduce((sum, protocol) => sum + 1 + protocol.length, 0);
  if (length === 0 || 2 + length > PROXY_ALPN_BYTES_MAX) return null;
  const data = Buffer.alloc(2 + length);
  let at = data.writeUInt16BE(length);
  for (const protocol of protocols) {
    at = data.writeUInt8(protocol.length, at);
    at += data.write(protocol, at, 'latin1');
  }
  return data;
}

function familyOf(ends: Ends | null): number {
  const [source, destination] = ends ?? [];
  if (source?.kind === 'unix' && destination?.kind === 'unix') return V2_FAMILIES.unix;
  if (source?.kind !== 'tcp' || destination?.kind !== 'tcp') return V2_FAMILIES.unspec;
  return source.family === 4 && destination.family === 4 ? V2_FAMILIES.inet : V2_FAMILIES.inet6;
}

function writeEnds(header: Uint8Array, family: number, ends: Ends): void {
  const view = new DataView(header.buffer);
  const size = (V2_ADDRESS_BYTES[family]! - (family === V2_FAMILIES.unix ? 0 : 4)) / 2;
  for (const [index, end] of ends.entries()) {
    const at = V2_HEAD_BYTES + size * index;
    if (end.kind === 'unix') {
      // A name without a closing NUL may fill its place.
      header.set(Buffer.from(end.path, 'latin1').subarray(0, V2_UNIX_BYTES), at);
      continue;
    }
    if (family === V2_FAMILIES.inet) writeIPv4(view, at, end.address);
    else writeIPv6(view, at, inIPv6(end));
    view.setUint16(V2_HEAD_BYTES + 2 * size + 2 * index, end.port);
  }
}

/** An IPv6 address without its zone, or an IPv4 one wrapped in IPv6. */
function inIPv6({ address }: { readonly address: string }): string {
  const [bare = ''] = address.split('%');
  return isIPv6Text(bare) ? bare : `::ffff:${bare}`;
}
