/** `sniway ech keygen`: makes a key for Encrypted ClientHello. */
import { dirname } from 'node:path';
import { ECH_FILE_SUFFIX } from '../../config/ech-files.ts';
import type { EchFile } from '../../config/ech-files.ts';
import { quote } from '../../config/plain-text.ts';
import { KEMS } from '../../ech/hpke-suites.ts';
import { createKeyFile } from '../../ech/new-key.ts';
import { ECH_NAME_LENGTH } from '../../limits.ts';
import { shellWord } from '../shell-word.ts';
import { fileIn, freeConfigIds, isFolder, readKeys, readPublicName } from './key-folder.ts';
import { accessWithin, writeNewFile } from './new-file.ts';
import { mistake, readNumber } from './said.ts';
import type { Said } from './said.ts';

export const KEM_NAMES = Object.keys(KEMS) as readonly (keyof typeof KEMS)[];

export interface KeygenFlags {
  readonly publicName: string;
  readonly out?: string;
  readonly kem: keyof typeof KEMS;
  readonly maxNameLength?: string;
  readonly configId?: string;
  readonly keys?: readonly string[];
}

const FEW_TAKE_IT =
  'warn: browsers do not take keys of P-256, and show the name in clear: x25519 is what all clients have';
const BYTE = { min: 0, max: 255 };

/**
 * Writes the key to the file, or gives it for stdout.
 * @throws CommandError for wrong flags, or a file that is there already.
 */
export function generateKey(flags: KeygenFlags): Said {
  const { out, kem } = flags;
  const publicName = readPublicName(flags.publicName);
  const maximumNameLength =
    flags.maxNameLength === undefined
      ? ECH_NAME_LENGTH
      : readNumber('--max-name-length', flags.maxNameLength, BYTE);
  const others = readKeys([...new Set([...(flags.keys ?? []), ...folderOf(out)])]);
  const configId = chooseId(flags, others);
  const text = createKeyFile({ kem: KEMS[kem], publicName, configId, maximumNameLength });
  const facts = `${kem} key for ${publicName}, config id ${configId}`;
  const warnings = kem === 'x25519' ? [] : [FEW_TAKE_IT];
  if (out === undefined) return { out: text, notes: [facts, ...nextSteps(null), ...warnings] };
  const path = isFolder(out) ? fileIn(out, { publicName, configId }) : out;
  const folder = dirname(path);
  writeNewFile(path, text, accessWithin(folder));
  const said = [`wrote ${quote(path)}: ${facts}`, ...nextSteps(path)];
  return { out: said.map(line => `${line}\n`).join(''), notes: warnings };
}

/** The folder that the file will be in, where there is one; its keys are those that the proxy will have beside it. */
function folderOf(out: string | undefined): readonly string[] {
  if (out === undefined) return [];
  const folder = isFolder(out) ? out : dirname(out);
  return isFolder(folder) ? [folder] : [];
}

function chooseId({ configId }: KeygenFlags, others: readonly EchFile[]): number {
  if (configId === undefined) return freeConfigIds(others, 1)[0]!;
  const id = readNumber('--config-id', configId, BYTE);
  const holder = others.find(({ configs }) => configs.some(config => config.configId === id));
  if (holder === undefined) return id;
  throw mistake(
    `--config-id ${id}: ${quote(holder.path)} has it already: leave the flag out, and a free one is taken`,
  );
}

function nextSteps(path: string | null): readonly string[] {
  const file = path === null ? 'FILE' : shellWord(path);
  const isInFolder = path !== null && path.endsWith(ECH_FILE_SUFFIX);
  const keys = isInFolder ? shellWord(dirname(path)) : file;
  return [
    ...(path === null
      ? ['it is shown once: keep it in a FILE that only the proxy can read (--out does)']
      : []),
    `to open what is encrypted to it, in the configuration:  ech: { keys: [${keys}] }`,
    `to publish it, once the proxy has it:  sniway ech dns ${file} --name NAME`,
  ];
}
