/** The questions of one worker that the main thread is answering. */
import type { Asker } from '../../verdict.ts';

export class Askers {
  readonly #open = new Map<number, Asker>();

  /** A question has come. */
  open(question: number): Asker {
    const asker: Asker = {};
    this.#open.set(question, asker);
    return asker;
  }

  /** It was answered. */
  close(question: number): void {
    this.#open.delete(question);
  }

  /** Its answer is wanted no more. */
  forget(question: number): void {
    const asker = this.#open.get(question);
    this.#open.delete(question);
    asker?.gone?.();
  }

  /** The worker has gone. */
  forgetAll(): void {
    for (const question of this.#open.keys()) this.forget(question);
  }
}
