/** Reads the PROXY header, version 1 or 2, at the beginning of a stream (haproxy's proxy-protocol.txt). */
import { PROXY_UNIQUE_ID_BYTES_MAX, PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX } from '../limits.ts';
import { ByteReader } from './byte-reader.ts';
import { computeCrc32c } from './crc32c.ts';
import { isIPv4Mapped, isIPv4Text, isIPv6Text, readIPv4, readIPv6, writeIPv6 } from './address-text.ts';
import {
  TLV_HEAD_BYTES,
  TLV_TYPES,
  V1_START,
  V2_ADDRESS_BYTES,
  V2_COMMANDS,
  V2_FAMILIES,
  V2_HEAD_BYTES,
  V2_SIGNATURE,
  V2_TRANSPORTS,
  V2_UNIX_BYTES,
} from './proxy-types.ts';
import type { ConnectionEnd, ProxyTlv } from './proxy-types.ts';

/** Why a header is refused. */
export const PROXY_ERROR_CODES = [
  /** The stream begins with no PROXY header at all. */
  'no-proxy-header',
  /** A line of version 1 that is not exactly as the specification has it. */
  'bad-proxy-line',
  'bad-proxy-version',
  'bad-proxy-command',
  /** An address family or a transport that the specification does not know. */
  'bad-proxy-family',
  /** Too short for the addresses it announces. */
  'bad-proxy-length',
  'proxy-header-too-large',
  /** TLVs that do not fill the header exactly, or one whose length is not that of its type. */
  'bad-proxy-tlv',
  'bad-proxy-checksum',
] as const;

/** Stable. */
export type ProxyErrorCode = (typeof PROXY_ERROR_CODES)[number];

/** A header that was read. */
export interface ProxyHeader {
  readonly kind: 'complete';
  readonly version: 1 | 2;
  /** Client and destination as the sender saw them; null where it tells none, and the connection's own count. */
  readonly ends: { readonly source: ConnectionEnd; readonly destination: ConnectionEnd } | null;
  /** Views of the stream; empty for version 1, and where there are no addresses. */
  readonly tlvs: readonly ProxyTlv[];
  /** Bytes of the header: what follows is not part of it, and has not been looked at. */
  readonly consumed: number;
}

export interface ProxyInvalid {
  readonly kind: 'invalid';
  readonly code: ProxyErrorCode;
}

export type ProxyResult = ProxyHeader | { readonly kind: 'incomplete' } | ProxyInvalid;

const INCOMPLETE: ProxyResult = { kind: 'incomplete' };
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Reads the header at the beginning of a stream. Never throws for what is in it; tells what is wrong as soon as it is
 * there. May be called again with more bytes as often as wanted: each call costs no more than the header has bytes.
 *
 * @param stream All bytes received so far, from the first one on.
 */
export function readProxyHeader(stream: Uint8Array): ProxyResult {
  if (startsAlike(stream, V1_START)) return stream.length < V1_START.length ? INCOMPLETE : readLine(stream);
  if (!startsAlike(stream, V2_SIGNATURE)) return invalid('no-proxy-header');
  return stream.length <= V2_SIGNATURE.length ? INCOMPLETE : readBinary(stream);
}

/** Whether the bytes may be the beginning of a PROXY header: false as soon as they cannot. */
export function mayBeProxyHeader(stream: Uint8Array): boolean {
  return startsAlike(stream, V1_START) || startsAlike(stream, V2_SIGNATURE);
}

function startsAlike(stream: Uint8Array, start: Uint8Array): boolean {
  const count = Math.min(stream.length, start.length);
  for (let at = 0; at < count; at++) if (stream[at] !== start[at]) return false;
  return true;
}

// Version 1: one line of text.

function readLine(stream: Uint8Array): ProxyResult {
  const window = stream.subarray(0, PROXY_V1_BYTES_MAX);
  const end = window.indexOf(LF);
  if (end < 0) {
    const isLost = window.length === PROXY_V1_BYTES_MAX || hasLoneCr(window);
    return isLost ? invalid('bad-proxy-line') : INCOMPLETE;
  }
  if (window.indexOf(CR) !== end - 1) return invalid('bad-proxy-line');
  const line = Buffer.from(window.subarray(0, end - 1)).toString('latin1');
  const consumed = end + 1;
  const [, protocol, ...fields] = line.split(String.fromCharCode(SPACE));
  if (protocol === 'UNKNOWN') return { kind: 'complete', version: 1, ends: null, tlvs: [], consumed };
  const ends = fields.length === 4 ? readLineEnds(protocol ?? '', fields) : null;
  if (ends === null) return invalid('bad-proxy-line');
  return { kind: 'complete', version: 1, ends, tlvs: [], consumed };
}

/** A carriage return that something else than a line feed has followed. */
function hasLoneCr(window: Uint8Array): boolean {
  const at = window.indexOf(CR);
  return at >= 0 && at < window.length - 1;
}

function readLineEnds(protocol: string, fields: readonly string[]): ProxyHeader['ends'] {
  const [from = '', to = '', fromPort = '', toPort = ''] = fields;
  const read = protocol === 'TCP4' ? readIPv4End : protocol === 'TCP6' ? readIPv6End : null;
  const source = read?.(from, readPort(fromPort)) ?? null;
  const destination = read?.(to, readPort(toPort)) ?? null;
  return source === null || destination === null ? null : { source, destination };
}

/** A port without leading zeros, or -1. */
function readPort(text: string): number {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : -1;
  return port <= 0xffff ? port : -1;
}

function readIPv4End(address: string, port: number): ConnectionEnd | null {
  return port >= 0 && isIPv4Text(address) ? { kind: 'tcp', address, port, family: 4 } : null;
}

function readIPv6End(address: string, port: number): ConnectionEnd | null {
  if (port < 0 || !isIPv6Text(address)) return null;
  const view = new DataView(new ArrayBuffer(16));
  writeIPv6(view, 0, address);
  return endOfIPv6(view, 0, port);
}

/** In its canonical spelling; IPv4 where it is only wrapped in IPv6. */
function endOfIPv6(view: DataView, offset: number, port: number): ConnectionEnd {
  return isIPv4Mapped(view, offset)
    ? { kind: 'tcp', address: readIPv4(view, offset + 12), port, family: 4 }
    : { kind: 'tcp', address: readIPv6(view, offset), port, family: 6 };
}

// Version 2: binary.

function readBinary(stream: Uint8Array): ProxyResult {
  const versionAndCommand = stream[V2_SIGNATURE.length]!;
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2) return invalid('bad-proxy-version');
  if (command > V2_COMMANDS.proxy) return invalid('bad-proxy-command');
  if (stream.length < V2_HEAD_BYTES) return INCOMPLETE;
  const familyAndTransport = stream[13]!;
  const consumed = V2_HEAD_BYTES + ((stream[14]! << 8) | stream[15]!);
  if (consumed > PROXY_V2_BYTES_MAX) return invalid('proxy-header-too-large');
  // "Discard the protocol block including the family which is ignored."
  const family = command === V2_COMMANDS.local ? 0 : familyAndTransport >> 4;
  const transport = command === V2_COMMANDS.local ? 0 : familyAndTransport & 0x0f;
  if (family > V2_FAMILIES.unix || transport > V2_TRANSPORTS.dgram) return invalid('bad-proxy-family');
  const isStream = transport === V2_TRANSPORTS.stream && family !== V2_FAMILIES.unspec;
  const addressBytes = isStream ? V2_ADDRESS_BYTES[family]! : 0;
  if (consumed < V2_HEAD_BYTES + addressBytes) return invalid('bad-proxy-length');
  if (stream.length < consumed) return INCOMPLETE;
  if (!isStream) return { kind: 'complete', version: 2, ends: null, tlvs: [], consumed };
  const header = stream.subarray(0, consumed);
  const tlvs = readTlvs(header, V2_HEAD_BYTES + addressBytes);
  if (typeof tlvs === 'string') return invalid(tlvs);
  return { kind: 'complete', version: 2, ends: readBinaryEnds(header, family), tlvs, consumed };
}

function readBinaryEnds(header: Uint8Array, family: number): NonNullable<ProxyHeader['ends']> {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const at = V2_HEAD_BYTES;
  if (family === V2_FAMILIES.unix) {
    const source: ConnectionEnd = { kind: 'unix', path: readPath(header, at) };
    return { source, destination: { kind: 'unix', path: readPath(header, at + V2_UNIX_BYTES) } };
  }
  const isIPv4 = family === V2_FAMILIES.inet;
  const size = isIPv4 ? 4 : 16;
  const end = (index: number): ConnectionEnd => {
    const port = view.getUint16(at + 2 * size + 2 * index);
    const offset = at + size * index;
    return isIPv4
      ? { kind: 'tcp', address: readIPv4(view, offset), port, family: 4 }
      : endOfIPv6(view, offset, port);
  };
  return { source: end(0), destination: end(1) };
}

/** A name up to its first NUL, a character for each byte; empty for a socket without one or in the abstract space. */
function readPath(header: Uint8Array, at: number): string {
  const name = header.subarray(at, at + V2_UNIX_BYTES);
  const end = name.indexOf(0);
  return Buffer.from(end < 0 ? name : name.subarray(0, end)).toString('latin1');
}

function readTlvs(header: Uint8Array, start: number): readonly ProxyTlv[] | ProxyErrorCode {
  const tlvs: ProxyTlv[] = [];
  let checksumAt = -1;
  const reader = new ByteReader(header, start);
  while (reader.remaining >= TLV_HEAD_BYTES) {
    const type = reader.u8();
    const value = reader.bytes(reader.u16());
    if (!reader.ok || !hasFitLength(type, value.length)) return 'bad-proxy-tlv';
    if (type === TLV_TYPES.crc32c) {
      if (checksumAt >= 0) return 'bad-proxy-tlv';
      checksumAt = reader.position - value.length;
    }
    tlvs.push({ type, value });
  }
  if (!reader.done) return 'bad-proxy-tlv';
  return checksumAt < 0 || isIntact(header, checksumAt) ? tlvs : 'bad-proxy-checksum';
}

function hasFitLength(type: number, length: number): boolean {
  if (type === TLV_TYPES.crc32c) return length === 4;
  return type !== TLV_TYPES.uniqueId || length <= PROXY_UNIQUE_ID_BYTES_MAX;
}

/** The checksum counts its own four bytes as zero (section 2.2.3). */
function isIntact(header: Uint8Array, checksumAt: number): boolean {
  const zeroed = Uint8Array.from(header);
  zeroed.fill(0, checksumAt, checksumAt + 4);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  return computeCrc32c(zeroed) === view.getUint32(checksumAt);
}

function invalid(code: ProxyErrorCode): ProxyInvalid {
  return { kind: 'invalid', code };
}
