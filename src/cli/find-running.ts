/** Finds the `sniway run` that another `sniway` is to ask for something, asks it by a signal, and waits for the answer. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeControls } from '../config/plain-text.ts';
import { ANSWER_CHARACTERS_MAX, ANSWER_POLL_MS } from '../limits.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { answerPath, readPid, readText } from './pid-file.ts';
import type { RequestAnswer, RequestSignal } from './pid-file.ts';

export interface FindFlags {
  readonly pid?: string;
  readonly pidFile?: string;
}

export interface RunningSniway {
  readonly pid: number;
  /**
   * Sends the signal; resolves with what came of it, or with null where that cannot be known, since no pid file is
   * given.
   * @throws CommandError (exit code 1) if the process ends meanwhile, or does not answer in time.
   */
  ask(signal: RequestSignal, timeoutMs: number): Promise<RequestAnswer | null>;
}

/** Of the signals here, by number: alike on all Linux machines but MIPS. */
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGUSR2: 12 } as const;

/**
 * @throws CommandError with exit code 2 if neither is given or a pid is none, 1 if no such process runs, or if it is
 * another program.
 */
export function findRunning({ pid: pidText, pidFile }: FindFlags): RunningSniway {
  if (pidText === undefined && pidFile === undefined) {
    fail('which process? Name it with --pid-file PATH, as "sniway run" was given it, or --pid N', EXIT.usage);
  }
  const pid = pidText === undefined ? readPid(pidFile ?? '') : parsePid(pidText);
  if (pid === null) {
    fail(`--pid-file: no process stands in ${pidFile}: does "sniway run --pid-file ${pidFile}" run?`);
  }
  if (!isAlive(pid))
    fail(`no process ${pid} runs${pidText === undefined ? `, though ${pidFile} says so` : ''}`);
  return { pid, ask: (signal, timeoutMs) => ask({ pid, pidFile }, signal, timeoutMs) };
}

function parsePid(text: string): number {
  const pid = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : 0;
  if (pid === 0) fail(`--pid '${text}' is no process: write its number`, EXIT.usage);
  return pid;
}

async function ask(
  { pid, pidFile }: { readonly pid: number; readonly pidFile: string | undefined },
  signal: RequestSignal,
  timeoutMs: number,
): Promise<RequestAnswer | null> {
  requireTaker(pid, signal);
  const path = pidFile === undefined ? null : answerPath(pidFile);
  const before = path === null ? null : readText(path);
  process.kill(pid, signal);
  if (path === null) return null;
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    const answer = readAnswer(path, before, { signal, pid });
    if (answer !== null) return answer;
    if (!isAlive(pid)) fail(`process ${pid} has ended before it answered; its own output says why`);
    await delay(ANSWER_POLL_MS);
  }
  return fail(`process ${pid} has not answered within ${timeoutMs / 1000}s; its own output may say why`);
}

/** An answer that was not there before. Files are replaced whole. */
function readAnswer(
  path: string,
  before: string | null,
  asked: { readonly signal: RequestSignal; readonly pid: number },
): RequestAnswer | null {
  const text = readText(path);
  if (text === null || text === before) return null;
  try {
    const { signal, pid, ok, text: said } = JSON.parse(text) as Record<keyof RequestAnswer | 'pid', unknown>;
    if (signal !== asked.signal || pid !== asked.pid) return null;
    // Another user's process has written it, and this may be a terminal of root's.
    const lines = String(said).slice(0, ANSWER_CHARACTERS_MAX).split('\n');
    return { signal: asked.signal, ok: ok === true, text: lines.map(escapeControls).join('\n') };
  } catch {
    return null;
  }
}

/**
 * A process that does not wait for SIGUSR2 or SIGHUP is ended by it, and a pid file may be left over from before the
 * machine was started anew: where the system tells, the process must be ours and wait for it (proc(5)).
 */
function requireTaker(pid: number, signal: RequestSignal): void {
  if (process.platform !== 'linux') return;
  const status = readText(`/proc/${pid}/status`);
  const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status ?? '')?.[1] ?? '0'}`);
  const bit = 1n << BigInt(SIGNAL_NUMBERS[signal] - 1);
  if (status === null || !isSniway(pid)) fail(`process ${pid} is no sniway`);
  if ((caught & bit) === 0n)
    fail(`process ${pid} takes no ${signal}: it starts only now, or is too old for that`);
}

/** The script that Node runs is `.../bin/sniway` or `.../cli/main.js`. */
function isSniway(pid: number): boolean {
  const args = (readText(`/proc/${pid}/cmdline`) ?? '').split('\0');
  return args.some(arg => /(?:^|\/)(?:sniway|cli\/main\.js)$/.test(arg));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // One that has ended, and whose parent has not looked yet, takes signals still.
    return process.platform !== 'linux' || !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPERM') {
      fail(`process ${pid} belongs to another user: ask as that user, or as root`);
    }
    return false;
  }
}

function fail(message: string, code: number = EXIT.failure): never {
  throw new CommandError(`sniway: error: ${message}`, code);
}
