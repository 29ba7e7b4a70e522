/** The one place where error numbers of the kernel become errors of JavaScript. */
import { getSystemErrorName } from 'node:util';
import type { Kernel } from './kernel.ts';

/** What Node's own network errors look like, so that one handler serves both. */
export interface SystemError extends Error {
  /** Name of the error number, for example `ECONNRESET`. */
  readonly code: string;
  /** The positive error number of the kernel; Node's own errors carry it negated, as libuv does. */
  readonly errno: number;
  readonly syscall: string;
}

/** `ECONNREFUSED` for 111; `E<number>` for one that Node does not know. */
export function errnoName(errno: number): string {
  const name = errno > 0 ? getSystemErrorName(-errno) : '';
  return /^E[A-Z0-9]+$/.test(name) ? name : `E${errno}`;
}

/** An error with the message `connect ECONNREFUSED`, or `connect ECONNREFUSED 192.0.2.1:443` given that detail. */
export function systemError(syscall: string, errno: number, detail = ''): SystemError {
  const code = errnoName(errno);
  const message = detail === '' ? `${syscall} ${code}` : `${syscall} ${code} ${detail}`;
  return Object.assign(new Error(message), { code, errno, syscall });
}

/** Gives `result` back, or throws why `syscall`, which must be the last call made, answered -1. */
export function orThrow(kernel: Kernel, syscall: string, result: number): number {
  if (result === -1) throw systemError(syscall, kernel.errno());
  return result;
}
