/** Names of backends to addresses, by the system's own look-up (hosts file and search rules included). */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { LOOKUPS_MAX } from '../limits.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** A name that gave no address; the message holds the system's code (ENOTFOUND, EAI_AGAIN ...). */
export class ResolveError extends Error {}

export interface Resolver {
  /**
   * All addresses of a name, in the resolver's order; at least one. Look-ups of one name under way are shared.
   * @throws ResolveError when the name has none, the time is over, or too many look-ups are under way.
   */
  resolve(name: string, timeoutMs: number): Promise<readonly ResolvedAddress[]>;
}

/** Looks one name up; the default asks the system (getaddrinfo(3)). */
export type LookUp = (name: string) => Promise<readonly { address: string; family: number }[]>;

const systemLookUp: LookUp = name => lookup(name, { all: true, order: 'verbatim' });

export function createResolver(lookUp: LookUp = systemLookUp): Resolver {
  const underWay = new Map<string, Promise<readonly ResolvedAddress[]>>();

  const start = (name: string): Promise<readonly ResolvedAddress[]> => {
    const running = lookUp(name)
      .then(
        answers => readAnswers(answers),
        (error: unknown) => {
          throw new ResolveError(errorCode(error));
        },
      )
      .finally(() => underWay.delete(name));
    underWay.set(name, running);
    return running;
  };

  return {
    async resolve(name, timeoutMs) {
      // getaddrinfo would take 127.1 for an address: what looks like one is never a name here.
      if (isIP(name) !== 0) throw new ResolveError('address-literal');
      const running = underWay.get(name);
      if (running === undefined && underWay.size >= LOOKUPS_MAX) throw new ResolveError('too-many-lookups');
      return await withDeadline(running ?? start(name), timeoutMs);
    },
  };
}

function readAnswers(answers: readonly { address: string; family: number }[]): readonly ResolvedAddress[] {
  const found = answers.flatMap(({ address, family }): ResolvedAddress[] =>
    family === 4 || family === 6 ? [{ address, family }] : [],
  );
  if (found.length === 0) throw new ResolveError('no-address');
  return found;
}

async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ResolveError('timeout')), timeoutMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
    // The look-up itself goes on and may fail later, with nobody left to hear it.
    promise.catch(() => undefined);
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
