/** Reads files and folders of keys for Encrypted ClientHello. */
import { closeSync, constants, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { EchKey } from '../ech/ech-opener.ts';
import { parseKeyFile } from '../ech/key-file.ts';
import type { EchKeyFile } from '../ech/key-file.ts';
import { ECH_FILE_BYTES_MAX, ECH_KEYS_MAX } from '../limits.ts';
import { FOUND_CONTENT, isFileContent } from './file-path.ts';
import { quote } from './plain-text.ts';
import { describeFailure } from './read-text.ts';

/** One file with its content. */
export interface EchFile extends EchKeyFile {
  readonly path: string;
  /** When it was last written, in milliseconds since 1970: how old its key is. */
  readonly modifiedMs: number;
}

export interface EchFiles {
  /** In the order of the paths, and within a folder in that of the names. */
  readonly files: readonly EchFile[];
  /** All keys of all files, each once; plain data. */
  readonly keys: readonly EchKey[];
  /** What keeps the files from being used, each a sentence without a full stop; then `files` lacks those. */
  readonly problems: readonly string[];
  /** What is unwise, in the same form. */
  readonly warnings: readonly string[];
}

/** What files of keys in a folder end in. */
export const ECH_FILE_SUFFIX = '.ech';
/** Read, write and execute for the group and for others. */
export const OPEN_TO_OTHERS = 0o077;

/** Reads each path, a file or a folder of files that end in `.ech`; does not throw for what is in them. */
export function readEchFiles(paths: readonly string[]): EchFiles {
  const files: EchFile[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];
  // The same file may stand there by itself and in its folder.
  const byPlace = new Map(listFiles(paths, problems).map(path => [resolve(path), path]));
  for (const path of byPlace.values()) {
    try {
      const { text, mode, modifiedMs } = readKeyText(path);
      const file = parseKeyFile(text);
      if (!file.ok) problems.push(`${quote(path)} is no file of keys: ${file.message}`);
      else files.push({ ...file, path, modifiedMs });
      if (file.ok && file.hasPrivateKey && (mode & OPEN_TO_OTHERS) !== 0) {
        warnings.push(`${quote(path)} has a private key and is open to other users: chmod 600 closes it`);
      }
    } catch (error) {
      problems.push(`cannot read ${quote(path)}: ${describeFailure(error)}`);
    }
  }
  const keys = distinctKeys(files);
  if (keys.length > ECH_KEYS_MAX) {
    problems.push(`there are ${keys.length} keys, and at most ${ECH_KEYS_MAX} can be used: remove old ones`);
  }
  return { files, keys, problems, warnings };
}

/** A key belongs to its configuration: where that is the same, the key is. */
function distinctKeys(files: readonly EchFile[]): readonly EchKey[] {
  const distinct = new Map<string, EchKey>();
  for (const key of files.flatMap(file => file.keys)) {
    const config = Buffer.from(key.config).toString('base64');
    if (!distinct.has(config)) distinct.set(config, key);
  }
  return [...distinct.values()];
}

/**
 * For sorting: the older file first. Files that were written at one time, as those of a Kubernetes secret and of an
 * image are, count by their names, which begin alike and have the time in them if `sniway ech rotate` has made them.
 */
export function compareAge(one: EchFile, other: EchFile): number {
  const byTime = one.modifiedMs - other.modifiedMs;
  if (byTime !== 0) return byTime;
  return compareTexts(basename(one.path), basename(other.path)) || compareTexts(one.path, other.path);
}

function compareTexts(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function listFiles(paths: readonly string[], problems: string[]): string[] {
  return paths.flatMap(path => {
    if (isFileContent(path)) {
      problems.push(FOUND_CONTENT);
      return [];
    }
    try {
      return listEchFiles(path);
    } catch (error) {
      problems.push(`cannot read ${quote(path)}: ${describeFailure(error)}`);
      return [];
    }
  });
}

/**
 * The files of keys that a path stands for: itself, or those in the folder, in the order of their names.
 * @throws Error if it is not there; `describeFailure` says why.
 */
export function listEchFiles(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter(name => name.endsWith(ECH_FILE_SUFFIX) && !name.startsWith('.'));
  return names.toSorted().map(name => join(path, name));
}

function readKeyText(path: string): { text: string; mode: number; modifiedMs: number } {
  const { bytes, mode, modifiedMs } = readBounded(path);
  return { text: bytes.toString('latin1'), mode, modifiedMs };
}

/**
 * Reads a file of at most ECH_FILE_BYTES_MAX bytes.
 * @throws Error; `describeFailure` says why.
 */
export function readBounded(path: string): { bytes: Buffer; mode: number; modifiedMs: number } {
  // A pipe that nobody writes to must not be waited for.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new Error('it is a directory');
    const buffer = Buffer.alloc(ECH_FILE_BYTES_MAX + 1);
    let length = 0;
    for (;;) {
      const bytesRead = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    if (length > ECH_FILE_BYTES_MAX) throw new Error(`it is larger than ${ECH_FILE_BYTES_MAX / 1024} KiB`);
    return { bytes: buffer.subarray(0, length), mode: stats.mode, modifiedMs: stats.mtimeMs };
  } finally {
    closeSync(descriptor);
  }
}
