/** One worker thread as the main thread sees it. */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import type { WorkerCounters } from './shared-state.ts';

export interface WorkerEvents {
  message(message: FromWorker): void;
  /** The thread has ended; `error` is what it died of, or null if it was told to end. */
  ended(error: Error | null): void;
}

export interface WorkerHandleOptions {
  readonly start: Omit<WorkerStart, 'port' | 'counters'>;
  /** Kept when a worker is replaced, so that its counts go on. */
  readonly counters: WorkerCounters;
  readonly wake: (fd: number) => void;
}

/**
 * A small nursery stays in the processor's cache, and connections that live on leave little memory behind them: idle
 * ones take half of what they take with V8's default.
 */
const YOUNG_GENERATION_MIB = 4;

/**
 * Threads to be woken when the process exits: Node waits for them then, and one that sleeps in epoll_wait would not
 * hear of it.
 */
const running = new Set<WorkerHandle>();

function exitAll(): void {
  for (const handle of running) handle.exit();
}

/** A thread would take over `--input-type`, as in `node --input-type=module -e ...`, and then refuse to run a file. */
function hasInputType(): boolean {
  return process.execArgv.some(option => option.startsWith('--input-type'));
}

export class WorkerHandle {
  readonly counters: WorkerCounters;
  readonly #thread: Worker;
  readonly #port: MessagePort;
  readonly #wake: () => void;
  #exiting = false;

  constructor(options: WorkerHandleOptions, events: WorkerEvents) {
    this.counters = options.counters;
    this.#wake = () => options.wake(options.start.wakeFd);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromWorker) => events.message(message));
    const workerData: WorkerStart = { ...options.start, counters: options.counters.memory, port: port2 };
    this.#thread = new Worker(new URL('worker.js', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
      ...(hasInputType() ? { execArgv: [] } : {}),
      transferList: [port2],
      name: `sniway ${options.start.index}`,
    });
    if (running.size === 0) process.on('exit', exitAll);
    running.add(this);
    let fault: Error | null = null;
    this.#thread.once('error', (error: Error) => (fault = error));
    this.#thread.once('exit', code => {
      running.delete(this);
      if (running.size === 0) process.off('exit', exitAll);
      const died = this.#exiting ? null : (fault ?? new Error(`the thread ended with code ${code}`));
      // Messages that were sent before come first.
      setImmediate(() => {
        port1.close();
        events.ended(died);
      });
    });
  }

  tell(message: ToWorker): void {
    this.#port.postMessage(message);
    this.#wake();
  }

  /** Tells the thread to end. */
  exit(): void {
    this.#exiting = true;
    this.tell({ kind: 'exit' });
  }

  /** Ends the thread wherever it is, as a fault would; for tests of what happens then. */
  async crash(): Promise<void> {
    const ended = this.#thread.terminate();
    this.#wake();
    await ended;
  }
}
