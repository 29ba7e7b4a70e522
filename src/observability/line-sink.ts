/** Lines to a file descriptor without ever waiting for its reader. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import sonicBoom from 'sonic-boom';
import { LOG_BUFFER_BYTES_MAX } from '../limits.ts';

export interface LineSink {
  /** Queues one line; its line end is added. Dropped and counted when too much waits for a slow reader. */
  write(line: string): void;
  /** Lines dropped so far; after `close`, those that could not be written in its time too. */
  readonly dropped: number;
  /** Writes what is queued, but waits no longer than the time given; then the sink takes no more lines. */
  close(timeoutMs: number): Promise<void>;
}

export interface LineSinkOptions {
  readonly fd: number;
  /** Called when writing begins to fail (reader gone, disk full), once until a write succeeds again. */
  readonly onError: (error: Error) => void;
  /** Whether the descriptor is closed with the sink; standard streams are not. Default false. */
  readonly owned?: boolean;
}

/** After these the descriptor will never take a byte again; a full disk, in contrast, may get room. */
const FINAL_ERRORS = new Set(['EPIPE', 'EBADF']);

/**
 * A pipe or socket is written to by the event loop: in a thread, write(2) would wait for a reader that has stopped
 * reading, and Node cannot end before its threads do. Everything else (files, terminals) is left to sonic-boom.
 */
export function createLineSink(options: LineSinkOptions): LineSink {
  const pipe = openPipe(options);
  return pipe === null ? createFileSink(options) : createPipeSink(pipe, options);
}

function createPipeSink(pipe: Socket, { onError, owned = false }: LineSinkOptions): LineSink {
  let dropped = 0;
  let waiting = 0;
  let closed = false;
  const written = (): void => {
    waiting--;
  };
  pipe.on('error', (error: Error) => {
    closed = true;
    onError(error);
  });
  return {
    write(line) {
      if (closed || pipe.writableLength + line.length >= LOG_BUFFER_BYTES_MAX) {
        dropped++;
        return;
      }
      // All lines of one turn of the event loop become one system call.
      if (pipe.writableCorked === 0) {
        pipe.cork();
        setImmediate(() => {
          keepNonBlocking(pipe);
          pipe.uncork();
        });
      }
      waiting++;
      pipe.write(`${line}\n`, written);
    },
    get dropped() {
      return dropped;
    },
    async close(timeoutMs) {
      if (closed) return;
      closed = true;
      pipe.uncork();
      const flushed = new Promise<void>(resolve => {
        pipe.write('', () => resolve());
      });
      const isFlushed = await settlesWithin(flushed, timeoutMs);
      if (isFlushed && !owned) return;
      dropped += waiting;
      // A write under way would keep the process alive. libuv never closes descriptors 0 to 2 themselves.
      pipe.destroy();
    },
  };
}

function createFileSink({ fd, onError, owned = false }: LineSinkOptions): LineSink {
  const out = new sonicBoom.SonicBoom({
    fd: isatty(fd) ? (reopenNonBlocking(fd) ?? fd) : fd,
    sync: false,
    maxLength: LOG_BUFFER_BYTES_MAX,
  });
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
      const flushed = new Promise<void>(resolve => {
        out.flush(() => resolve());
      });
      // A terminal that is held (Ctrl-S) would be tried again for ever.
      const isFlushed = await settlesWithin(flushed, timeoutMs);
      if (owned || !isFlushed) out.destroy();
    },
  };
}

/** The descriptor as a stream of the event loop, or null if it is neither a pipe nor a socket. */
function openPipe({ fd, owned = false }: LineSinkOptions): Socket | null {
  try {
    const stats = fstatSync(fd);
    if (!stats.isFIFO() && !stats.isSocket()) return null;
    const own = stats.isFIFO() ? reopenNonBlocking(fd) : null;
    if (own !== null && owned) closeSync(fd);
    return new Socket({ fd: own ?? fd, readable: false, writable: true });
  } catch {
    return null;
  }
}

/**
 * A socket has no path to open it anew by: whoever shares it, such as a process that this one took over from, may make
 * writing wait when it starts another or ends. Node has this only on the handle.
 */
function keepNonBlocking(pipe: Socket): void {
  const { _handle: handle } = pipe as { readonly _handle?: { setBlocking?(blocks: boolean): number } | null };
  handle?.setBlocking?.(false);
}

/**
 * An open file description of our own, where the system has a path to it: O_NONBLOCK on the one we were given would
 * hold for every process that shares it, such as a shell on the same terminal.
 */
function reopenNonBlocking(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
}

async function settlesWithin(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<boolean>(resolve => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const settled = await Promise.race([promise.then(() => true), deadline]);
  clearTimeout(timer);
  return settled;
}
