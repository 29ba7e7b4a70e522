/** Files of routes that a configuration file includes: read, checked for what they may hold, and merged. */
import { opendir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ConfigProblem } from '../errors.ts';
import { CONFIG_BYTES_MAX, INCLUDED_FILES_MAX } from '../limits.ts';
import { parseSource } from './config-source.ts';
import { expandVariables } from './expand-variables.ts';
import type { Environment } from './expand-variables.ts';
import type { ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { mergeIncluded } from './merge-included.ts';
import type { IncludedFile, LoadedConfig } from './merge-included.ts';
import { listWords, quote } from './plain-text.ts';
import { describeFailure, readText } from './read-text.ts';
import { asObject, asTexts, isObject } from './read-value.ts';

const EXTENSIONS = ['.yaml', '.yml', '.json'];
const KEYS = ['routes', 'suffixes'];

export interface IncludeOptions {
  readonly environment: Environment;
  /** Hears of each file and folder that is looked at. */
  readonly reads: (path: string) => void;
}

/**
 * The configuration with the routes and suffixes of the files that its `include` names, behind its own, and without
 * that key. Relative paths start at the folder of the including file. A folder stands for its files that end in .yaml,
 * .yml or .json and do not begin with a dot, in the order of their names (by code unit). Nothing can be included twice,
 * and an included file includes nothing itself.
 */
export async function includeFiles(loaded: LoadedConfig, options: IncludeOptions): Promise<LoadedConfig> {
  if (!isObject(loaded.value) || loaded.value['include'] === undefined) return loaded;
  const { include, ...value } = loaded.value;
  const includer = new Includer(loaded.source.file, options);
  const items = asTexts(include, ['include']);
  if (!isTexts(include)) {
    includer.problems.push(
      errorAt(['include'], 'expected the path of a folder or file, or a list of them: include: routes.d'),
    );
  }
  for (const { text, path } of items) await includer.include(text, path);
  const { files, problems } = includer;
  return mergeIncluded({ ...loaded, value, problems: [...loaded.problems, ...problems] }, files);
}

function isTexts(value: unknown): boolean {
  return [value].flat().every(item => typeof item === 'string');
}

class Includer {
  readonly files: IncludedFile[] = [];
  /** What is wrong with the value of `include` itself. */
  readonly problems: ConfigProblem[] = [];
  readonly #file: string;
  readonly #options: IncludeOptions;
  readonly #seen: Set<string>;
  #bytesLeft = CONFIG_BYTES_MAX;

  constructor(file: string, options: IncludeOptions) {
    this.#file = file;
    this.#options = options;
    this.#seen = new Set([resolve(file)]);
  }

  async include(text: string, path: ProblemPath): Promise<void> {
    try {
      for (const file of await this.#filesOf(text)) await this.#read(file);
    } catch (error) {
      const remedy = 'create it, or remove it from "include"';
      this.problems.push(
        errorAt(path, `cannot include ${quote(text)}: ${describeFailure(error)}; ${remedy}`),
      );
    }
  }

  async #filesOf(text: string): Promise<string[]> {
    const path = resolve(dirname(this.#file), text);
    this.#options.reads(path);
    // As the operator wrote it, so that messages name the file as the command line does.
    const shown = text.startsWith('/') ? text : join(dirname(this.#file), text);
    if (!(await stat(path)).isDirectory()) return [shown];
    const names: string[] = [];
    for await (const { name } of await opendir(path)) {
      if (name.startsWith('.') || !EXTENSIONS.some(extension => name.endsWith(extension))) continue;
      names.push(name);
      if (names.length > INCLUDED_FILES_MAX) break;
    }
    return names.toSorted().map(name => join(shown, name));
  }

  async #read(file: string): Promise<void> {
    if (this.#seen.has(resolve(file))) {
      const what =
        resolve(file) === resolve(this.#file) ? 'it is the including file itself' : 'it is included already';
      throw new Error(`${what}: ${quote(file)}`);
    }
    this.#seen.add(resolve(file));
    if (this.files.length >= INCLUDED_FILES_MAX)
      throw new Error(`at most ${INCLUDED_FILES_MAX} files can be included`);
    this.#options.reads(resolve(file));
    const { text, bytes } = await readText(file, this.#bytesLeft);
    this.#bytesLeft -= bytes;
    const parsed = parseSource(file, text, { mayBeEmpty: true });
    const isList = Array.isArray(parsed.value);
    const { value, problems } = expandVariables(parsed.value, {
      environment: this.#options.environment,
      at: isList ? ['routes'] : [],
    });
    const shape = parsed.value === undefined ? [] : findShapeProblems(value);
    this.files.push({ source: parsed.source, value, problems: [...parsed.problems, ...problems, ...shape] });
  }
}

/** What may not stand in an included file; what stands in its routes is checked with all others. */
function findShapeProblems(value: unknown): ConfigProblem[] {
  if (value === null || Array.isArray(value)) return [];
  if (!isObject(value)) {
    return [errorAt([], 'expected a list of routes, or an object with "routes" and "suffixes"')];
  }
  const strange = Object.keys(value).filter(key => !KEYS.includes(key));
  const problems = strange.map(key => {
    const message =
      key === 'include'
        ? 'an included file includes no others: name them all in the main file'
        : `an included file holds only ${listWords(KEYS)}: move ${quote(key)} to the main file`;
    return { ...errorAt([key], message), spot: 'key' as const };
  });
  const { routes, suffixes } = asObject(value);
  const isMisfit = routes !== undefined && routes !== null && !Array.isArray(routes);
  const noTexts = suffixes !== undefined && suffixes !== null && !isTexts(suffixes);
  return [
    ...problems,
    ...(isMisfit ? [errorAt(['routes'], 'expected a list of routes: put "- " in front of each')] : []),
    ...(noTexts ? [errorAt(['suffixes'], 'expected text or a list of texts: [.internal.example.com]')] : []),
  ];
}
