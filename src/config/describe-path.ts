import { describeProblem } from '../errors.ts';
import type { ProblemPath } from './findings.ts';

/** `routes[0].match`; empty for the configuration as a whole. */
export function describePath(path: ProblemPath): string {
  return describeProblem({ path, message: '', severity: 'error' }).replace(/: $/, '');
}
