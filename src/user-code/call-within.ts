/** One call of a function of the user: for as long as somebody waits for it, and no longer than it may take. */
import type { CallContext } from '../config/user-types.ts';
import type { Asker } from '../verdict.ts';

/** Nobody waits any more; what the function answers is not looked at. */
export class CallOver extends Error {
  override readonly name = 'CallOver';
  /** Whether that is because the client has gone, which is nobody's fault. */
  readonly isGone: boolean;

  constructor(message: string, isGone: boolean) {
    super(message);
    this.isGone = isGone;
  }
}

/**
 * The answer of the function.
 * @throws what it throws, or CallOver when the time is over or the client has gone.
 */
export async function callWithin<T>(
  call: (context: CallContext) => T | Promise<T>,
  timeoutMs: number,
  asker: Asker,
): Promise<T> {
  const context = new LazyContext();
  const answer = call(context);
  // Most functions answer at once: no timer for them.
  if (!isPromise(answer)) return answer;
  return await new Promise<T>((resolve, reject) => {
    const giveUp = (error: CallOver): void => {
      reject(error);
      over();
      context.abort(error);
    };
    const timer = setTimeout(
      () => giveUp(new CallOver(`no answer within ${timeoutMs} ms`, false)),
      timeoutMs,
    );
    const over = (): void => {
      clearTimeout(timer);
      asker.gone = undefined;
    };
    asker.gone = () => giveUp(new CallOver('the client has gone', true));
    void Promise.resolve(answer).then(resolve, reject).then(over);
  });
}

/** A controller is made only for a function that looks at its signal. */
class LazyContext implements CallContext {
  #controller: AbortController | null = null;
  #reason: Error | null = null;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== null) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
