/** Writes files that hold private keys: whole or not at all, never over another, and closed to others. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { quote } from '../../config/plain-text.ts';
import { describeFailure } from '../../config/read-text.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { shellWord } from '../shell-word.ts';
import { mistake } from './said.ts';

/** Whose the file is to be, and who may read it; by default the caller's alone. */
export interface Access {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

const OWNER_ONLY = 0o600;
const GROUP_READS = 0o040;
/** What file systems without hard links say. */
const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EMLINK']);
/** What a look at the command line mends; anything else is the machine's fault. */
const WRONG_PATH = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EROFS', 'ENAMETOOLONG']);

/**
 * Readers of the folder see the whole file or none, also after a crash: it is written beside its place, then linked.
 * @throws CommandError if there is such a file already, or it cannot be written.
 */
export function writeNewFile(path: string, data: string | Uint8Array, access: Access | null = null): void {
  if (path === '') throw mistake('the name of the file is empty: name one');
  const folder = dirname(path);
  // Files that begin with a dot are not read as keys.
  const draft = join(folder, `.${basename(path)}.${process.pid}`);
  try {
    try {
      rmSync(draft, { force: true });
      writeDraft(draft, data, access);
      putInPlace(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
    syncFolder(folder);
  } catch (error) {
    throw refusal(path, error);
  }
}

/**
 * Who has to be able to read a file beside this one: a key that root makes is for the user that the proxy runs as. Null
 * where the caller is not root.
 */
export function accessLike(path: string): Access | null {
  if (process.getuid?.() !== 0) return null;
  try {
    const { uid, gid, mode } = statSync(path);
    return { uid, gid, mode: OWNER_ONLY | (mode & GROUP_READS) };
  } catch {
    // The writing fails, too, and says why.
    return null;
  }
}

/** The same for the first file in a folder: it is for whom the folder belongs to. */
export function accessWithin(folder: string): Access | null {
  const access = accessLike(folder);
  return access === null ? null : { ...access, mode: OWNER_ONLY };
}

function writeDraft(draft: string, data: string | Uint8Array, access: Access | null): void {
  const descriptor = openSync(draft, 'wx', OWNER_ONLY);
  try {
    writeFileSync(descriptor, data);
    if (access !== null) {
      fchownSync(descriptor, access.uid, access.gid);
      fchmodSync(descriptor, access.mode);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Unlike a rename, a link does not replace what is there. */
function putInPlace(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error))) throw error;
    if (existsSync(path)) throw Object.assign(new Error('it is there already'), { code: 'EEXIST' });
    renameSync(draft, path);
  }
}

/** So that the name survives a crash, too; what cannot be synced is left to the system. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Not every system opens folders.
  }
}

function refusal(path: string, error: unknown): CommandError {
  const code = codeOf(error);
  if (code === 'EEXIST')
    return mistake(`${quote(path)} is there already, and is left as it is: name another file`);
  if (code === 'ENOENT') {
    const folder = shellWord(path.endsWith('/') ? path : dirname(path));
    return mistake(`cannot write ${quote(path)}: there is no such folder: mkdir -m 700 ${folder} makes it`);
  }
  const message = `cannot write ${quote(path)}: ${describeFailure(error)}`;
  return WRONG_PATH.has(code)
    ? mistake(`${message}: name another place, or call sniway as a user that may write there`)
    : new CommandError(`sniway: error: ${message}`, EXIT.failure);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
