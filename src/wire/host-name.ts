/**
 * The one canonical form of host names: lower case, no trailing dot, A-labels. Every name, from a client or from a
 * configuration, is checked and folded here before anything compares, dials or logs it.
 */
import { domainToASCII } from 'node:url';
import { LABEL_BYTES_MAX, NAME_BYTES_MAX } from '../limits.ts';

/** The answer for the bytes of a host_name. An IP literal is legal nowhere (RFC 6066 section 3): it is no name. */
export type ServerName =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'ip-literal' }
  | { readonly kind: 'invalid'; readonly code: 'empty-name' | 'bad-name' | 'name-too-long' };

export type ConfigName =
  { readonly ok: true; readonly name: string } | { readonly ok: false; readonly message: string };

type NameFault = 'empty' | 'empty-label' | 'label-too-long' | 'name-too-long' | 'bad-byte' | 'ip-literal';
type Canonical = { readonly name: string } | NameFault;

const DOT = 0x2e;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** For each byte its folded form, or 0 where a host name must not have it. */
const FOLDED = new Uint8Array(256);
for (const letter of '0123456789abcdefghijklmnopqrstuvwxyz-_.') {
  FOLDED[letter.charCodeAt(0)] = letter.charCodeAt(0);
  FOLDED[letter.toUpperCase().charCodeAt(0)] = letter.charCodeAt(0);
}

/** Where a name is folded; its content lives only while one call runs. */
const scratch = Buffer.alloc(NAME_BYTES_MAX + 1);

/** One to four parts as inet_aton(3) reads them (decimal, octal or hexadecimal), in or out of range. */
const LOOSE_IPV4 = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}$/;
const IPV6_CHARACTERS = /^([0-9a-fA-F:.]+)(?:%[0-9A-Za-z._~-]+)?$/;

/**
 * Checks and folds the bytes of a host_name entry (RFC 6066 section 3). Letters, digits, `-`, `_` and dots only; the
 * check comes before the fold, since some code points outside ASCII fold into it.
 */
export function parseServerName(bytes: Uint8Array): ServerName {
  const result = canonicalize(bytes);
  if (typeof result === 'object') return { kind: 'name', name: result.name };
  switch (result) {
    case 'ip-literal':
      return { kind: 'ip-literal' };
    case 'empty':
      return { kind: 'invalid', code: 'empty-name' };
    case 'label-too-long':
    case 'name-too-long':
      return { kind: 'invalid', code: 'name-too-long' };
    case 'empty-label':
    case 'bad-byte':
      return { kind: 'invalid', code: 'bad-name' };
  }
}

const MESSAGES: Readonly<Record<NameFault, string>> = {
  empty: 'it is empty',
  'empty-label': 'it has an empty label (two dots in a row, or one at its beginning)',
  'label-too-long': `a label of it has more than ${LABEL_BYTES_MAX} bytes`,
  'name-too-long': `it has more than ${NAME_BYTES_MAX} bytes`,
  'bad-byte': "only letters, digits, '-', '_' and '.' are allowed in it",
  'ip-literal': 'it is an IP address, in full or in short form',
};

/**
 * Checks a name from a configuration and gives its canonical form; `Bücher.example` becomes `xn--bcher-kva.example`.
 * The message of a failure is a clause about "it", the name, without a full stop.
 */
export function parseConfigName(text: string): ConfigName {
  let ascii = text;
  if (/[^\0-\x7f]/.test(text)) {
    // domainToASCII reads a whole URL host, with escapes and ports: only names may get to it.
    if (/[\0-\x7f]/.test(text.replaceAll(/[A-Za-z0-9._-]/g, ''))) return fail('bad-byte');
    ascii = domainToASCII(text);
    if (ascii === '') return { ok: false, message: 'it is no valid internationalised name (UTS #46)' };
  }
  const result = canonicalize(Buffer.from(ascii));
  return typeof result === 'object' ? { ok: true, name: result.name } : fail(result);
}

/**
 * Bytes as text for a log line: printable ASCII is kept but for the backslash and the double quote, everything else
 * becomes `\xHH`. Of more than `max` bytes the first `max` are shown, then `...`.
 */
export function escapeBytes(bytes: Uint8Array, max: number): string {
  const shown = Math.min(bytes.length, max);
  let text = '';
  for (let at = 0; at < shown; at++) {
    const byte = bytes[at]!;
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return shown < bytes.length ? `${text}...` : text;
}

/**
 * ALPN protocols (a character for each byte) as text for a log line, each escaped as {@link escapeBytes} does. A hello
 * has room for 32,000 of them: of more than `max` bytes together the first ones are given, then `...`.
 */
export function escapeProtocols(protocols: readonly string[], max: number): string[] {
  const shown: string[] = [];
  let left = max;
  for (const protocol of protocols) {
    left -= protocol.length;
    if (left < 0) return [...shown, '...'];
    shown.push(escapeBytes(Buffer.from(protocol, 'latin1'), max));
  }
  return shown;
}

function canonicalize(bytes: Uint8Array): Canonical {
  let length = bytes.length;
  if (length === 0) return 'empty';
  if (bytes[length - 1] === DOT) length--;
  if (length > NAME_BYTES_MAX) return 'name-too-long';
  if (length === 0) return 'empty-label';
  const fault = fold(bytes, length);
  if (fault === 'bad-byte' && isIPv6Literal(bytes)) return 'ip-literal';
  if (fault !== null) return fault;
  const name = scratch.toString('latin1', 0, length);
  return isDigit(scratch[0]!) && LOOSE_IPV4.test(name) ? 'ip-literal' : { name };
}

/** Writes the folded name to `scratch`; a byte that no name may have is told before any other fault. */
function fold(bytes: Uint8Array, length: number): NameFault | null {
  let fault: NameFault | null = null;
  let labelStart = 0;
  for (let at = 0; at < length; at++) {
    const folded = FOLDED[bytes[at]!]!;
    if (folded === 0) return 'bad-byte';
    scratch[at] = folded;
    if (folded === DOT) {
      fault ??= labelFault(at - labelStart);
      labelStart = at + 1;
    }
  }
  return fault ?? labelFault(length - labelStart);
}

function labelFault(length: number): NameFault | null {
  if (length === 0) return 'empty-label';
  return length > LABEL_BYTES_MAX ? 'label-too-long' : null;
}

/** With or without brackets, IPv4-mapped, with a zone. */
function isIPv6Literal(bytes: Uint8Array): boolean {
  const bracketed = bytes[0] === OPENING_BRACKET && bytes.at(-1) === CLOSING_BRACKET;
  const text = Buffer.from(bracketed ? bytes.subarray(1, -1) : bytes).toString('latin1');
  const address = IPV6_CHARACTERS.exec(text)?.[1];
  return address !== undefined && URL.canParse(`http://[${address}]/`);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function fail(fault: NameFault): ConfigName {
  return { ok: false, message: MESSAGES[fault] };
}
