/** Steers a browser through two pipes (Chrome DevTools Protocol): messages in JSON, each ended by a zero byte. */
import type { Readable, Writable } from 'node:stream';

export type Message = Readonly<Record<string, unknown>>;

interface Waiter {
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

export class DevTools {
  /** Rejects when the browser has ended. */
  readonly ended: Promise<never>;
  readonly #input: Writable;
  readonly #calls = new Map<number, Waiter>();
  readonly #listeners = new Set<(method: string, params: Message) => void>();
  #last = 0;

  constructor(input: Writable, output: Readable) {
    this.#input = input;
    let received = '';
    output.setEncoding('utf8');
    output.on('data', (text: string) => {
      const messages = `${received}${text}`.split('\0');
      received = messages.pop() ?? '';
      for (const message of messages) this.#take(JSON.parse(message) as Message);
    });
    for (const stream of [input, output]) stream.on('error', () => undefined);
    this.ended = new Promise((_resolve, reject) => {
      output.on('close', () => reject(new Error('the browser has ended')));
    });
    this.ended.catch(() => undefined);
  }

  /** Calls a method, in a session of a page if one is given. Rejects if the browser refuses it, or ends. */
  call(method: string, params: Message = {}, sessionId?: string): Promise<Message> {
    const id = ++this.#last;
    this.#input.write(
      `${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`,
    );
    const answered = new Promise<Message>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
    });
    return Promise.race([answered, this.ended]);
  }

  /** Calls back for each event; gives back what ends that. */
  listen(listener: (method: string, params: Message) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #take({ id, method, params = {}, result = {}, error }: Message): void {
    if (typeof id !== 'number') {
      for (const listener of this.#listeners) listener(String(method), params as Message);
      return;
    }
    const waiter = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) waiter?.resolve(result as Message);
    else waiter?.reject(new Error(JSON.stringify(error)));
  }
}
