/**
 * Settings of the fuzzers, from the environment:
 *
 *   SNIWAY_FUZZ_SEED  whole number; by default another one at each run. A failure names the one that repeats it.
 *   SNIWAY_FUZZ_RUNS  mutated hellos; by default few enough for about ten seconds.
 */
import { randomInt } from 'node:crypto';

export const fuzzSeed = Number(process.env['SNIWAY_FUZZ_SEED'] ?? randomInt(2 ** 31));

export function fuzzRuns(byDefault: number): number {
  return Number(process.env['SNIWAY_FUZZ_RUNS'] ?? byDefault);
}
