/** Lines to a file that is opened anew when it was moved away (logrotate(8)). */
import { close, constants, open, openSync } from 'node:fs';
import { LOG_FLUSH_TIMEOUT_MS } from '../limits.ts';
import { createLineSink } from './line-sink.ts';
import type { LineSink, LineSinkOptions } from './line-sink.ts';

export interface LogFile extends LineSink {
  /**
   * Goes on in whatever has the path now; until that is open, and if it cannot be opened, in what is open already.
   * What waits for the old file is written to it. Called again meanwhile, it is done once more.
   */
  reopen(): void;
}

export interface LogFileOptions extends Pick<LineSinkOptions, 'onError'> {
  readonly path: string;
}

/** Without waiting for the reader of a named pipe: one that has none cannot be opened. */
const FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
/** Names of clients are nobody's business but the operator's. */
const MODE = 0o640;

/** Opens the file, or creates it. Throws the system's error if it cannot. */
export function createLogFile({ path, onError }: LogFileOptions): LogFile {
  const sinkOf = (fd: number): LineSink => createLineSink({ fd, onError, owned: true });
  let sink = sinkOf(openSync(path, FLAGS, MODE));
  /** The one before, while what waits for it is written. */
  let old: LineSink | null = null;
  let droppedBefore = 0;
  let busy = false;
  let again = false;
  let closed = false;
  const ready = (): void => {
    busy = false;
    if (again && !closed) reopen();
  };
  const swap = async (fd: number): Promise<void> => {
    const before = sink;
    old = before;
    sink = sinkOf(fd);
    await before.close(LOG_FLUSH_TIMEOUT_MS);
    droppedBefore += before.dropped;
    old = null;
    ready();
  };
  const reopen = (): void => {
    again = busy;
    if (busy || closed) return;
    busy = true;
    // Not at once: a file system that hangs must not hold everything up.
    open(path, FLAGS, MODE, (error, fd) => {
      if (error === null && !closed) return void swap(fd);
      if (error === null) close(fd);
      else onError(error);
      ready();
    });
  };
  return {
    write: line => sink.write(line),
    get dropped() {
      return droppedBefore + (old?.dropped ?? 0) + sink.dropped;
    },
    reopen,
    async close(timeoutMs) {
      closed = true;
      await sink.close(timeoutMs);
    },
  };
}
