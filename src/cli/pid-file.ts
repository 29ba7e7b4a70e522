/**
 * The file that says which process runs, and beside it what came of the last thing it was asked to do: a signal has no
 * answer, so that `sniway upgrade` and `sniway reload` read it there.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

export class PidFile {
  readonly #path: string;

  constructor(path: string) {
    // Whatever becomes of the working folder later.
    this.#path = resolve(path);
  }

  /**
   * Puts this process in, in place of whichever was there.
   * @throws CommandError if it cannot be written.
   */
  write(): void {
    try {
      replaceFile(this.#path, `${process.pid}\n`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const remedy = 'its folder must exist, and this user must be allowed to write there';
      throw new CommandError(`sniway: error: --pid-file: ${why} (${remedy})`, EXIT.failure);
    }
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

/** The text of a file, or null if it cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Readers see the old text or the new one, never a part. */
function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    // Whatever somebody else has put there, a link for example, is not written through.
    rmSync(draft, { force: true });
    writeFileSync(draft, text, { flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
