/** New keys for Encrypted ClientHello, with what is published of them. */
import { randomInt } from 'node:crypto';
import { encodeEchConfig, encodeEchConfigList } from './ech-config.ts';
import { KDFS } from './hpke-suites.ts';
import type { KemId } from './hpke-suites.ts';
import { createKemKey, generatePrivateKey } from './kem-key.ts';
import { encodeKeyFile } from './key-file.ts';

/** What somebody chooses of a key. */
export interface NewKeyParts {
  readonly kem: KemId;
  /** One that clients take, see `publicNameFault`. */
  readonly publicName: string;
  /** 0 to 255. */
  readonly configId: number;
  /** 0 to 255. */
  readonly maximumNameLength: number;
}

/** `config_id` is one byte. */
const CONFIG_IDS = 256;

/** What every client has (RFC 9849 section 9), and what is faster without instructions for AES. */
const AES_128_GCM = 0x0001;
const CHACHA20_POLY1305 = 0x0003;

/** The text of a file with a new private key and its configuration. */
export function createKeyFile({ kem, ...parts }: NewKeyParts): string {
  const privateKey = generatePrivateKey(kem);
  const { publicKey } = createKemKey(kem, privateKey)!;
  const suites = [AES_128_GCM, CHACHA20_POLY1305].map(aead => ({ kdf: KDFS.hkdfSha256, aead }));
  const config = encodeEchConfig({ ...parts, kem, publicKey, suites });
  return encodeKeyFile(encodeEchConfigList([config]), { kem, bytes: privateKey });
}

/** A random number that no other configuration has; null if all are taken. */
export function pickConfigId(taken: ReadonlySet<number>): number | null {
  const free = Array.from({ length: CONFIG_IDS }, (_, id) => id).filter(id => !taken.has(id));
  return free.length === 0 ? null : free[randomInt(free.length)]!;
}
