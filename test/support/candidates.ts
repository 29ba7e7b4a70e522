/** Verdicts made by tests. */
import type { Candidate } from '../../src/verdict.ts';

/** A backend on this machine that nothing is counted of. */
export function candidateAt(port: number): Candidate {
  const endpoint = { kind: 'tcp', address: '127.0.0.1', port, family: 4 } as const;
  return { endpoint, backend: -1, proxy: null, delayMs: 1_000 };
}
