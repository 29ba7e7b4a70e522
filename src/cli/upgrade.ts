/** `sniway upgrade`: lets a running proxy be replaced by a new process, and says what came of it. */
import { UPGRADE_TIMEOUT_MS } from '../limits.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { findRunning } from './find-running.ts';
import type { FindFlags } from './find-running.ts';

/** The running process ends a new one that is not ready in time, which takes a moment. */
const MARGIN_MS = 5_000;

/**
 * Resolves with what is to be printed.
 * @throws CommandError (exit code 1) if the proxy goes on as before.
 */
export async function upgradeRunning(flags: FindFlags): Promise<string> {
  const running = findRunning(flags);
  const answer = await running.ask('SIGUSR2', UPGRADE_TIMEOUT_MS + MARGIN_MS);
  if (answer === null) {
    return `process ${running.pid} was asked to upgrade; its own output says what comes of it\n`;
  }
  if (answer.ok) return `upgraded: ${answer.text}\n`;
  throw new CommandError(
    `sniway: error: process ${running.pid} goes on as before: ${answer.text}`,
    EXIT.failure,
  );
}
