/** What the files of a configuration look like from outside, to see that they have changed. */
import { stat } from 'node:fs/promises';

/**
 * A text that differs when one of the files or folders was written, replaced or removed. A folder changes when a file
 * comes, goes or is renamed; links are followed.
 */
export async function fingerprintFiles(paths: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    paths.map(async path => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
      } catch {
        return 'absent';
      }
    }),
  );
  return marks.join('\n');
}
