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

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY(?:[^]*-----END [A-Z ]*PRIVATE KEY-----|[^]*)/;

/** The text without private keys in PEM: they get into texts where somebody takes the key for the path of its file. */
export function hidePrivateKeys(text: string): string {
  return text.replace(PRIVATE_KEY, '(a private key)');
}

/** The text between double quotes, escaped and cut to a bound, without private keys. */
export function quote(whole: string): string {
  const text = hidePrivateKeys(whole);
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
