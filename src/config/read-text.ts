/** Reads a text file within a bound. */
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import { hidePrivateKeys } from './plain-text.ts';

/** Why a file cannot be read, by the code of the error. */
export const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied for the user Sniway runs as',
  EPERM: 'permission denied for the user Sniway runs as',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
};

export interface ReadText {
  readonly text: string;
  readonly bytes: number;
}

/**
 * Reads a UTF-8 file, a pipe included, of at most this many bytes.
 * @throws Error; {@link describeFailure} says why.
 */
export async function readText(path: string, bytesMax: number): Promise<ReadText> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    const stats: Stats = await handle.stat();
    if (stats.isDirectory()) throw new Error('it is a directory');
    if (stats.size > bytesMax) throw tooLarge(bytesMax);
    const bytes = await collect(handle, bytesMax);
    return { text: decode(bytes), bytes: bytes.length };
  } finally {
    await handle?.close();
  }
}

/** Why a file cannot be read, in a few words. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return CAUSES['code' in error ? String(error.code) : ''] ?? hidePrivateKeys(error.message);
}

/** A pipe tells no size beforehand, and a file may grow while it is read. */
async function collect(handle: FileHandle, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of handle.createReadStream({ autoClose: false })) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not UTF-8 text');
  }
}

function tooLarge(bytesMax: number): Error {
  const limit = `${CONFIG_BYTES_MAX / 1024 / 1024} MiB`;
  const isAlone = bytesMax === CONFIG_BYTES_MAX;
  return new Error(isAlone ? `it is larger than ${limit}` : `the files together are larger than ${limit}`);
}
