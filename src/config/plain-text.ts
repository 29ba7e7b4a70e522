/** Text from a configuration, made fit to be shown: no control character reaches a terminal. */
import { LOGGED_BYTES_MAX } from '../limits.ts';

/** Escapes control, format and other invisible characters, the ones that turn text around included. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, character => {
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff
      ? `\\x${hex(code, 2)}`
      : code <= 0xffff
        ? `\\u${hex(code, 4)}`
        : `\\u{${hex(code, 0)}}`;
  });
}

/** The text between double quotes, escaped and cut to a bound. */
export function quote(text: string): string {
  const cut = text.length > LOGGED_BYTES_MAX ? `${text.slice(0, LOGGED_BYTES_MAX)}...` : text;
  return `"${escapeControls(cut)}"`;
}

/** `a, b or c`. */
export function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
