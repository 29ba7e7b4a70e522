/**
 * What this process was started with: listening sockets by the convention of service managers (sd_listen_fds(3)), from
 * one of those or from a Sniway that is being upgraded, which waits to hear whether this one is ready.
 */
import { closeSync, writeSync } from 'node:fs';
import { InheritedSockets, decodeSocketName } from '../engine/inherited-sockets.ts';
import type { InheritedSocket } from '../engine/inherited-sockets.ts';
import { removeSocketFile } from '../engine/socket-file.ts';
import { INHERITED_SOCKETS_MAX } from '../limits.ts';
import { readBoundAddress } from './bound-address.ts';
import type { OperatorConsole } from './console.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface Inheritance {
  readonly sockets: InheritedSockets;
  /** The process that hands over to this one; null if none does. */
  readonly predecessor: Predecessor | null;
}

/** Of the descriptors that are handed over: 0 to 2 are the standard streams. */
export const FIRST_FD = 3;
/** Names the descriptor on which the old process waits to hear of the new one. */
export const HANDOVER_VARIABLE = 'SNIWAY_HANDOVER_FD';
/** What is said there, each on a line of its own. */
export const READY_LINE = 'READY=1';
export const FAILED_WORD = 'FAILED=';

/**
 * Takes it out of the environment, so that no program started from here takes it for its own, and runs with it. If that
 * fails before it was ready, the predecessor hears why.
 */
export async function runWithInheritance<T>(run: (inheritance: Inheritance) => Promise<T>): Promise<T> {
  const inheritance = takeInheritance(process.env);
  try {
    return await run(inheritance);
  } catch (error) {
    inheritance.predecessor?.failed(error instanceof CommandError ? error.message : String(error));
    throw error instanceof CommandError ? withUnclaimed(error, inheritance) : error;
  }
}

/** A listener that cannot be opened may be one whose socket was handed over, but is bound to another address. */
function withUnclaimed(error: CommandError, { sockets, predecessor }: Inheritance): CommandError {
  if (error.exitCode !== EXIT.failure || predecessor !== null) return error;
  const lines = sockets.unclaimed.map(socket => `sniway: warn: ${unclaimedText(socket)}`);
  return new CommandError([error.message, ...lines].join('\n'), error.exitCode);
}

function unclaimedText({ fd, manager, address }: InheritedSocket): string {
  const remedy = `add a listener for ${address ?? `fd:${manager}`}, or take it out of the socket unit`;
  return `the socket ${address ?? `fd:${fd}`} ('${manager}') was handed over, but no listener takes it: ${remedy}`;
}

export function takeInheritance(env: NodeJS.ProcessEnv): Inheritance {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '', [HANDOVER_VARIABLE]: handover } = env;
  // Meant for another process, which has left it in the environment.
  if (LISTEN_PID !== String(process.pid)) return { sockets: new InheritedSockets(), predecessor: null };
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', HANDOVER_VARIABLE]) delete env[name];
  const count = Math.min(parseCount(LISTEN_FDS), INHERITED_SOCKETS_MAX);
  const names = LISTEN_FDNAMES.split(':');
  const sockets = Array.from({ length: count }, (_, index) =>
    describe(FIRST_FD + index, names[index] || 'unknown'),
  );
  const handoverFd = parseCount(handover);
  return {
    sockets: new InheritedSockets(sockets, handoverFd > 0),
    predecessor: handoverFd > 0 ? new Predecessor(handoverFd) : null,
  };
}

function describe(fd: number, name: string): InheritedSocket {
  const known = decodeSocketName(name);
  return { fd, ...known, address: known.address ?? readBoundAddress(fd) };
}

function parseCount(text: string | undefined): number {
  return /^[0-9]{1,9}$/.test(text ?? '') ? Number(text) : 0;
}

/** The process that hands over. Told once; whether it is still there to hear it makes no difference. */
export class Predecessor {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  ready(): void {
    this.#tell(READY_LINE);
  }

  failed(why: string): void {
    this.#tell(`${FAILED_WORD}${JSON.stringify(why)}`);
  }

  #tell(line: string): void {
    if (this.#fd === -1) return;
    try {
      writeSync(this.#fd, `${line}\n`);
    } catch {
      // It has gone, and its sockets are ours alone.
    }
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Closes what no listener has taken, and says so: its clients would wait in a queue for ever. */
export function closeUnclaimed({ sockets, predecessor }: Inheritance, operator: OperatorConsole): void {
  const left = sockets.unclaimed;
  sockets.forgetUnclaimed();
  for (const { fd } of left) closeSync(fd);
  if (predecessor === null) {
    for (const socket of left) operator.say('warn', unclaimedText(socket));
    return;
  }
  for (const { address, manager } of left) {
    // Nobody listens there any more, and the process before leaves the files to this one.
    if (manager === null && address?.startsWith('unix:') === true)
      removeSocketFile(address.slice('unix:'.length));
  }
  const addresses = new Set(left.map(({ fd, address }) => address ?? `fd:${fd}`));
  for (const address of addresses) operator.say('info', `${address} is not listened on any more`);
}
