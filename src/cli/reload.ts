/** `sniway reload`: lets a running proxy read its configuration again, and says what came of it. */
import { RELOAD_TIMEOUT_MS } from '../limits.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { findRunning } from './find-running.ts';
import type { FindFlags } from './find-running.ts';

/**
 * Resolves with what is to be printed.
 * @throws CommandError (exit code 2) if the configuration is wrong, and everything goes on as before.
 */
export async function reloadRunning(flags: FindFlags): Promise<string> {
  const running = findRunning(flags);
  const answer = await running.ask('SIGHUP', RELOAD_TIMEOUT_MS);
  if (answer === null) {
    return `process ${running.pid} was asked to reload; its own output says what comes of it\n`;
  }
  if (answer.ok) return `${answer.text}\n`;
  throw new CommandError(
    `sniway: error: process ${running.pid} goes on as before: ${answer.text}`,
    EXIT.usage,
  );
}
