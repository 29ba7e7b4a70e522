/** Other people's programs that tests talk to. */
import { spawn } from 'node:child_process';
import type { SpawnOptionsWithoutStdio } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';

/**
 * Options for a test that needs a program: it is skipped, saying so, where the program is missing. In CI nothing is
 * skipped for that; the test then fails by itself.
 */
export function needs(...programs: readonly string[]): { skip: string | false } {
  const missing = programs.filter(program => !isInstalled(program));
  return {
    skip: missing.length > 0 && process.env['CI'] !== 'true' ? `${missing.join(', ')} not installed` : false,
  };
}

export function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly finished: Promise<Finished>;
  /** Output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  write(text: string): void;
  endInput(): void;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a program; it is killed at the end of the test if it still runs. */
export function start(
  t: TestContext,
  command: readonly [string, ...string[]],
  options: SpawnOptionsWithoutStdio = {},
): Running {
  const [program, ...args] = command;
  const child = spawn(program, args, { ...options, stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  t.after(() => child.kill('SIGKILL'));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  finished.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    finished,
    stdout: () => stdout,
    stderr: () => stderr,
    write: text => void child.stdin.write(text),
    endInput: () => child.stdin.end(),
    kill: signal => void child.kill(signal),
  };
}

/** Runs a program to its end with this input. */
export async function run(
  t: TestContext,
  command: readonly [string, ...string[]],
  input = '',
  options: SpawnOptionsWithoutStdio = {},
): Promise<Finished> {
  const running = start(t, command, options);
  running.write(input);
  running.endInput();
  return await running.finished;
}
