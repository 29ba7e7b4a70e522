/** What the files of a configuration look like from outside, to see that they have changed. */
import { statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** In place of what a file looks like that is not there. */
const ABSENT = 'absent';

/** Files and folders, and what each looked like before it was read: whatever changes after that can be seen. */
export class ReadFiles {
  readonly #marks = new Map<string, string>();

  /** To be called before the file is read, or the folder listed. */
  add(path: string): void {
    if (!this.#marks.has(path)) this.#marks.set(path, markNow(path));
  }

  /** What `fingerprintFiles` has said of them. */
  get fingerprint(): string {
    return [...this.#marks.values()].join('\n');
  }

  /** What it says now. */
  look(): Promise<string> {
    return fingerprintFiles([...this.#marks.keys()]);
  }
}

/**
 * A text that differs when one of the files or folders was written, replaced or removed. A folder changes when a file
 * comes, goes or is renamed; links are followed.
 */
export async function fingerprintFiles(paths: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    paths.map(async path => {
      try {
        return markOf(await stat(path, { bigint: true }));
      } catch {
        return ABSENT;
      }
    }),
  );
  return marks.join('\n');
}

function markNow(path: string): string {
  try {
    return markOf(statSync(path, { bigint: true }));
  } catch {
    return ABSENT;
  }
}

function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}
