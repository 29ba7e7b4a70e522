/** A small file of the system's that is read again when it has changed. */
import { open, stat } from 'node:fs/promises';
import { SYSTEM_FILE_CHECK_MS } from '../limits.ts';

export interface FollowedFile<T> {
  /** What the file says now; what an empty file says, if it is missing or cannot be read. Never rejects. */
  read(): Promise<T>;
}

export interface FollowOptions<T> {
  readonly path: string;
  /** Bytes read at most, up to the last whole line. */
  readonly bytesMax: number;
  readonly parse: (text: string) => T;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
}

/** Looks at the file's time, size and inode at most once in SYSTEM_FILE_CHECK_MS. */
export function followFile<T>({ path, bytesMax, parse, now }: FollowOptions<T>): FollowedFile<T> {
  let content = parse('');
  let version = '';
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let checking: Promise<void> | null = null;

  const check = async (): Promise<void> => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const found = `${mtimeMs}:${size}:${ino}`;
      if (found === version) return;
      content = parse(await readStart(path, bytesMax));
      version = found;
    } catch {
      if (version !== '') content = parse('');
      version = '';
    }
  };

  return {
    async read() {
      if (now() - checkedAtMs >= SYSTEM_FILE_CHECK_MS) {
        checkedAtMs = now();
        checking = check();
      }
      await checking;
      return content;
    },
  };
}

async function readStart(path: string, bytesMax: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(bytesMax);
    let length = 0;
    while (length < bytesMax) {
      const { bytesRead } = await file.read(buffer, length, bytesMax - length);
      if (bytesRead === 0) return buffer.toString('utf8', 0, length);
      length += bytesRead;
    }
    return buffer.toString('utf8', 0, buffer.lastIndexOf('\n') + 1);
  } finally {
    await file.close();
  }
}
