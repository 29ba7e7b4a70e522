/** Words of command lines that the operator is told. */
import { quote } from '../config/plain-text.ts';

/** As it can be typed in a shell; what has control characters is only shown. */
export function shellWord(text: string): string {
  if (/^[\w./-]+$/.test(text)) return text;
  return /\p{C}/u.test(text) ? quote(text) : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
