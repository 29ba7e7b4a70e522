/** Files of keys for proxies under test. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import { KEMS } from '../../src/ech/hpke-suites.ts';
import { encodeKeyFile } from '../../src/ech/key-file.ts';
import type { TestKey } from './ech-client.ts';
import { makeFolder } from './folders.ts';

/** A folder with a file for each of these keys, which nobody else may read. */
export function makeKeyFolder(t: TestContext, ...keys: readonly TestKey[]): string {
  const folder = makeFolder(t, {});
  for (const key of keys) writeKey(folder, key);
  return folder;
}

export function writeKey(folder: string, { config, privateKey, parsed }: TestKey): string {
  const file = join(folder, `${parsed.configId}.ech`);
  const kem = parsed.kem === KEMS.p256 ? KEMS.p256 : KEMS.x25519;
  const text = encodeKeyFile(encodeEchConfigList([config]), { kem, bytes: privateKey });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
