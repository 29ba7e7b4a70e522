/** Files of keys for Encrypted ClientHello (RFC 9934), and the forms that other programs keep keys in. */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeEchConfigList, parseEchConfig, parseEchConfigList } from './ech-config.ts';
import type { EchConfig, EchConfigListResult } from './ech-config.ts';
import type { EchKey } from './ech-opener.ts';
import { KEMS, isKnownKem, isKnownSuite } from './hpke-suites.ts';
import type { KemId } from './hpke-suites.ts';
import { createKemKey } from './kem-key.ts';

/** What a file holds. */
export interface EchKeyFile {
  readonly ok: true;
  /** As it is published, its 2-byte length included. */
  readonly list: Uint8Array;
  readonly configs: readonly EchConfig[];
  /** Those of the configurations that the private key belongs to; none without a private key. */
  readonly keys: readonly EchKey[];
  readonly hasPrivateKey: boolean;
}

/** The message is a clause without a full stop, and holds no byte of the file. */
export type EchKeyFileResult = EchKeyFile | { readonly ok: false; readonly message: string };

interface PrivateKeyBytes {
  readonly kem: KemId;
  readonly bytes: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;
/** What is left of a block that is none. */
const BOUNDARY = /-----(?:BEGIN|END)/;
const KEY_BOUNDARY = /-----(?:BEGIN|END) [A-Z0-9 ]*PRIVATE KEY/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** SvcParam of an HTTPS record in its text form (RFC 9848 section 4). */
const RECORD_PARAMETER = /\sech="?([A-Za-z0-9+/]+={0,2})/;
const PEM_LINE_CHARS = 64;
const PRIVATE_KEY_BYTES = 32;

/**
 * Reads PEM: one PKCS#8 private key or none, then one list. What comes behind the list is not looked at, but for a
 * private key, which somebody has meant.
 */
export function parseKeyFile(text: string): EchKeyFileResult {
  let privateKey: PrivateKeyBytes | null = null;
  let end = 0;
  for (const { 0: block, 1: label, 2: content = '', index } of text.matchAll(BLOCK)) {
    if (BOUNDARY.test(text.slice(end, index))) break;
    end = index + block.length;
    const bytes = Buffer.from(content, 'base64');
    if (label === 'ECHCONFIG') {
      if (KEY_BOUNDARY.test(text.slice(end))) {
        return fail(
          'it has a private key behind its list: one key comes first, and each key has its own file',
        );
      }
      return joinKey(parseEchConfigList(bytes), bytes, privateKey);
    }
    if (label !== 'PRIVATE KEY') {
      return fail(`it has a block "${label}" where PRIVATE KEY (PKCS#8) or ECHCONFIG is expected`);
    }
    if (privateKey !== null) return fail('it has two private keys');
    privateKey = readPkcs8(bytes);
    if (privateKey === null)
      return fail('its private key is no PKCS#8 key of X25519 or P-256 without a password');
  }
  const lost = text.slice(end).search(BOUNDARY);
  if (lost < 0) return fail('it has no block ECHCONFIG');
  const line = text.slice(0, end + lost).split('\n').length;
  return fail(
    `its block at line ${line} is damaged: BEGIN and END of one kind need base64 alone between them`,
  );
}

/**
 * Reads whatever has configurations in it: PEM, a list or one configuration, as bytes or in base64, or an HTTPS record
 * as zone files and look-ups have it.
 */
export function parseAnyConfigs(bytes: Uint8Array): EchKeyFileResult {
  const text = Buffer.from(bytes).toString('latin1');
  if (text.includes('-----BEGIN ')) return parseKeyFile(text);
  for (const candidate of [bytes, fromBase64(text), fromBase64(RECORD_PARAMETER.exec(text)?.[1] ?? '')]) {
    if (candidate === null) continue;
    const list = asList(candidate);
    if (list !== null) return joinKey(parseEchConfigList(list), list, null);
  }
  return fail('it is neither PEM nor an ECHConfigList, as bytes or in base64');
}

/** Puts together what BoringSSL and Go keep apart: a configuration or a list, and the bytes of the private key. */
export function joinKeyParts(configs: Uint8Array, privateKey: Uint8Array): EchKeyFileResult {
  const read = parseAnyConfigs(configs);
  if (!read.ok) return read;
  const bytes = privateKeyBytes(privateKey);
  if (bytes === null) return fail('the private key has not 32 bytes, as they are or in base64');
  const [first] = read.configs;
  if (first === undefined || !isKnownKem(first.kem)) return fail('its key is neither of X25519 nor of P-256');
  return joinKey(parseEchConfigList(read.list), read.list, { kem: first.kem, bytes });
}

/** Reads the JSON of Go's `tls.EncryptedClientHelloKey`: one, or a list. At least one result. */
export function parseGoKeys(text: string): readonly EchKeyFileResult[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [fail('it is no JSON')];
  }
  const keys: readonly unknown[] = Array.isArray(value) ? value : [value];
  return keys.length === 0 ? [fail('it is an empty list')] : keys.map(readGoKey);
}

function readGoKey(key: unknown): EchKeyFileResult {
  if (typeof key !== 'object' || key === null) return fail('it is no JSON object');
  const { Config: config, PrivateKey: privateKey } = key as Record<string, unknown>;
  if (typeof config !== 'string' || typeof privateKey !== 'string') {
    return fail('it has no texts Config and PrivateKey');
  }
  return joinKeyParts(Buffer.from(config, 'base64'), Buffer.from(privateKey, 'base64'));
}

/** What `parseGoKeys` reads. */
export function encodeGoKeys(keys: readonly EchKey[]): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const values = keys.map(({ config, privateKey }) => ({
    Config: base64(config),
    PrivateKey: base64(privateKey),
    SendAsRetry: true,
  }));
  return `${JSON.stringify(values, null, 2)}\n`;
}

/** The text of a file. @param privateKey 32 bytes, or null for a file that only publishes. */
export function encodeKeyFile(
  list: Uint8Array,
  privateKey: { kem: KemId; bytes: Uint8Array } | null,
): string {
  const key = privateKey === null ? '' : pem('PRIVATE KEY', encodePkcs8(privateKey));
  return key + pem('ECHCONFIG', list);
}

function joinKey(
  result: EchConfigListResult,
  list: Uint8Array,
  privateKey: PrivateKeyBytes | null,
): EchKeyFileResult {
  if (!result.ok) return fail(`of its list ${result.message}`);
  const { configs } = result;
  if (configs.length === 0) return fail('its list has no configuration of the version of RFC 9849');
  if (privateKey === null) return { ok: true, list, configs, keys: [], hasPrivateKey: false };
  const key = createKemKey(privateKey.kem, privateKey.bytes);
  if (key === null) return fail('its private key is out of range');
  const own = configs.filter(
    ({ kem, publicKey }) => kem === key.kem && Buffer.from(key.publicKey).equals(publicKey),
  );
  if (own.length === 0) return fail('its private key belongs to none of its configurations');
  if (!own.some(({ suites }) => suites.some(isKnownSuite))) {
    return fail(
      'its configuration names no algorithms that are known here (HKDF-SHA256, and AES or ChaCha20)',
    );
  }
  const keys = own.map(({ raw }) => ({
    config: Uint8Array.from(raw),
    privateKey: Uint8Array.from(privateKey.bytes),
  }));
  return { ok: true, list, configs, keys, hasPrivateKey: true };
}

/** A list as it is, or around the one configuration there is. */
function asList(bytes: Uint8Array): Uint8Array | null {
  if (parseEchConfig(bytes) !== null) return encodeEchConfigList([bytes]);
  return parseEchConfigList(bytes).ok ? bytes : null;
}

function privateKeyBytes(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length === PRIVATE_KEY_BYTES) return bytes;
  const decoded = fromBase64(Buffer.from(bytes).toString('latin1'));
  return decoded?.length === PRIVATE_KEY_BYTES ? decoded : null;
}

function fromBase64(text: string): Uint8Array | null {
  const packed = text.replaceAll(/\s/g, '');
  return BASE64.test(packed) ? Buffer.from(packed, 'base64') : null;
}

function readPkcs8(der: Buffer): PrivateKeyBytes | null {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
  const kem = kemOf(key);
  const { d } = kem === null ? {} : key.export({ format: 'jwk' });
  return kem === null || d === undefined ? null : { kem, bytes: Buffer.from(d, 'base64url') };
}

function kemOf(key: KeyObject): KemId | null {
  if (key.asymmetricKeyType === 'x25519') return KEMS.x25519;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return key.asymmetricKeyType === 'ec' && curve === 'prime256v1' ? KEMS.p256 : null;
}

function encodePkcs8({ kem, bytes }: PrivateKeyBytes): Uint8Array {
  const { publicKey } = createKemKey(kem, bytes)!;
  const d = Buffer.from(bytes).toString('base64url');
  const coordinate = (from: number, to?: number): string =>
    Buffer.from(publicKey.subarray(from, to)).toString('base64url');
  const jwk =
    kem === KEMS.x25519
      ? { kty: 'OKP', crv: 'X25519', d, x: coordinate(0) }
      : { kty: 'EC', crv: 'P-256', d, x: coordinate(1, 33), y: coordinate(33) };
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'pkcs8' });
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .match(new RegExp(`.{1,${PEM_LINE_CHARS}}`, 'g'));
  return `-----BEGIN ${label}-----\n${(lines ?? []).join('\n')}\n-----END ${label}-----\n`;
}

function fail(message: string): EchKeyFileResult {
  return { ok: false, message };
}
