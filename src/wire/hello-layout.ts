/** Checks the body of a ClientHello (RFC 8446 section 4.1.2) in one pass, and says where its parts are. */
import { HELLO_EXTENSIONS_MAX } from '../limits.ts';
import { ByteReader } from './byte-reader.ts';
import { helloInvalid, nameInvalid } from './hello-error.ts';
import type { HelloErrorCode, HelloInvalid } from './hello-error.ts';
import { parseServerName } from './host-name.ts';

/** Extension types that are looked into. */
export const EXTENSIONS = {
  server_name: 0,
  supported_groups: 10,
  ec_point_formats: 11,
  signature_algorithms: 13,
  application_layer_protocol_negotiation: 16,
  supported_versions: 43,
  encrypted_client_hello: 0xfe0d,
} as const;

/** Encrypted Client Hello (RFC 9849): absent, the visible outer hello, or an inner one sent in the clear. */
export type EchKind = 'none' | 'outer' | 'inner';

/** Offset of the session id's length byte: behind legacy_version and random. */
export const SESSION_ID_OFFSET = 34;

/** What the one pass over a valid body found; offsets are relative to the body. */
export interface HelloLayout {
  /** Canonical name; null if the hello has none. */
  readonly serverName: string | null;
  /** A view of the host_name entry where it is an IP literal, and so no name; else null. */
  readonly rawName: Uint8Array | null;
  readonly ech: EchKind;
  /** Offset of the list of supported_versions, its 1-byte length; 0 without the extension. */
  readonly versionsOffset: number;
  /** Offset of the data of encrypted_client_hello; 0 without the extension. */
  readonly echOffset: number;
  /** Offset of the cipher list's 2-byte length. */
  readonly ciphersOffset: number;
  /** Offset of the first extension; the body's length if there is none. */
  readonly extensionsOffset: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Check = HelloErrorCode | HelloInvalid | null;

const SESSION_ID_BYTES_MAX = 32;
const NAME_TYPE_HOST_NAME = 0;
/** ECHClientHelloType (RFC 9849 section 5). */
const ECH_OUTER = 0;
const ECH_INNER = 1;

/** Reads all of `body`; every length in it is checked, and every list the getters of ClientHello decode. */
export function parseHelloLayout(body: Uint8Array): HelloLayout | HelloInvalid {
  const reader = new ByteReader(body);
  reader.skip(SESSION_ID_OFFSET);
  const sessionId = reader.vector8();
  const ciphersOffset = reader.position;
  const ciphers = reader.vector16();
  const compressions = reader.vector8();
  if (!reader.ok || sessionId.remaining > SESSION_ID_BYTES_MAX) return helloInvalid('bad-length');
  if (ciphers.remaining === 0 || ciphers.remaining % 2 !== 0) return helloInvalid('bad-length');
  if (compressions.remaining === 0) return helloInvalid('bad-length');
  const layout: Mutable<HelloLayout> = {
    serverName: null,
    rawName: null,
    ech: 'none',
    versionsOffset: 0,
    echOffset: 0,
    ciphersOffset,
    extensionsOffset: body.length,
  };
  // A hello may end here (RFC 5246 section 7.4.1.2).
  if (reader.done) return layout;
  const length = reader.u16();
  layout.extensionsOffset = reader.position;
  if (!reader.ok || length > reader.remaining) return helloInvalid('bad-length');
  if (length < reader.remaining) return helloInvalid('trailing-bytes');
  const fault = walkExtensions(body, reader, layout);
  if (fault === null) return layout;
  return typeof fault === 'string' ? helloInvalid(fault) : fault;
}

function walkExtensions(body: Uint8Array, reader: ByteReader, layout: Mutable<HelloLayout>): Check {
  startTypes();
  let count = 0;
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    const start = reader.position;
    reader.skip(length);
    if (!reader.ok) return 'bad-length';
    if (++count > HELLO_EXTENSIONS_MAX) return 'too-many-extensions';
    if (!addType(type)) return 'duplicate-extension';
    const fault = checkExtension(type, new ByteReader(body, start, start + length), layout);
    if (fault !== null) return fault;
  }
  return null;
}

/** For each extension type the hello it was last seen in; a number for each hello saves clearing it between two. */
const lastSeenIn = new Uint32Array(0x1_0000);
let helloNumber = 0;

function startTypes(): void {
  if (helloNumber === 0xffff_ffff) {
    lastSeenIn.fill(0);
    helloNumber = 0;
  }
  helloNumber++;
}

/** False if this hello has had the type before (RFC 8446 section 4.2 forbids that). */
function addType(type: number): boolean {
  if (lastSeenIn[type] === helloNumber) return false;
  lastSeenIn[type] = helloNumber;
  return true;
}

function checkExtension(type: number, data: ByteReader, layout: Mutable<HelloLayout>): Check {
  switch (type) {
    case EXTENSIONS.server_name:
      return checkServerName(data, layout);
    case EXTENSIONS.application_layer_protocol_negotiation:
      return checkAlpn(data);
    case EXTENSIONS.supported_groups:
    case EXTENSIONS.signature_algorithms:
      return checkNumbers(data, data.vector16(), 2);
    case EXTENSIONS.supported_versions:
      layout.versionsOffset = data.position;
      return checkNumbers(data, data.vector8(), 2);
    case EXTENSIONS.ec_point_formats:
      return checkNumbers(data, data.vector8(), 1);
    case EXTENSIONS.encrypted_client_hello:
      layout.echOffset = data.position;
      layout.ech = echKind(data);
      return null;
    default:
      return null;
  }
}

/** ServerNameList (RFC 6066 section 3). A list without a host_name, or an empty one, names nobody. */
function checkServerName(data: ByteReader, layout: Mutable<HelloLayout>): Check {
  const list = data.vector16();
  const fault = checkList(data, list);
  if (fault !== null) return fault;
  let names = 0;
  while (list.remaining > 0) {
    const type = list.u8();
    const length = list.u16();
    const name = list.bytes(length);
    if (!list.ok) return 'bad-length';
    if (type !== NAME_TYPE_HOST_NAME) continue;
    if (++names > 1) return 'two-names';
    const parsed = parseServerName(name);
    if (parsed.kind === 'invalid') return nameInvalid(parsed.code, name);
    if (parsed.kind === 'name') layout.serverName = parsed.name;
    else layout.rawName = name;
  }
  return null;
}

/** ProtocolNameList (RFC 7301 section 3.1): at least one name, none of them empty. */
function checkAlpn(data: ByteReader): Check {
  const list = data.vector16();
  const fault = checkList(data, list);
  if (fault !== null) return fault;
  if (list.remaining === 0) return 'bad-length';
  while (list.remaining > 0) {
    const length = list.u8();
    list.skip(length);
    if (length === 0 || !list.ok) return 'bad-length';
  }
  return null;
}

/** A list of at least one number, each of `size` bytes, that fills its extension. */
function checkNumbers(data: ByteReader, list: ByteReader, size: number): Check {
  const fault = checkList(data, list);
  if (fault !== null) return fault;
  return list.remaining === 0 || list.remaining % size !== 0 ? 'bad-length' : null;
}

function checkList(data: ByteReader, list: ByteReader): Check {
  if (!list.ok) return 'bad-length';
  return data.remaining > 0 ? 'trailing-bytes' : null;
}

/** Told, not judged: a proxy that opens no hello leaves what is wrong here to the backend. */
function echKind(data: ByteReader): EchKind {
  if (data.remaining === 0) return 'none';
  const type = data.u8();
  if (type === ECH_OUTER) return 'outer';
  return type === ECH_INNER && data.remaining === 0 ? 'inner' : 'none';
}
