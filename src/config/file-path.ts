/** Paths of files with secrets in them, and the contents that stand in their place by mistake. */

/** Said in place of a value, which is not shown: it may be a private key. */
export const FOUND_CONTENT =
  'expected the path of a file, found the content of one: write it to a file and give its path';

/** Whether a text that should be a path is rather what stands in such a file. */
export function isFileContent(text: string): boolean {
  return /-----BEGIN|[\r\n]/.test(text);
}
