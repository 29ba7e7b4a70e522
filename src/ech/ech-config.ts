/** ECHConfig and ECHConfigList (RFC 9849 section 4): what is published of a key. */
import { ECH_CONFIGS_MAX } from '../limits.ts';
import { ByteReader } from '../wire/byte-reader.ts';
import { u16, vector16 } from '../wire/vectors.ts';
import type { SymmetricSuite } from './hpke-suites.ts';

/** Version of the configurations that are known here, and type of the extension (RFC 9849 section 4). */
export const ECH_VERSION = 0xfe0d;

/** One configuration of the known version. */
export interface EchConfig {
  /** Exactly as it was read, version and length included: what is encrypted is bound to these bytes. */
  readonly raw: Uint8Array;
  /** 0 to 255; hellos name the configuration by it. */
  readonly configId: number;
  readonly kem: number;
  readonly publicKey: Uint8Array;
  readonly suites: readonly SymmetricSuite[];
  /** Bytes of the longest name that is hidden, for the padding of clients; 0 if not told. */
  readonly maximumNameLength: number;
  /** A character for each byte; hostile until checked, see `publicNameFault`. */
  readonly publicName: string;
  /** Types of its extensions; clients leave a configuration aside that has an unknown one with the high bit set. */
  readonly extensions: readonly number[];
}

export interface EchConfigList {
  readonly ok: true;
  /** In their order, which is that of preference. */
  readonly configs: readonly EchConfig[];
  /** Versions of configurations that were stepped over. */
  readonly otherVersions: readonly number[];
}

/** The message is a clause without a full stop. */
export type EchConfigListResult = EchConfigList | { readonly ok: false; readonly message: string };

/** What a configuration is made of; it has no extensions, since none are defined. */
export type EchConfigParts = Omit<EchConfig, 'raw' | 'extensions'>;

/** Reads a list, its 2-byte length included. Copies nothing: what comes out views `bytes`. */
export function parseEchConfigList(bytes: Uint8Array): EchConfigListResult {
  const reader = new ByteReader(bytes);
  const list = reader.vector16();
  if (!list.ok || !reader.done) return fail('the length at its beginning is not that of what follows');
  if (list.remaining === 0) return fail('it is empty');
  const configs: EchConfig[] = [];
  const otherVersions: number[] = [];
  while (list.remaining > 0) {
    if (configs.length + otherVersions.length === ECH_CONFIGS_MAX) {
      return fail(`it has more than ${ECH_CONFIGS_MAX} configurations`);
    }
    const start = list.position;
    const version = list.u16();
    const contents = list.vector16();
    if (!contents.ok) return fail('a configuration in it is cut off');
    if (version !== ECH_VERSION) {
      otherVersions.push(version);
      continue;
    }
    const config = readContents(contents, bytes.subarray(start, list.position));
    if (config === null) return fail('a configuration in it is malformed');
    configs.push(config);
  }
  return list.ok ? { ok: true, configs, otherVersions } : fail('a configuration in it is cut off');
}

/** Reads one configuration, its version and length included, and nothing behind it; null if it is none. */
export function parseEchConfig(bytes: Uint8Array): EchConfig | null {
  const result = parseEchConfigList(encodeEchConfigList([bytes]));
  const config = result.ok ? result.configs[0] : undefined;
  if (config === undefined || config.raw.length !== bytes.length) return null;
  return config;
}

export function encodeEchConfig(parts: EchConfigParts): Uint8Array {
  const suites = parts.suites.flatMap(({ kdf, aead }) => [...u16(kdf), ...u16(aead)]);
  const name = Buffer.from(parts.publicName, 'latin1');
  const contents = [
    parts.configId,
    ...u16(parts.kem),
    ...vector16(parts.publicKey),
    ...vector16(suites),
    parts.maximumNameLength,
    name.length,
    ...name,
    ...vector16([]),
  ];
  return Uint8Array.from([...u16(ECH_VERSION), ...vector16(contents)]);
}

/** @param configs As they are, each with its version and length. */
export function encodeEchConfigList(configs: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(vector16(configs.flatMap(config => [...config])));
}

function readContents(reader: ByteReader, raw: Uint8Array): EchConfig | null {
  const configId = reader.u8();
  const kem = reader.u16();
  const publicKey = reader.vector16().rest();
  const suiteList = reader.vector16();
  const maximumNameLength = reader.u8();
  const name = reader.vector8().rest();
  const extensionList = reader.vector16();
  if (!reader.done || publicKey.length === 0 || name.length === 0) return null;
  if (suiteList.remaining === 0 || suiteList.remaining % 4 !== 0) return null;
  const suites: SymmetricSuite[] = [];
  while (suiteList.remaining > 0) suites.push({ kdf: suiteList.u16(), aead: suiteList.u16() });
  const extensions: number[] = [];
  while (extensionList.remaining > 0) {
    extensions.push(extensionList.u16());
    extensionList.skip(extensionList.u16());
  }
  if (!extensionList.ok) return null;
  const publicName = Buffer.from(name).toString('latin1');
  return { raw, configId, kem, publicKey, suites, maximumNameLength, publicName, extensions };
}

function fail(message: string): EchConfigListResult {
  return { ok: false, message };
}
