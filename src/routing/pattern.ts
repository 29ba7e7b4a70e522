/** Patterns of host names: an exact name, a wildcard in front of one, or a regular expression between slashes. */
import { RE2JS } from 're2js';
import { LOGGED_BYTES_MAX, NAME_BYTES_MAX, PATTERN_CHARS_MAX, PATTERN_PROGRAM_MAX } from '../limits.ts';
import { parseConfigName } from '../wire/host-name.ts';

/** `text` is the canonical form: two patterns that mean the same by their form have the same text. */
export type Pattern =
  | { readonly kind: 'exact'; readonly text: string; readonly name: string }
  | {
      readonly kind: 'wildcard';
      readonly text: string;
      /** How many labels stand for the star: `*.` one, `**.` one or more. */
      readonly labels: 'one' | 'many';
      /** The fixed part, without a dot in front. */
      readonly suffix: string;
    }
  | { readonly kind: 'regex'; readonly text: string; readonly source: string; readonly regex: RE2JS };

export type ParsedPattern =
  { readonly ok: true; readonly pattern: Pattern } | { readonly ok: false; readonly message: string };

const PARSE_ERROR_PREFIX = 'error parsing regexp: ';

/** Parses one pattern; the message of a failure says what to write instead. */
export function parsePattern(text: string): ParsedPattern {
  if (text.length > PATTERN_CHARS_MAX) return fail(`a pattern has at most ${PATTERN_CHARS_MAX} characters`);
  if (text === '') {
    return fail('a pattern is not empty: write www.example.com, *.example.com, **.example.com or /regex/');
  }
  if (text.startsWith('/')) return parseRegex(text);
  const stars = /^(\*\*?)(?:\.|$)/.exec(text)?.[1];
  if (stars === undefined) return parseExact(text);
  const fixed = text.slice(stars.length + 1);
  if (fixed === '') {
    return fail(
      `${quotePattern(text)} names no domain: write ${quotePattern(`${stars}.example.com`)}, or "/.*/" to take every name`,
    );
  }
  return parseWildcard(text, stars, fixed);
}

/** Whether every name the pattern takes lies within a domain that the pattern names. */
export function isBounded(pattern: Pattern): boolean {
  return pattern.kind !== 'regex';
}

/** A pattern between double quotes, cut to a bound, without anything that could stir a terminal. */
export function quotePattern(text: string): string {
  return `"${visible(text.length > LOGGED_BYTES_MAX ? `${text.slice(0, LOGGED_BYTES_MAX)}...` : text)}"`;
}

function parseExact(text: string): ParsedPattern {
  const parsed = parseFixed(text, text);
  return parsed.ok ? { ok: true, pattern: { kind: 'exact', text: parsed.name, name: parsed.name } } : parsed;
}

function parseWildcard(text: string, stars: string, fixed: string): ParsedPattern {
  const parsed = parseFixed(text, fixed);
  if (!parsed.ok) return parsed;
  const { name: suffix } = parsed;
  // The shortest name under it has one character and a dot in front.
  if (suffix.length + 2 > NAME_BYTES_MAX) {
    return fail(
      `${quotePattern(text)} leaves no room for a label: a name has at most ${NAME_BYTES_MAX} bytes`,
    );
  }
  const labels = stars === '*' ? 'one' : 'many';
  return { ok: true, pattern: { kind: 'wildcard', text: `${stars}.${suffix}`, labels, suffix } };
}

type Fixed = { readonly ok: true; readonly name: string } | { readonly ok: false; readonly message: string };

/** The part of a pattern that stands for itself; `text` is the whole. */
function parseFixed(text: string, fixed: string): Fixed {
  if (fixed.includes('*')) {
    const remedy = 'write *.example.com (one label), **.example.com (one or more) or /regex/';
    return fail(`${quotePattern(text)} has a star that is not its whole first label: ${remedy}`);
  }
  const parsed = parseConfigName(fixed);
  if (parsed.ok) return parsed;
  return fail(`${quotePattern(text)} is no pattern: ${remedyFor(fixed) ?? parsed.message}`);
}

function remedyFor(fixed: string): string | null {
  if (fixed.startsWith('.') && parseConfigName(fixed.slice(1)).ok) {
    return `write ${quotePattern(`**${fixed}`)} for every name under it`;
  }
  if (fixed.includes('://')) return 'write the host name alone, without scheme and path';
  if (/^[^:]+:[0-9]+$/.test(fixed)) return 'leave out the port, clients do not send it';
  return null;
}

function parseRegex(text: string): ParsedPattern {
  if (text.length < 2 || !text.endsWith('/')) {
    return fail(`${quotePattern(text)} needs a slash at its end, and no flags behind it: case never matters`);
  }
  const source = text.slice(1, -1);
  if (source === '') return fail('"//" takes no name: write an expression between the slashes');
  if (/[^\0-\x7f]/.test(source)) {
    return fail(
      `${quotePattern(text)} can match no name: names are compared in ASCII, such as xn--bcher-kva`,
    );
  }
  try {
    const regex = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
    if (regex.programSize() > PATTERN_PROGRAM_MAX) {
      return fail(
        `${quotePattern(text)} is too large once its repetitions unfold: use smaller counts, + or *`,
      );
    }
    return { ok: true, pattern: { kind: 'regex', text, source, regex } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const fault = visible(
      reason.startsWith(PARSE_ERROR_PREFIX) ? reason.slice(PARSE_ERROR_PREFIX.length) : reason,
    );
    return fail(
      `${quotePattern(text)} is no regular expression (${fault}): write RE2 syntax, without look-around and back-references`,
    );
  }
}

function visible(text: string): string {
  return text.replaceAll(
    /[\p{C}\u2028\u2029]/gu,
    character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function fail(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
