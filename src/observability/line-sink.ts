/** Lines to a file descriptor without ever waiting for its reader. */
import sonicBoom from 'sonic-boom';
import { LOG_BUFFER_BYTES_MAX } from '../limits.ts';

export interface LineSink {
  /** Queues one line; its line end is added. Dropped and counted when too much waits for a slow reader. */
  write(line: string): void;
  /** Lines dropped so far. */
  readonly dropped: number;
  /** Writes what is queued, but waits no longer than the time given; then the sink takes no more lines. */
  close(timeoutMs: number): Promise<void>;
}

export interface LineSinkOptions {
  readonly fd: number;
  /** Called when writing begins to fail (reader gone, disk full), once until a write succeeds again. */
  readonly onError: (error: Error) => void;
}

/** After these the descriptor will never take a byte again; a full disk, in contrast, may get room. */
const FINAL_ERRORS = new Set(['EPIPE', 'EBADF']);

export function createLineSink({ fd, onError }: LineSinkOptions): LineSink {
  const out = new sonicBoom.SonicBoom({ fd, sync: false, maxLength: LOG_BUFFER_BYTES_MAX });
  let dropped = 0;
  let failing = false;
  let closed = false;
  out.on('drop', () => dropped++);
  out.on('write', () => {
    failing = false;
  });
  out.on('error', (error: Error) => {
    if ('code' in error && FINAL_ERRORS.has(String(error.code))) closed = true;
    if (failing) return;
    failing = true;
    onError(error);
  });
  return {
    write(line) {
      if (closed) dropped++;
      else out.write(`${line}\n`);
    },
    get dropped() {
      return dropped;
    },
    async close(timeoutMs) {
      if (closed) return;
      closed = true;
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<void>(resolve => {
        timer = setTimeout(resolve, timeoutMs);
      });
      const flushed = new Promise<void>(resolve => {
        out.flush(() => resolve());
      });
      await Promise.race([flushed, deadline]);
      clearTimeout(timer);
    },
  };
}
