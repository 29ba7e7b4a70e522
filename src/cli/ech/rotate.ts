/** `sniway ech rotate`: new keys for a folder, and the oldest ones out of it. */
import { rmSync } from 'node:fs';
import type { EchFile } from '../../config/ech-files.ts';
import { quote } from '../../config/plain-text.ts';
import { describeFailure } from '../../config/read-text.ts';
import { isKnownKem } from '../../ech/hpke-suites.ts';
import { createKeyFile } from '../../ech/new-key.ts';
import { publicNameFault } from '../../ech/public-name.ts';
import { ECH_KEYS_MAX } from '../../limits.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { shellWord } from '../shell-word.ts';
import { TTL_MAX } from './dns.ts';
import {
  chooseLine,
  fileIn,
  freeConfigIds,
  isFolder,
  lineUp,
  namesOf,
  noKeys,
  ownConfigs,
  readKeys,
} from './key-folder.ts';
import type { KeyLine } from './key-folder.ts';
import { accessLike, writeNewFile } from './new-file.ts';
import type { Access } from './new-file.ts';
import { mistake, readNumber } from './said.ts';
import type { Said } from './said.ts';

export interface RotateFlags {
  readonly keep: string;
  readonly ttl: string;
  readonly publicName?: string;
}

/** What becomes of the keys of one public name. */
interface Rotation {
  readonly publicName: string;
  readonly made: string;
  readonly configId: number;
  readonly kept: readonly string[];
  readonly removed: readonly string[];
}

/** How many of the record's times a key must be out of DNS before clients cannot have it any more. */
const TTLS_KEPT = 2;

/**
 * Gives every public name of the folder, or the one that is named, a new key like its newest one. Of the older ones it
 * keeps some, and those that clients may still have. Nothing is removed before all new keys are on the disk.
 * @throws CommandError if the folder cannot be read, has no key, or cannot be written to.
 */
export function rotateKeys(folder: string, flags: RotateFlags): Said {
  const keep = readNumber('--keep', flags.keep, { min: 0, max: ECH_KEYS_MAX - 1 });
  const ttlMs = readNumber('--ttl', flags.ttl, { min: 0, max: TTL_MAX }) * 1_000;
  if (!isFolder(folder)) throw mistake(`${quote(folder)} is no folder: give the one that the keys are in`);
  const files = readKeys([folder]);
  const lines = lineUp(files);
  if (lines.length === 0) throw noKeys(folder);
  const chosen = flags.publicName === undefined ? lines : [chooseLine(folder, lines, flags.publicName)];
  const ids = freeConfigIds(files, chosen.length);
  const drafts = chosen.map((line, index) => draftKey(folder, line, ids[index]!));
  for (const { made, text, access } of drafts) writeNewFile(made, text, access);
  const rotations = drafts.map(({ line, made, configId }): Rotation => {
    const { kept, removed } = sortOut(line, { keep, silentMs: ttlMs * TTLS_KEPT });
    for (const path of removed) removeKey(path);
    return { publicName: line.publicName, made, configId, kept, removed };
  });
  const said = [...rotations.flatMap(describeRotation), ...nextSteps(folder, rotations)];
  return { out: said.map(line => `${line}\n`).join('') };
}

interface Draft {
  readonly line: KeyLine;
  readonly made: string;
  readonly configId: number;
  readonly text: string;
  readonly access: Access | null;
}

/** A key like the newest one of the line, not written yet. */
function draftKey(folder: string, line: KeyLine, configId: number): Draft {
  const { publicName, files } = line;
  const newest = files[0]!;
  const like = ownConfigs(newest).find(config => config.publicName.toLowerCase() === publicName)!;
  const fault = publicNameFault(publicName);
  if (fault !== null || !isKnownKem(like.kem)) {
    throw mistake(
      `${quote(newest.path)} has the public name ${quote(publicName)}, which clients do not take: ${fault ?? ''}; take it away, and make a key with sniway ech keygen`,
    );
  }
  const { kem, maximumNameLength } = like;
  const text = createKeyFile({ kem, publicName, configId, maximumNameLength });
  return {
    line,
    made: fileIn(folder, { publicName, configId }),
    configId,
    text,
    access: accessLike(newest.path),
  };
}

/**
 * A key goes when it is beyond the number to keep, and the one after it is old enough: until then clients may have
 * nothing newer.
 */
function sortOut(
  { files }: KeyLine,
  { keep, silentMs }: { keep: number; silentMs: number },
): Pick<Rotation, 'kept' | 'removed'> {
  const latest = Date.now() - silentMs;
  const goes = (file: EchFile, index: number): boolean => {
    const followedMs = files[index - 1]?.modifiedMs ?? Date.now();
    // One that serves several names is in several lines: only a person can tell.
    return (
      index >= keep &&
      (silentMs === 0 || followedMs <= latest) &&
      namesOf(file).length === 1 &&
      file.keys.length === file.configs.length
    );
  };
  const paths = (isGone: boolean): string[] =>
    files.flatMap((file, index) => (goes(file, index) === isGone ? [file.path] : []));
  // The oldest first: whatever is left after a crash is the newer part.
  return { kept: paths(false), removed: paths(true).toReversed() };
}

function removeKey(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw new CommandError(
      `sniway: error: the new key is in place, but cannot remove ${quote(path)}: ${describeFailure(error)}; remove it yourself`,
      EXIT.failure,
    );
  }
}

function describeRotation({ publicName, made, configId, kept, removed }: Rotation): readonly string[] {
  return [
    `${publicName}: made ${quote(made)}, config id ${configId}`,
    ...kept.map(path => `  kept ${quote(path)}`),
    ...removed.map(path => `  removed ${quote(path)}`),
  ];
}

function nextSteps(folder: string, rotations: readonly Rotation[]): readonly string[] {
  return [
    'next, in this order:',
    `1. every proxy and fallback server loads ${shellWord(folder)}: sniway reload (with --watch by itself)`,
    ...rotations.map(
      ({ made }) =>
        `2. publish the new key for each hidden name: sniway ech dns ${shellWord(made)} --name NAME`,
    ),
    `3. rotate again no sooner than ${TTLS_KEPT} times the TTL after that: until then clients may have the old key`,
  ];
}
