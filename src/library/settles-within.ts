/** Waits with a bound. */
import { DURATION_MS_MAX } from '../limits.ts';

/** Whether the promise has resolved when the time is over or the signal is aborted; it rejects if the promise does. */
export async function settlesWithin(
  promise: Promise<void>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let giveUp = (): void => undefined;
  const over = new Promise<boolean>(resolve => {
    giveUp = () => resolve(false);
    // A longer timer would fire at once.
    if (timeoutMs <= DURATION_MS_MAX) timer = setTimeout(giveUp, timeoutMs);
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([promise.then(() => true), over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
