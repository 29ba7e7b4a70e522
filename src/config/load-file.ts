/** Reads a configuration file. */
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import type { ParsedSource } from './config-source.ts';
import { parseSource } from './config-source.ts';
import { expandVariables } from './expand-variables.ts';
import type { Environment } from './expand-variables.ts';
import { errorAt } from './findings.ts';
import { quote } from './plain-text.ts';

/**
 * What a file holds: a value to hand to `inspectConfig`, what is wrong with the text itself (then the value is
 * undefined if that is an error), and the source that `renderProblems` shows.
 */
export type LoadedConfig = ParsedSource;

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied for the user Sniway runs as',
  EPERM: 'permission denied for the user Sniway runs as',
  ELOOP: 'too many symbolic links',
};

/**
 * Loads a YAML or JSON file (told apart by nothing: JSON is YAML), a pipe included, and puts in what its texts take
 * from the environment.
 * @throws ConfigError if it cannot be read, is larger than CONFIG_BYTES_MAX or is not UTF-8.
 */
export async function loadConfigFile(
  path: string,
  environment: Environment = process.env,
): Promise<LoadedConfig> {
  const bytes = await readBounded(path);
  const parsed = parseSource(path, decode(path, bytes));
  const { value, problems } = expandVariables(parsed.value, { environment });
  return { ...parsed, value, problems: [...parsed.problems, ...problems] };
}

async function readBounded(path: string): Promise<Buffer> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    const stats: Stats = await handle.stat();
    if (stats.isDirectory()) throw unreadable(path, 'it is a directory');
    if (stats.size > CONFIG_BYTES_MAX) throw tooLarge(path);
    return await collect(handle, path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw unreadable(path, CAUSES[code] ?? message);
  } finally {
    await handle?.close();
  }
}

/** A pipe tells no size beforehand, and a file may grow while it is read. */
async function collect(handle: FileHandle, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of handle.createReadStream({ autoClose: false })) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > CONFIG_BYTES_MAX) throw tooLarge(path);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(path, 'it is not UTF-8 text');
  }
}

function tooLarge(path: string): ConfigError {
  return unreadable(path, `it is larger than ${CONFIG_BYTES_MAX / 1024 / 1024} MiB`);
}

function unreadable(path: string, cause: string): ConfigError {
  return new ConfigError([errorAt([], `cannot read ${quote(path)}: ${cause}`)]);
}
