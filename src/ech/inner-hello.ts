/** Makes the inner hello that a backend gets out of the plaintext and the outer hello (RFC 9849 section 5.1). */
import { ByteReader } from '../wire/byte-reader.ts';
import { ClientHello } from '../wire/client-hello.ts';
import { EXTENSIONS, SESSION_ID_OFFSET, parseHelloLayout } from '../wire/hello-layout.ts';
import { echIllegal } from './ech-error.ts';
import type { EchErrorCode, EchIllegal } from './ech-error.ts';

const OUTER_EXTENSIONS = 0xfd00;
const TLS_1_3 = 0x0304;

/** Where the parts of an encoded inner hello are; offsets within it. */
interface EncodedParts {
  readonly sessionIdEnd: number;
  readonly extensionsStart: number;
  readonly extensionsEnd: number;
}

/**
 * @param encoded The plaintext: an encoded inner hello and its padding.
 * @param outer The hello it came in.
 * @returns The hello as the client means it, in memory of its own and no longer than the outer one; or what is wrong.
 */
export function rebuildInnerHello(encoded: Uint8Array, outer: ClientHello): ClientHello | EchIllegal {
  const parts = splitEncoded(encoded);
  if (typeof parts === 'string') return echIllegal(parts);
  const pieces = expandExtensions(encoded, parts, outer);
  if (typeof pieces === 'string') return echIllegal(pieces);
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const body = Buffer.concat([
    encoded.subarray(0, SESSION_ID_OFFSET),
    Uint8Array.of(outer.sessionId.length),
    outer.sessionId,
    encoded.subarray(parts.sessionIdEnd, parts.extensionsStart - 2),
    Uint8Array.of(length >> 8, length & 255),
    ...pieces,
  ]);
  const layout = parseHelloLayout(body);
  if ('kind' in layout) return echIllegal(layout.code);
  const hello = new ClientHello(body, layout);
  if (hello.ech !== 'inner') return echIllegal('inner-not-marked');
  return offersOnlyNewVersions(hello) ? hello : echIllegal('inner-old-version');
}

function splitEncoded(encoded: Uint8Array): EncodedParts | EchErrorCode {
  const reader = new ByteReader(encoded);
  reader.skip(SESSION_ID_OFFSET);
  const sessionId = reader.vector8();
  const sessionIdEnd = reader.position;
  reader.vector16();
  reader.vector8();
  if (!reader.ok) return 'inner-malformed';
  if (sessionId.remaining > 0) return 'inner-session-id';
  if (reader.remaining === 0) return 'inner-no-extensions';
  const extensions = reader.vector16();
  if (!extensions.ok) return 'inner-malformed';
  if (extensions.remaining === 0) return 'inner-no-extensions';
  // Bytes between the messages of one plaintext would be a hidden channel, and a second reading of the hello.
  if (reader.rest().some(byte => byte !== 0)) return 'inner-padding';
  const extensionsStart = extensions.position;
  return { sessionIdEnd, extensionsStart, extensionsEnd: extensionsStart + extensions.remaining };
}

/** The extensions of the inner hello, in pieces: one that refers to the outer hello is replaced by what it refers to. */
function expandExtensions(
  encoded: Uint8Array,
  { extensionsStart, extensionsEnd }: EncodedParts,
  outer: ClientHello,
): Uint8Array[] | EchErrorCode {
  const reader = new ByteReader(encoded, extensionsStart, extensionsEnd);
  while (reader.remaining > 0) {
    const start = reader.position;
    const type = reader.u16();
    const data = reader.vector16();
    if (!data.ok) return 'inner-malformed';
    if (type !== OUTER_EXTENSIONS) continue;
    const referred = findReferred(data, outer);
    if (typeof referred === 'string') return referred;
    const end = reader.position;
    const fault = restFault(reader);
    if (fault !== null) return fault;
    return [encoded.subarray(extensionsStart, start), ...referred, encoded.subarray(end, extensionsEnd)];
  }
  return [encoded.subarray(extensionsStart, extensionsEnd)];
}

/** Only one extension may refer to the outer hello. */
function restFault(reader: ByteReader): EchErrorCode | null {
  while (reader.remaining > 0) {
    const type = reader.u16();
    reader.skip(reader.u16());
    if (!reader.ok) return 'inner-malformed';
    if (type === OUTER_EXTENSIONS) return 'outer-list-twice';
  }
  return reader.ok ? null : 'inner-malformed';
}

/**
 * One scan of the outer hello for all of the list, which is why that has to be in the outer order (RFC 9849 appendix A):
 * a type that is missing, named twice or out of order is not found again.
 */
function findReferred(data: ByteReader, outer: ClientHello): Uint8Array[] | EchErrorCode {
  const list = data.vector8();
  if (!list.ok || !data.done || list.remaining === 0 || list.remaining % 2 !== 0)
    return 'outer-list-malformed';
  const { body } = outer;
  const extensions = new ByteReader(body, outer.extensionsOffset);
  const found: Uint8Array[] = [];
  while (list.remaining > 0) {
    const wanted = list.u16();
    if (wanted === EXTENSIONS.encrypted_client_hello || wanted === OUTER_EXTENSIONS) return 'outer-list-ech';
    const extension = findNext(extensions, wanted, body);
    if (extension === null) return 'outer-list-missing';
    found.push(extension);
  }
  return found;
}

/** The next extension of the type, its head included; the reader stands behind it. */
function findNext(extensions: ByteReader, wanted: number, body: Uint8Array): Uint8Array | null {
  while (extensions.remaining > 0) {
    const start = extensions.position;
    const type = extensions.u16();
    extensions.skip(extensions.u16());
    if (type === wanted) return body.subarray(start, extensions.position);
  }
  return null;
}

/** Inner hellos are TLS 1.3 and later (RFC 9849 section 6.1.1). */
function offersOnlyNewVersions({ supportedVersions }: ClientHello): boolean {
  const versions = supportedVersions.filter(version => !isGrease(version));
  return versions.length > 0 && versions.every(version => version >= TLS_1_3);
}

/** RFC 8701 section 2. */
function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}
