/** What is found wrong with a configuration while it is checked, before it is told. */
import type { ConfigProblem } from '../errors.ts';

export type ProblemPath = ConfigProblem['path'];

/** A problem, and whether its place is the key itself or (by default) the value under it. */
export interface SpottedProblem extends ConfigProblem {
  readonly spot?: 'key';
}

export interface Finding extends SpottedProblem {
  /** Keys of the object at `path` whose absence is the problem. */
  readonly missing?: readonly string[];
  /** The key that was probably meant: its absence beside this one need not be told too. */
  readonly meant?: string;
}

export function errorAt(path: ProblemPath, message: string): Finding {
  return { path, message, severity: 'error' };
}

/** The problems to tell: one misspelt key is not told again as a missing one. */
export function settleFindings(findings: readonly Finding[]): SpottedProblem[] {
  const meant = new Set(
    findings.flatMap(({ path, meant: key }) =>
      key === undefined ? [] : [keyOf([...path.slice(0, -1), key])],
    ),
  );
  const told = findings.filter(
    ({ path, missing }) => missing === undefined || !missing.some(key => meant.has(keyOf([...path, key]))),
  );
  return told.map(toProblem);
}

function toProblem({ path, message, severity, spot }: Finding): SpottedProblem {
  const problem = { path, message, severity };
  return spot === undefined ? problem : { ...problem, spot };
}

function keyOf(path: ProblemPath): string {
  return JSON.stringify(path);
}
