/**
 * The file that says which process runs, and beside it what came of the last thing it was asked to do: a signal has no
 * answer, so that `sniway upgrade` and `sniway reload` read it there.
 */
import { closeSync, constants, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandError, EXIT } from './exit-codes.ts';

/** What `sniway run` can be asked for by a signal. */
export type RequestSignal = 'SIGHUP' | 'SIGUSR2';

/** What came of a request. */
export interface RequestAnswer {
  readonly signal: RequestSignal;
  readonly ok: boolean;
  /** For people; may have several lines. */
  readonly text: string;
}

/** Where the answer to the last request stands. */
export function answerPath(pidFile: string): string {
  return `${pidFile}.answer`;
}

/** Of a pid file, an answer, or what proc(5) tells of a process. */
const READ_BYTES_MAX = 256 * 1024;

export class PidFile {
  readonly #path: string;

  constructor(path: string) {
    // Whatever becomes of the working folder later.
    this.#path = resolve(path);
  }

  /**
   * Writes it beside its place, while nothing depends on this process yet.
   * @throws CommandError if it cannot be written.
   */
  prepare(): void {
    try {
      writeDraft(this.#path, `${process.pid}\n`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const remedy = 'its folder must exist, and this user must be allowed to write there';
      throw new CommandError(`sniway: error: --pid-file: ${why} (${remedy})`, EXIT.failure);
    }
  }

  /** Puts this process in, in place of whichever was there. */
  write(): void {
    renameSync(draftOf(this.#path), this.#path);
  }

  /** Says what came of a request; nobody is there to be told if that fails. */
  answer(answer: RequestAnswer): void {
    const at = process.hrtime.bigint().toString();
    try {
      replaceFile(answerPath(this.#path), `${JSON.stringify({ ...answer, pid: process.pid, at })}\n`);
    } catch {
      // The folder is gone or full: whoever asked is told nothing, and says so when its time is over.
    }
  }

  /** Removes it, unless another process has taken it over. */
  remove(): void {
    rmSync(draftOf(this.#path), { force: true });
    if (readPid(this.#path) !== process.pid) return;
    rmSync(this.#path, { force: true });
    rmSync(answerPath(this.#path), { force: true });
  }
}

/** The process that a pid file names, or null if there is no such file, or something else in it. */
export function readPid(path: string): number | null {
  const text = readText(path)?.trim() ?? '';
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null;
}

/** The text of a file, up to a bound, or null if it cannot be read. Waits for nobody, whatever somebody has put there. */
export function readText(path: string): string | null {
  let fd = -1;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(READ_BYTES_MAX);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
    }
    return bytes.toString('utf8', 0, length);
  } catch {
    return null;
  } finally {
    if (fd !== -1) closeSync(fd);
  }
}

/** Readers see the old text or the new one, never a part. */
function replaceFile(path: string, text: string): void {
  writeDraft(path, text);
  try {
    renameSync(draftOf(path), path);
  } catch (error) {
    rmSync(draftOf(path), { force: true });
    throw error;
  }
}

function draftOf(path: string): string {
  return `${path}.${process.pid}`;
}

function writeDraft(path: string, text: string): void {
  const draft = draftOf(path);
  try {
    // Whatever somebody else has put there, a link for example, is not written through.
    rmSync(draft, { force: true });
    writeFileSync(draft, text, { flag: 'wx' });
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
