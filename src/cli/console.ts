/** What the command says to its operator, on stderr; stdout belongs to the access log and to asked-for output. */
import type { Notice } from '../events.ts';
import { CONSOLE_FLUSH_TIMEOUT_MS } from '../limits.ts';
import { createLineSink } from '../observability/line-sink.ts';
import type { LineSink } from '../observability/line-sink.ts';

export type Verbosity = 'quiet' | 'normal' | 'verbose';

const RANK = { debug: 0, info: 1, warn: 2, error: 3 } as const;
const LEAST = { verbose: 'debug', normal: 'info', quiet: 'warn' } as const;

export interface OperatorConsole {
  say(level: Notice['level'], message: string): void;
  close(): Promise<void>;
}

export function createOperatorConsole(verbosity: Verbosity): OperatorConsole {
  // Nobody is left to be told that stderr itself has failed.
  const sink: LineSink = createLineSink({ fd: 2, onError: () => undefined });
  return {
    say(level, message) {
      if (RANK[level] < RANK[LEAST[verbosity]]) return;
      sink.write(
        level === 'info' || level === 'debug' ? `sniway: ${message}` : `sniway: ${level}: ${message}`,
      );
    },
    close: () => sink.close(CONSOLE_FLUSH_TIMEOUT_MS),
  };
}
