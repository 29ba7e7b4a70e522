/** A folder of keys: which of them belong together, which is the newest, and where a new one goes. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ECH_FILE_SUFFIX, compareAge, readEchFiles } from '../../config/ech-files.ts';
import type { EchFile } from '../../config/ech-files.ts';
import { listWords, quote } from '../../config/plain-text.ts';
import { parseEchConfig } from '../../ech/ech-config.ts';
import type { EchConfig } from '../../ech/ech-config.ts';
import { pickConfigId } from '../../ech/new-key.ts';
import { publicNameFault } from '../../ech/public-name.ts';
import { ECH_KEYS_MAX } from '../../limits.ts';
import { parseConfigName } from '../../wire/host-name.ts';
import { mistake } from './said.ts';

/** The keys of one public name, which follow each other. */
export interface KeyLine {
  /** Canonical. */
  readonly publicName: string;
  /** At least one; the newest first. */
  readonly files: readonly EchFile[];
}

/** Of a name that is in the name of a file, which may have 255 bytes. */
const NAME_IN_FILE_CHARS = 200;

/** Whether it is one that can be looked at; what cannot be, is told by whoever reads or writes there. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/**
 * All files of keys of these paths, files and folders.
 * @throws CommandError if one of them cannot be read, or is no file of keys.
 */
export function readKeys(paths: readonly string[]): readonly EchFile[] {
  const { files, problems } = readEchFiles(paths);
  if (problems.length > 0) throw mistake(`${problems.join('\nsniway: error: ')}: mend it, or take it away`);
  return files;
}

/** The configurations that a file has the private key of. */
export function ownConfigs({ keys }: Pick<EchFile, 'keys'>): readonly EchConfig[] {
  return keys.flatMap(({ config }) => parseEchConfig(config) ?? []);
}

/** Keys by their public names, in the order of these; files without a private key belong nowhere. */
export function lineUp(files: readonly EchFile[]): readonly KeyLine[] {
  const newestFirst = files.toSorted((one, other) => compareAge(other, one));
  const lines = new Map<string, EchFile[]>();
  for (const file of newestFirst) {
    for (const name of namesOf(file)) lines.set(name, [...(lines.get(name) ?? []), file]);
  }
  return [...lines]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([publicName, all]) => ({ publicName, files: all }));
}

/** The public names of a file's keys; there may be several, made elsewhere. */
export function namesOf(file: Pick<EchFile, 'keys'>): readonly string[] {
  return [...new Set(ownConfigs(file).map(({ publicName }) => publicName.toLowerCase()))];
}

/**
 * One line of a folder.
 * @throws CommandError if it has no keys, or the name does not say which.
 */
export function chooseLine(folder: string, lines: readonly KeyLine[], name: string | undefined): KeyLine {
  const names = lines.map(({ publicName }) => quote(publicName));
  if (lines.length === 0) throw noKeys(folder);
  const wanted = name === undefined ? null : readPublicName(name);
  if (wanted === null && lines.length > 1) {
    throw mistake(
      `${quote(folder)} has keys for ${names.join(', ')}: say which by --public-name, or name a file`,
    );
  }
  const line = wanted === null ? lines[0] : lines.find(({ publicName }) => publicName === wanted);
  if (line !== undefined) return line;
  throw mistake(
    `--public-name ${quote(wanted ?? '')}: ${quote(folder)} has no key for it, only for ${listWords(names)}`,
  );
}

export function noKeys(folder: string): Error {
  return mistake(
    `${quote(folder)} has no file that ends in ${ECH_FILE_SUFFIX} with a private key: sniway ech keygen --public-name NAME --out ${quote(folder)} makes one`,
  );
}

/**
 * The canonical form of a public name.
 * @throws CommandError if clients would not take it.
 */
export function readPublicName(text: string): string {
  const parsed = parseConfigName(text);
  const fault = parsed.ok ? publicNameFault(parsed.name) : parsed.message;
  if (parsed.ok && fault === null) return parsed.name;
  throw mistake(
    `--public-name ${quote(text)} is no name that clients take: ${fault}; give a host name that leads to this proxy, such as public.example.com`,
  );
}

/**
 * Numbers for this many new keys that none of these files has.
 * @throws CommandError if there are too many keys.
 */
export function freeConfigIds(files: readonly EchFile[], count: number): readonly number[] {
  const keyCount = files.reduce((sum, { keys }) => sum + keys.length, 0);
  if (keyCount + count > ECH_KEYS_MAX) {
    throw mistake(
      `there are ${keyCount} keys already, of ${ECH_KEYS_MAX} that Sniway takes: remove old ones first`,
    );
  }
  const taken = new Set(files.flatMap(({ configs }) => configs.map(({ configId }) => configId)));
  return Array.from({ length: count }, () => {
    const id = pickConfigId(taken);
    if (id === null)
      throw mistake('all config ids are taken: remove files of lists that are not published any more');
    taken.add(id);
    return id;
  });
}

/** Where a key goes whose file nobody has named: the names of one public name sort as they were made. */
export function fileIn(
  folder: string,
  { publicName, configId }: { publicName: string; configId: number },
): string {
  const time = `${new Date().toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length).replaceAll(':', '')}Z`;
  return join(folder, `${publicName.slice(0, NAME_IN_FILE_CHARS)}-${time}-${configId}${ECH_FILE_SUFFIX}`);
}
