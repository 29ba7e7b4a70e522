/**
 * The file of a Unix-domain socket that Node listens on. libuv removes the path it has bound when the socket is closed,
 * and another process may have taken the socket over by then: so another name is bound, and the file gets the right one.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Short, since a path has some hundred bytes at most (unix(7)). */
const NAME_BYTES = 4;

/**
 * Listens at a path; `listen` gets the path that is to be bound.
 * @throws an error with code EADDRINUSE if there is a file already, or that of `listen`.
 */
export async function listenAtPath(path: string, listen: (bound: string) => Promise<void>): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw Object.assign(new Error(`EADDRINUSE: ${path}`), { code: 'EADDRINUSE' });
  }
  const bound = join(dirname(path), `.${randomBytes(NAME_BYTES).toString('hex')}`);
  await listen(bound);
  try {
    renameSync(bound, path);
  } catch (error) {
    rmSync(bound, { force: true });
    throw error;
  }
}

/** Removes the file of a socket that is closed. */
export function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it, or put something of their own there: both are theirs to answer for.
  }
}
