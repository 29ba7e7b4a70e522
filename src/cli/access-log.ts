/** Where the access lines of the command go. */
import { LOG_FLUSH_TIMEOUT_MS } from '../limits.ts';
import { createLineSink } from '../observability/line-sink.ts';
import type { LineSink } from '../observability/line-sink.ts';
import { createLogFile } from '../observability/log-file.ts';
import type { LogFile } from '../observability/log-file.ts';
import type { OperatorConsole } from './console.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** Signals that log rotation sends. */
const REOPEN_SIGNALS = ['SIGUSR1', 'SIGHUP'] as const;

export interface AccessLog {
  readonly sink: LineSink;
  /** Writes what waits, and says what was dropped. */
  close(): Promise<void>;
}

/**
 * Stdout, or a file that is opened anew on SIGUSR1 and SIGHUP.
 * @throws CommandError if the file cannot be opened.
 */
export function openAccessLog(path: string | undefined, operator: OperatorConsole): AccessLog {
  const onError = (error: Error): void =>
    operator.say('error', `access log: ${error.message}; lines are dropped until it can be written`);
  const file = path === undefined ? null : openFile(path, onError);
  const sink = file ?? createLineSink({ fd: 1, onError });
  const reopen = (): void => {
    if (file === null) return;
    operator.say('info', `access log: opening ${path} anew`);
    file.reopen();
  };
  for (const signal of REOPEN_SIGNALS) process.on(signal, reopen);
  return {
    sink,
    async close() {
      for (const signal of REOPEN_SIGNALS) process.off(signal, reopen);
      await sink.close(LOG_FLUSH_TIMEOUT_MS);
      if (sink.dropped === 0) return;
      const place = path === undefined ? 'stdout was too slow' : `${path} could not take them`;
      operator.say('warn', `${sink.dropped} access lines were dropped: ${place}`);
    },
  };
}

function openFile(path: string, onError: (error: Error) => void): LogFile {
  try {
    return createLogFile({ path, onError });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const remedy = 'its folder must exist, and this user must be allowed to write there';
    throw new CommandError(`sniway: error: --log-file: ${why} (${remedy})`, EXIT.failure);
  }
}
