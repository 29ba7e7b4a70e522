/** What zod has found, in words an operator can act on. */
import type * as z from 'zod';
import type { Finding, ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { nearestWord } from './nearest-word.ts';
import { listWords, quote } from './plain-text.ts';

type Issue = z.core.$ZodIssue;

export interface Checked {
  readonly input: unknown;
  /** The keys each object takes, by the keys that lead to it: `''`, `routes`, `policies`. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
}

/** How zod's own messages begin where a schema has none for the case; ours name what was found instead. */
const ZOD_DEFAULT = 'Invalid input';

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  array: 'a list',
  object: 'an object',
};

/** The findings of one failed check. */
export function toFindings(issues: readonly Issue[], checked: Checked): Finding[] {
  return issues.flatMap(issue => findingsOf(issue, [], checked));
}

/** `the number 443`, `a list`, `nothing`. */
export function describeFound(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the text ${quote(value)}`;
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${String(value)}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function findingsOf(issue: Issue, parent: ProblemPath, checked: Checked): Finding[] {
  const path = [...parent, ...issue.path.map(step => (typeof step === 'number' ? step : String(step)))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(path, key, checked));
  if (issue.code === 'invalid_union') {
    // The branch whose outer shape fits is the one that was meant; its own faults are the ones to tell.
    const meant = issue.errors.find(branch => !branch.some(isMisfit));
    if (meant !== undefined) return meant.flatMap(inner => findingsOf(inner, path, checked));
  }
  const isShape = issue.code === 'invalid_type' || issue.code === 'invalid_union';
  return [isShape ? misfit(path, issue, checked) : errorAt(path, issue.message)];
}

function unknownKey(path: ProblemPath, key: string, { keys }: Checked): Finding {
  const known = keys[path.filter(step => typeof step === 'string').join('.')] ?? [];
  const nearest = nearestWord(key, known);
  const remedy = nearest === null ? `; known here: ${known.join(', ')}` : ` (did you mean "${nearest}"?)`;
  return {
    ...errorAt([...path, key], `unknown key ${quote(key)}${remedy}`),
    spot: 'key',
    ...(nearest === null ? {} : { meant: nearest }),
  };
}

function misfit(path: ProblemPath, issue: Issue, { input }: Checked): Finding {
  const value = lookUp(input, path);
  const key = path.at(-1);
  if (value === undefined && typeof key === 'string') {
    return { ...errorAt(path.slice(0, -1), `"${key}" is missing`), missing: [key] };
  }
  if (!issue.message.startsWith(ZOD_DEFAULT)) return errorAt(path, issue.message);
  const expected = [...new Set(expectedKinds(issue))];
  const wanted = listWords(expected.map(kind => KINDS[kind] ?? kind));
  return errorAt(path, `expected ${wanted}, found ${describeFound(value)}${remedyFor(value, expected)}`);
}

function remedyFor(value: unknown, expected: readonly string[]): string {
  if (value === null) return ': give it a value, or remove it';
  if (!expected.includes('string')) return '';
  return typeof value === 'number' || typeof value === 'boolean'
    ? `: put it in quotes, "${String(value)}"`
    : '';
}

/** The value as a whole has the wrong shape, rather than something inside it. */
function isMisfit(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  return (
    issue.code === 'invalid_type' ||
    (issue.code === 'invalid_union' && issue.errors.every(one => one.some(isMisfit)))
  );
}

function expectedKinds(issue: Issue): string[] {
  if (issue.code === 'invalid_type') return [issue.expected];
  return issue.code === 'invalid_union' ? issue.errors.flatMap(branch => branch.flatMap(expectedKinds)) : [];
}

function lookUp(input: unknown, path: ProblemPath): unknown {
  let value = input;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
