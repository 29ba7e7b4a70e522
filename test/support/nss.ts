/** NSS's tools: a client of Encrypted ClientHello, and databases of certificates. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeFolder } from './folders.ts';
import { run } from './programs.ts';
import type { Finished } from './programs.ts';

/** What a test needs that starts the client. */
export const NSS_PROGRAMS = ['tstclnt', 'certutil'] as const;

/** Makes a database that trusts this authority. */
export async function fillDatabase(t: TestContext, folder: string, caFile: string): Promise<void> {
  const steps = [
    ['-N', '--empty-password'],
    ['-A', '-n', 'trial', '-t', 'C,,', '-i', caFile],
  ];
  for (const step of steps) {
    const { code, stderr } = await run(t, ['certutil', '-d', `sql:${folder}`, ...step]);
    if (code !== 0) throw new Error(`certutil ${step.join(' ')}: ${stderr}`);
  }
}

export interface NssClient {
  /** Asks for a page. */
  ask(t: TestContext, to: { port: number; name: string }, ...flags: string[]): Promise<Finished>;
}

/** A client that trusts this authority. */
export async function createNssClient(t: TestContext, caFile: string): Promise<NssClient> {
  const folder = makeFolder(t, {});
  await fillDatabase(t, folder, caFile);
  const request = join(folder, 'request');
  writeFileSync(request, 'GET / HTTP/1.0\r\n\r\n');
  const [program] = NSS_PROGRAMS;
  return {
    ask(test, { port, name }, ...flags) {
      const to = ['-h', '127.0.0.1', '-p', String(port), '-a', name];
      return run(test, [program, '-d', `sql:${folder}`, ...to, '-v', '-f', '-A', request, ...flags]);
    },
  };
}
