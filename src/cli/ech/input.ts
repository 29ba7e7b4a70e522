/** Reads what subcommands of `sniway ech` are given: a file, or stdin as `-`. */
import { readBounded } from '../../config/ech-files.ts';
import { FOUND_CONTENT, isFileContent } from '../../config/file-path.ts';
import { quote } from '../../config/plain-text.ts';
import { describeFailure } from '../../config/read-text.ts';
import { parseAnyConfigs } from '../../ech/key-file.ts';
import type { EchKeyFile } from '../../ech/key-file.ts';
import { ECH_FILE_BYTES_MAX } from '../../limits.ts';
import { chooseLine, lineUp, isFolder, readKeys, readPublicName } from './key-folder.ts';
import { mistake } from './said.ts';

export interface Input {
  /** For messages, quoted. */
  readonly label: string;
  readonly bytes: Buffer;
  /** Null for stdin. */
  readonly file: { readonly path: string; readonly mode: number; readonly modifiedMs: number } | null;
}

export type ReadConfigs = EchKeyFile & Omit<Input, 'bytes'>;

const STDIN = '-';

/** @throws CommandError if it cannot be read. */
export async function readInput(path: string): Promise<Input> {
  if (path === STDIN) return { label: 'stdin', bytes: await readStdin(), file: null };
  if (isFileContent(path)) throw mistake(`${FOUND_CONTENT}, or - for stdin`);
  const label = quote(path);
  try {
    const { bytes, mode, modifiedMs } = readBounded(path);
    return { label, bytes, file: { path, mode, modifiedMs } };
  } catch (error) {
    throw mistake(`cannot read ${label}: ${describeFailure(error)}; give a file, or - for stdin`);
  }
}

/**
 * Reads configurations in any form.
 * @throws CommandError if there are none.
 */
export async function readConfigs(path: string): Promise<ReadConfigs> {
  const { bytes, ...input } = await readInput(path);
  const read = parseAnyConfigs(bytes);
  if (read.ok) return { ...read, ...input };
  throw mistake(
    `${input.label} has no configuration: ${read.message}; give what sniway ech keygen writes, or an ECHConfigList`,
  );
}

/**
 * The same, where a folder stands for its newest key.
 * @throws CommandError also if that is not for this public name.
 */
export async function readPublished(path: string, publicName: string | undefined): Promise<ReadConfigs> {
  if (isFolder(path)) {
    const line = chooseLine(path, lineUp(readKeys([path])), publicName);
    return await readConfigs(line.files[0]!.path);
  }
  const read = await readConfigs(path);
  const names = read.configs.map(config => config.publicName.toLowerCase());
  if (publicName === undefined || names.includes(readPublicName(publicName))) return read;
  throw mistake(`--public-name ${quote(publicName)}: ${read.label} is for ${names.map(quote).join(', ')}`);
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > ECH_FILE_BYTES_MAX) {
      throw mistake(`stdin has more than ${ECH_FILE_BYTES_MAX / 1024} KiB: give one key or list`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
