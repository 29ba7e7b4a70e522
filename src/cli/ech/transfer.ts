/** `sniway ech import` and `export`: keys from and for BoringSSL and Go. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { quote } from '../../config/plain-text.ts';
import { parseEchConfig } from '../../ech/ech-config.ts';
import { KEMS, isKnownKem } from '../../ech/hpke-suites.ts';
import { encodeGoKeys, encodeKeyFile, joinKeyParts, parseGoKeys } from '../../ech/key-file.ts';
import type { EchKeyFile, EchKeyFileResult } from '../../ech/key-file.ts';
import { publicNameFault } from '../../ech/public-name.ts';
import { readConfigs, readInput } from './input.ts';
import { fileIn, isFolder, ownConfigs } from './key-folder.ts';
import { accessWithin, writeNewFile } from './new-file.ts';
import type { Access } from './new-file.ts';
import { mistake } from './said.ts';
import type { Said } from './said.ts';

export const EXPORT_FORMS = ['boringssl', 'go'] as const;
export type ExportForm = (typeof EXPORT_FORMS)[number];

/**
 * Reads a configuration or list with the private key beside it, or Go's JSON, and gives PEM.
 * @throws CommandError if they do not belong together, or the file is there already.
 */
export async function importKeys(
  configs: string,
  key: string | undefined,
  out: string | undefined,
): Promise<Said> {
  const input = await readInput(configs);
  const text = input.bytes.toString('latin1');
  if (text.includes('-----BEGIN ')) throw mistake(`${input.label} is PEM already: use it as it is`);
  const isJson = /^\s*[[{]/.test(text);
  if (!isJson && key === undefined) {
    throw mistake(
      `${input.label} has no private key: name its file as well, as in sniway ech import CONFIG KEY`,
    );
  }
  if (isJson && key !== undefined)
    throw mistake(`${input.label} has private keys of its own: leave ${quote(key)} out`);
  const results =
    key === undefined ? parseGoKeys(text) : [joinKeyParts(input.bytes, (await readInput(key)).bytes)];
  const keys = results.map((result, index) =>
    fit(result, results.length > 1 ? `${input.label}, key ${index + 1}` : input.label),
  );
  if (out !== undefined && isFolder(out))
    return {
      out: writeAll(
        keys.map(one => placeIn(out, one)),
        accessWithin(out),
      ),
    };
  const [first] = keys;
  if (first === undefined || keys.length > 1) {
    throw mistake(`${input.label} has ${keys.length} keys, and a file takes one: name a folder by --out`);
  }
  const pem = encodePem(first);
  if (out === undefined) return { out: pem };
  writeNewFile(out, pem, accessWithin(dirname(out)));
  return { out: wrote(out) };
}

/**
 * Writes a key as another program takes it.
 * @throws CommandError if there is no private key, or a file is there already.
 */
export async function exportKey(path: string, form: ExportForm, out: string | undefined): Promise<Said> {
  const read = await readConfigs(path);
  const { keys, label } = read;
  const [key, ...others] = keys;
  if (key === undefined) {
    throw mistake(`${label} has no private key to export: sniway ech show --list prints what is published`);
  }
  if (form === 'go') {
    const text = encodeGoKeys(keys);
    if (out === undefined) return { out: text };
    writeNewFile(out, text);
    return { out: wrote(out) };
  }
  if (out === undefined || out.endsWith('/') || isFolder(out)) {
    throw mistake('BoringSSL takes three files: name what they begin with by --out, as in --out FOLDER/NAME');
  }
  if (others.length > 0) {
    throw mistake(
      `${label} has ${keys.length} configurations for its key, and BoringSSL takes one: use --format go, or a key with one`,
    );
  }
  const { privateKey, config } = key;
  const isCommon = ownConfigs(read).every(({ kem }) => kem === KEMS.x25519);
  const files = [
    [`${out}.key`, privateKey],
    [`${out}.config`, config],
    [`${out}.list`, read.list],
  ] as const;
  return {
    out: writeAll(files, null),
    notes: isCommon ? [] : ['warn: BoringSSL may take keys of X25519 only'],
  };
}

type File = readonly [path: string, content: string | Uint8Array];

/** All of them or none. */
function writeAll(files: readonly File[], access: Access | null): string {
  const done: string[] = [];
  try {
    for (const [path, content] of files) {
      writeNewFile(path, content, access);
      done.push(path);
    }
  } catch (error) {
    for (const path of done) rmSync(path, { force: true });
    throw error;
  }
  return done.map(wrote).join('');
}

function fit(result: EchKeyFileResult, label: string): EchKeyFile {
  if (result.ok) return result;
  throw mistake(
    `${label} cannot be imported: ${result.message}; give what BoringSSL or Go has written, and the key that belongs to it`,
  );
}

function placeIn(folder: string, key: EchKeyFile): File {
  const [config] = ownConfigs(key);
  if (config === undefined || publicNameFault(config.publicName) !== null) {
    throw mistake('the key has a public name that clients do not take: name a file by --out, not a folder');
  }
  const { publicName, configId } = config;
  return [fileIn(folder, { publicName: publicName.toLowerCase(), configId }), encodePem(key)];
}

function encodePem({ list, keys }: EchKeyFile): string {
  const [key] = keys;
  const kem = key === undefined ? null : (parseEchConfig(key.config)?.kem ?? null);
  if (key === undefined || kem === null || !isKnownKem(kem)) return encodeKeyFile(list, null);
  return encodeKeyFile(list, { kem, bytes: key.privateKey });
}

function wrote(path: string): string {
  return `wrote ${quote(path)}\n`;
}
