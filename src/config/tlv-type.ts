/** Own TLVs of PROXY headers as they stand in a configuration: `type: 0xE0`, and a value as text, hex or base64. */
import { TLV_TYPES } from '../wire/proxy-types.ts';
import { quote } from './plain-text.ts';

export type ParsedTlvType =
  { readonly ok: true; readonly type: number } | { readonly ok: false; readonly message: string };
export type ParsedTlvBytes =
  { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly message: string };

const FREE = '0xE0 to 0xEF are free for anybody';
/** PP2_TYPE_SSL has an inner structure, and tells what only an endpoint of TLS knows. */
const TYPE_SSL = 0x20;
/** PP2_TYPE_MIN_FUTURE: what follows such a type may come to mean something else. */
const TYPE_FUTURE = 0xf8;
const KEY_OF_TYPE: ReadonlyMap<number, string> = new Map([
  [TLV_TYPES.alpn, 'alpn: true'],
  [TLV_TYPES.authority, 'authority: true'],
  [TLV_TYPES.crc32c, 'crc32c: true'],
  [TLV_TYPES.uniqueId, 'uniqueId: true'],
]);

/** Parses `224`, `"224"` or `"0xE0"`: a type that may be given any value. */
export function parseTlvType(input: string | number): ParsedTlvType {
  const text = String(input);
  const type = /^(?:0x[0-9a-f]{1,4}|[0-9]{1,5})$/i.test(text) ? Number(text) : -1;
  const key = KEY_OF_TYPE.get(type);
  if (key !== undefined) return fail(`type ${text} is sent with "${key}"`);
  if (type < 1 || type === TYPE_SSL || type === TLV_TYPES.noop || type >= TYPE_FUTURE) {
    return fail(`${quote(text)} is no type to give a value of your own; ${FREE}`);
  }
  return { ok: true, type };
}

/** Parses pairs of hexadecimal digits. */
export function parseHex(text: string): ParsedTlvBytes {
  if (!/^(?:[0-9a-f]{2})*$/i.test(text))
    return fail(`${quote(text)} is not hexadecimal: write pairs, as in "00ff"`);
  return { ok: true, bytes: Uint8Array.from(Buffer.from(text, 'hex')) };
}

/** Parses base64 (RFC 4648 section 4), padded. */
export function parseBase64(text: string): ParsedTlvBytes {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) return fail(`${quote(text)} is not base64, padded with "="`);
  return { ok: true, bytes: Uint8Array.from(bytes) };
}

function fail(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
