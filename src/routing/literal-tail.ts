/** What every name that a regular expression takes must end with, as far as its text shows at a glance. */

export interface LiteralTail {
  /** In lower case; empty if nothing is known. */
  readonly text: string;
  /** The expression takes this one name only. */
  readonly isWhole: boolean;
}

const UNKNOWN: LiteralTail = { text: '', isWhole: false };
const TOKENS = /\\.|\[(?:\\.|[^\]\\])*\]|./gs;

/** Reads an expression that compiles. It may say less than could be known, never more. */
export function findLiteralTail(source: string): LiteralTail {
  if (source.includes('\\Q')) return UNKNOWN;
  let depth = 0;
  let text = '';
  let isWhole = true;
  for (const [token] of source.matchAll(TOKENS)) {
    if (token === '(') depth++;
    if (token === ')') depth--;
    if (depth === 0 && token === '|') return UNKNOWN;
    if (depth === 0 && (token === '^' || token === '$')) continue;
    const literal = depth === 0 ? literalOf(token) : null;
    isWhole &&= literal !== null;
    text = literal === null ? '' : text + literal;
  }
  return { text, isWhole };
}

/** Whether an expression plainly takes every name. */
export function isCatchAll(source: string): boolean {
  return /^\^?\(?\.[*+]\??\)?\$?$/.test(source);
}

function literalOf(token: string): string | null {
  if (token === '\\.' || token === '[.]') return '.';
  if (token === '\\-') return '-';
  return /^[A-Za-z0-9_-]$/.test(token) ? token.toLowerCase() : null;
}
