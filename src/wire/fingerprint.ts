/** Fingerprints of TLS clients: JA3 (Salesforce, 2017) and JA4 (FoxIO, 2023), both for TLS over TCP. */
import { createHash } from 'node:crypto';
import { EXTENSIONS } from './hello-layout.ts';

/** The lists of a hello that fingerprints are made of, in the client's order. */
export interface FingerprintFacts {
  readonly legacyVersion: number;
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly number[];
  readonly supportedGroups: readonly number[];
  readonly ecPointFormats: readonly number[];
  readonly supportedVersions: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  readonly alpnProtocols: readonly string[];
}

const JA4_HASH_CHARS = 12;
const JA4_NOTHING = '0'.repeat(JA4_HASH_CHARS);
/** JA4 counts to here, whatever there is. */
const JA4_COUNT_MAX = 99;

const JA4_VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
  [0x0300, 's3'],
  [0x0002, 's2'],
]);

/** The MD5 of version, suites, extensions, groups and point formats, GREASE left out. */
export function computeJa3(hello: FingerprintFacts): string {
  const { legacyVersion, cipherSuites, extensions, supportedGroups, ecPointFormats } = hello;
  const lists = [cipherSuites, extensions, supportedGroups].map(list => list.filter(isNotGrease).join('-'));
  const text = [legacyVersion, ...lists, ecPointFormats.join('-')].join(',');
  return createHash('md5').update(text).digest('hex');
}

/** The three parts of a JA4: what is offered, the sorted suites, the sorted extensions with the signature algorithms. */
export function computeJa4(hello: FingerprintFacts): string {
  const suites = hello.cipherSuites.filter(isNotGrease);
  const extensions = hello.extensions.filter(isNotGrease);
  const name = extensions.includes(EXTENSIONS.server_name) ? 'd' : 'i';
  const counts = `${countOf(suites)}${countOf(extensions)}`;
  const offer = `t${ja4Version(hello)}${name}${counts}${ja4Alpn(hello.alpnProtocols[0])}`;
  const hashed = extensions.filter(
    type => type !== EXTENSIONS.server_name && type !== EXTENSIONS.application_layer_protocol_negotiation,
  );
  const algorithms = hello.signatureAlgorithms.filter(isNotGrease).map(hex);
  const tail = algorithms.length === 0 ? '' : `_${algorithms.join(',')}`;
  const parts = [sortedHex(suites), hashed.length === 0 ? '' : `${sortedHex(hashed)}${tail}`];
  return [offer, ...parts.map(ja4Hash)].join('_');
}

/** GREASE values (RFC 8701 section 2): 0x0a0a, 0x1a1a, ... 0xfafa. */
function isNotGrease(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a || value >> 8 !== (value & 0xff);
}

function ja4Version({ supportedVersions, legacyVersion }: FingerprintFacts): string {
  const offered = supportedVersions.filter(isNotGrease);
  return JA4_VERSIONS.get(offered.length > 0 ? Math.max(...offered) : legacyVersion) ?? '00';
}

/** First and last character of the first protocol; of other characters than letters and digits, the outer nibbles. */
function ja4Alpn(protocol: string | undefined): string {
  if (protocol === undefined) return '00';
  const first = protocol.charAt(0);
  const last = protocol.charAt(protocol.length - 1);
  if (/^[0-9A-Za-z]{2}$/.test(first + last)) return first + last;
  return hexByte(first).charAt(0) + hexByte(last).charAt(1);
}

function countOf(list: readonly number[]): string {
  return String(Math.min(list.length, JA4_COUNT_MAX)).padStart(2, '0');
}

function sortedHex(values: readonly number[]): string {
  return values.map(hex).toSorted().join(',');
}

function ja4Hash(text: string): string {
  return text === '' ? JA4_NOTHING : createHash('sha256').update(text).digest('hex').slice(0, JA4_HASH_CHARS);
}

function hex(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function hexByte(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0');
}
