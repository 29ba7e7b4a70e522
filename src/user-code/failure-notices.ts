/** Says that functions of the user fail: the first time at once, then now and then, with a count of what was left out. */
import { escapeControls } from '../config/plain-text.ts';
import type { Notice } from '../events.ts';
import { USER_NOTICE_MS } from '../limits.ts';

/** Lines of a stack that lead into the function. */
const STACK_LINES = 6;
/** From such a line on, a stack is about who calls functions. */
const OURS = /\/user-code\/(?:user-code|call-within)\.[jt]s:/;

interface Told {
  atMs: number;
  leftOut: number;
}

export class FailureNotices {
  readonly #notice: (notice: Notice) => void;
  readonly #nowMs: () => number;
  /** By what has failed: as many as there are functions. */
  readonly #told = new Map<string, Told>();

  constructor(notice: (notice: Notice) => void, nowMs: () => number = () => performance.now()) {
    this.#notice = notice;
    this.#nowMs = nowMs;
  }

  /** @param what For example `decide of route 'x'`. */
  tell(what: string, error: unknown): void {
    const told = this.#told.get(what);
    if (told !== undefined && this.#nowMs() - told.atMs < USER_NOTICE_MS) {
      told.leftOut++;
      return;
    }
    const more = told === undefined || told.leftOut === 0 ? '' : ` (and ${told.leftOut} times before)`;
    this.#told.set(what, { atMs: this.#nowMs(), leftOut: 0 });
    const message = `${what} failed, and a connection was refused${more}: ${stackOf(error)}`;
    this.#notice({ level: 'error', message });
  }

  /** The functions are others now. */
  forget(): void {
    this.#told.clear();
  }
}

/** An error in one line of printable characters, for the detail of a record. */
export function summaryOf(error: unknown): string {
  return textOf(() => (error instanceof Error ? error.message : String(error))).replaceAll(
    /[^\x20-\x7e]/g,
    '?',
  );
}

function stackOf(error: unknown): string {
  const text = textOf(() => (error instanceof Error ? (error.stack ?? error.message) : String(error)));
  const lines = text.split('\n').slice(0, STACK_LINES);
  const ours = lines.findIndex(line => OURS.test(line));
  return lines
    .slice(0, ours === -1 ? lines.length : ours)
    .map(escapeControls)
    .join('\n');
}

/** What was thrown can be anything, an object without a text form included. */
function textOf(read: () => unknown): string {
  try {
    return String(read());
  } catch {
    return 'something that is no error';
  }
}
