/** Included routes beside those of the main file, and the way from each back to the file it stands in. */
import type { ConfigProblem } from '../errors.ts';
import type { ConfigSource, FilePosition, ParsedSource } from './config-source.ts';
import { describePath } from './describe-path.ts';
import type { ProblemPath, SpottedProblem } from './findings.ts';
import { asObject, isObject } from './read-value.ts';

/**
 * What a file holds: a value to hand to `inspectConfig`, what is wrong with the text itself (then the value is
 * undefined if that is an error), and the source that `renderProblems` shows.
 */
export interface LoadedConfig extends ParsedSource {
  /** A place as messages about other places name it: `routes[2]`, with its file where that is another one. */
  readonly describe?: (path: ProblemPath) => string;
}

export interface IncludedFile {
  readonly source: ConfigSource;
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
}

/** Where an entry of a merged list comes from. */
interface Origin {
  readonly file: IncludedFile;
  readonly path: ProblemPath;
}

type Origins = Readonly<Record<string, Origin[]>>;

/** `loaded` with the routes and suffixes of the files behind its own. */
export function mergeIncluded(loaded: LoadedConfig, files: readonly IncludedFile[]): LoadedConfig {
  const own = asObject(loaded.value);
  const value: Record<string, unknown> = { ...own };
  const origins: Record<string, Origin[]> = {};
  const counts: Record<string, number> = {};
  for (const key of ['routes', 'suffixes']) {
    const added = files.flatMap(file => entriesOf(file, key));
    const present = listOf(own[key]);
    // What is no list is left for the check to name.
    if (added.length === 0 || present === null) continue;
    counts[key] = present.length;
    origins[key] = added.map(({ origin }) => origin);
    value[key] = [...present, ...added.map(({ entry }) => entry)];
  }
  const originOf = (path: ProblemPath): Origin | null => findOrigin(path, origins, counts);
  const owners = new Map(files.flatMap(file => file.problems.map(problem => [problem, file] as const)));
  const locate = (problem: SpottedProblem): FilePosition | null => {
    const owner = owners.get(problem);
    if (owner !== undefined) return within(owner, problem);
    const origin = originOf(problem.path);
    if (origin === null) return loaded.source.locate(problem);
    const path = [...origin.path, ...problem.path.slice(2)];
    return within(origin.file, { ...problem, path });
  };
  return {
    value,
    problems: [...loaded.problems, ...owners.keys()],
    source: { ...loaded.source, locate },
    describe(path) {
      const origin = originOf(path);
      if (origin === null) return describePath(path);
      return `${describePath([...origin.path, ...path.slice(2)])} of ${origin.file.source.file}`;
    },
  };
}

function within({ source }: IncludedFile, problem: SpottedProblem): FilePosition | null {
  const position = source.locate(problem);
  return position === null ? null : { ...position, included: source };
}

function findOrigin(
  [key, index]: ProblemPath,
  origins: Origins,
  counts: Readonly<Record<string, number>>,
): Origin | null {
  if (typeof key !== 'string' || typeof index !== 'number') return null;
  return origins[key]?.[index - (counts[key] ?? 0)] ?? null;
}

interface Entry {
  readonly entry: unknown;
  readonly origin: Origin;
}

function entriesOf(file: IncludedFile, key: string): Entry[] {
  const { value } = file;
  const isPlain = Array.isArray(value);
  if (isPlain && key !== 'routes') return [];
  const list = isPlain ? (value as unknown[]) : (listOf(isObject(value) ? value[key] : undefined) ?? []);
  return list.map((entry, index) => ({
    entry,
    origin: { file, path: isPlain ? [index] : [key, index] },
  }));
}

/** Null for what is neither a list nor (as a suffix may be) a text. */
function listOf(value: unknown): readonly unknown[] | null {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? (value as unknown[]) : null;
}
