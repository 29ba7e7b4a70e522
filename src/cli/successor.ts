/**
 * Starts a process that is to take over from this one: the same command anew, from whatever is on the disk now, with our
 * listening sockets. Nothing is given up here: if it does not get ready, everything is as it was.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { HANDOVER_TEXT_BYTES_MAX, UPGRADE_TIMEOUT_MS } from '../limits.ts';
import { FAILED_WORD, FIRST_FD, HANDOVER_VARIABLE, READY_LINE } from './inheritance.ts';

export interface HandedSocket {
  readonly fd: number;
  /** As `encodeSocketName` makes it. */
  readonly name: string;
}

export type SuccessorOutcome =
  | { readonly ok: true; readonly pid: number }
  /** It has ended, and has changed nothing; `why` is one sentence or the text that it said itself. */
  | { readonly ok: false; readonly why: string };

/**
 * LISTEN_PID and WATCHDOG_PID hold the number of the process that they are meant for, which is known only once it is
 * there: a shell takes its own, which stays when it becomes Node.
 */
const SHELL = '/bin/sh';
const SCRIPT =
  'LISTEN_PID=$$; export LISTEN_PID; ' +
  'if [ -n "$WATCHDOG_PID" ]; then WATCHDOG_PID=$$; export WATCHDOG_PID; fi; ' +
  'exec "$0" "$@"';

const ENDING = 'this process ends';

export interface SuccessorOptions {
  /** In the order of their descriptors in the new process, from 3 on. */
  readonly sockets: readonly HandedSocket[];
  /** Aborting it ends the new process, unless that is ready already. */
  readonly abort: AbortSignal;
  /** A program with its arguments; what this process was started by, unless given. */
  readonly command?: readonly string[];
  readonly timeoutMs?: number;
}

/** Resolves when the new process is ready, or has ended; never rejects. */
export async function startSuccessor(options: SuccessorOptions): Promise<SuccessorOutcome> {
  const { abort, timeoutMs = UPGRADE_TIMEOUT_MS } = options;
  if (abort.aborted) return { ok: false, why: ENDING };
  try {
    const birth = new Birth(spawnSuccessor(options), FIRST_FD + options.sockets.length, timeoutMs);
    abort.addEventListener('abort', () => birth.end(ENDING), { once: true });
    return await birth.outcome;
  } catch (error) {
    return { ok: false, why: `no new process can be started: ${String(error)}` };
  }
}

function spawnSuccessor({ sockets, ...options }: SuccessorOptions): ChildProcess {
  const { command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)] } = options;
  return spawn(SHELL, ['-c', SCRIPT, ...command], {
    stdio: ['inherit', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'pipe'],
    env: {
      ...process.env,
      LISTEN_FDS: String(sockets.length),
      LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':'),
      [HANDOVER_VARIABLE]: String(FIRST_FD + sockets.length),
    },
  });
}

class Birth {
  readonly outcome: Promise<SuccessorOutcome>;
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout;
  #settle: (outcome: SuccessorOutcome) => void = () => undefined;
  #settled = false;
  #said = '';
  #why: string | null = null;

  /** @param channelFd The descriptor of the new process by which it says whether it is ready. */
  constructor(child: ChildProcess, channelFd: number, timeoutMs: number) {
    this.#child = child;
    // Also where `spawn` has failed: that is told later, and would end this process if nobody listened.
    child.on('error', error => this.#fail(`no new process can be started: ${error.message}`));
    child.once('close', (code, signal) => this.#fail(this.#reason(code, signal)));
    this.outcome = new Promise(resolve => {
      this.#settle = outcome => {
        this.#settled = true;
        resolve(outcome);
      };
    });
    this.#timer = setTimeout(
      () => this.end(`the new process was not ready within ${timeoutMs / 1000}s, and was ended`),
      timeoutMs,
    );
    // Out of descriptors, there are no streams at all.
    const channel = (child.stdio as ChildProcess['stdio'] | undefined)?.[channelFd] as Readable | undefined;
    channel?.setEncoding('utf8');
    channel?.on('error', () => undefined);
    channel?.on('data', (text: string) => this.#hear(text, channel));
  }

  #hear(text: string, channel: Readable): void {
    if (this.#said.length < HANDOVER_TEXT_BYTES_MAX) this.#said += text;
    if (!this.#said.split('\n').includes(READY_LINE)) return;
    clearTimeout(this.#timer);
    this.#child.removeAllListeners('close');
    // It lives on without us.
    this.#child.unref();
    channel.destroy();
    this.#settle({ ok: true, pid: this.#child.pid ?? 0 });
  }

  /** Ends the new process, which then is told of. */
  end(why: string): void {
    if (this.#settled) return;
    this.#why = why;
    this.#child.kill('SIGKILL');
  }

  #fail(why: string): void {
    clearTimeout(this.#timer);
    this.#settle({ ok: false, why });
  }

  /** Why it was ended, or how it has ended, with what it has said itself. */
  #reason(code: number | null, signal: NodeJS.Signals | null): string {
    const line = this.#said.split('\n').find(text => text.startsWith(FAILED_WORD));
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    const ended = this.#why ?? `the new process ended ${how} before it was ready`;
    if (line !== undefined) return `${ended}:\n${parseText(line.slice(FAILED_WORD.length))}`;
    return this.#why ?? `${ended}; its own output says why`;
  }
}

function parseText(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
