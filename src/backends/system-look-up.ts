/** The system's own look-up, getaddrinfo(3): nsswitch, multicast DNS and all. It takes threads, and knows no TTL. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { NAME_ADDRESSES_MAX, SYSTEM_TTL_MS } from '../limits.ts';
import { errorCode } from './dns-client.ts';
import type { AddressRecords } from './dns-client.ts';

/** As `lookup` of node:dns/promises. */
export type SystemLookUp = (name: string) => Promise<readonly { address: string; family: number }[]>;

export interface SystemQuestion {
  readonly name: string;
  readonly fromClient: boolean;
  /** True when nobody waits for the answer any more: a question that still stands in line is dropped. */
  readonly isOver: () => boolean;
}

/** Asks the system; the answer is in its order. Never rejects. */
export type AskSystem = (question: SystemQuestion) => Promise<AddressRecords>;

/** Threads of libuv (UV_THREADPOOL_SIZE); it gives half of them to look-ups, so that files can go on. */
const THREADS_DEFAULT = 4;

const systemLookUp: SystemLookUp = name => lookup(name, { all: true, order: 'verbatim' });

/** Names that clients chose stand in line for all threads but one, which is kept for configured names. */
export function createSystemLookUp(lookUp: SystemLookUp = systemLookUp): AskSystem {
  const places = Math.max(lookUpThreads(process.env['UV_THREADPOOL_SIZE']) - 1, 1);
  const line: (() => void)[] = [];
  let taken = 0;

  const ask = async (name: string): Promise<AddressRecords> => {
    try {
      return readAnswers(await lookUp(name));
    } catch (error) {
      const code = errorCode(error);
      return { kind: code === 'ENOTFOUND' || code === 'ENODATA' ? 'none' : 'failed', code };
    }
  };
  const askInLine = async ({ name, isOver }: SystemQuestion): Promise<AddressRecords> => {
    if (taken < places) taken++;
    else await new Promise<void>(resolve => line.push(resolve));
    try {
      return isOver() ? { kind: 'failed', code: 'timeout' } : await ask(name);
    } finally {
      const next = line.shift();
      if (next === undefined) taken--;
      else next();
    }
  };
  return question => (question.fromClient ? askInLine(question) : ask(question.name));
}

/** libuv's slow_work_thread_threshold: half of the threads, rounded up. */
function lookUpThreads(setting: string | undefined): number {
  const threads = Number(setting ?? THREADS_DEFAULT);
  return Math.floor(((Number.isInteger(threads) && threads > 0 ? threads : THREADS_DEFAULT) + 1) / 2);
}

function readAnswers(answers: readonly { address: string; family: number }[]): AddressRecords {
  const addresses = answers
    .flatMap(({ address }) => {
      const family = isIP(address);
      return family === 4 || family === 6 ? [{ address, family } as const] : [];
    })
    .slice(0, 2 * NAME_ADDRESSES_MAX);
  if (addresses.length === 0) return { kind: 'none', code: 'no-address' };
  return { kind: 'found', addresses, ttlMs: SYSTEM_TTL_MS };
}
