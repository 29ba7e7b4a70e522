/** References to environment variables in the texts of a configuration file. */
import type { ConfigProblem } from '../errors.ts';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import type { ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { kindsAt } from './schema-tree.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ExpandOptions {
  readonly environment: Environment;
  /** Where in a configuration the value will stand; at its root unless given. */
  readonly at?: ProblemPath;
}

export interface Expanded {
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
}

/** An escape, or a reference with or without a default; the last form, `${` alone, is a mistake. */
const REFERENCE = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-[^{}]*)?\})?/g;
const NUMBER = /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every text, keys excepted; `$${` stands for `${`. The default also takes
 * the place of an empty variable, as in a shell. Texts are replaced after parsing: whatever a variable holds stays one
 * value. A value that is one reference and nothing else becomes a number or true/false where the schema takes those and
 * no text.
 *
 * The value must be the caller's own, fresh from a parser: it is changed in place, so that shared parts (YAML aliases,
 * circular ones too) stay shared. A text that cannot be replaced is left as it is, and told.
 */
export function expandVariables(value: unknown, { environment, at = [] }: ExpandOptions): Expanded {
  const expander = new Expander(environment, at);
  const expanded = expander.expand(value);
  return { value: expanded, problems: expander.problems };
}

class Expander {
  readonly problems: ConfigProblem[] = [];
  readonly #environment: Environment;
  readonly #at: ProblemPath;
  /** The way to the value that is looked at. */
  readonly #path: (string | number)[] = [];
  readonly #seen = new Set<object>();
  #charactersLeft = CONFIG_BYTES_MAX;

  constructor(environment: Environment, at: ProblemPath) {
    this.#environment = environment;
    this.#at = at;
  }

  expand(value: unknown): unknown {
    if (typeof value === 'string') return value.includes('${') ? this.#expandText(value) : value;
    if (typeof value !== 'object' || value === null || this.#seen.has(value)) return value;
    this.#seen.add(value);
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) value[index] = this.#expandAt(index, item);
      return value;
    }
    const object = value as Record<string, unknown>;
    for (const [key, item] of Object.entries(object)) {
      const expanded = this.#expandAt(key, item);
      if (expanded !== item) object[key] = expanded;
    }
    return object;
  }

  #expandAt(step: string | number, value: unknown): unknown {
    this.#path.push(step);
    const expanded = this.expand(value);
    this.#path.pop();
    return expanded;
  }

  #expandText(text: string): unknown {
    const failures = new Set<string>();
    const expanded = text.replace(REFERENCE, (found, name?: string, byDefault?: string) => {
      if (found === '$${') return '${';
      const value = name === undefined ? null : this.#valueOf(name, byDefault);
      if (value !== null) return value;
      failures.add(
        name === undefined
          ? `"\${" begins the name of an environment variable: write \${NAME} or \${NAME:-default}, without further braces; $\${ stands for the characters themselves`
          : `the environment variable ${name} is not set: set it, or give a default: \${${name}:-value}`,
      );
      return found;
    });
    this.#charactersLeft -= expanded.length;
    if (this.#charactersLeft < 0 && failures.size === 0) {
      if (this.#charactersLeft + expanded.length < 0) return text;
      failures.add('environment variables make the configuration too large: use fewer or shorter ones');
    }
    for (const message of failures) this.problems.push(errorAt([...this.#path], message));
    return failures.size > 0 ? text : this.#convert(text, expanded);
  }

  #valueOf(name: string, byDefault: string | undefined): string | null {
    const value = Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined;
    if (byDefault === undefined) return value ?? null;
    return value === undefined || value === '' ? byDefault.slice(':-'.length) : value;
  }

  /** What a lone reference stands for, where text is not what is wanted. */
  #convert(text: string, expanded: string): unknown {
    const isAlone = /^\$\{[^{}]*\}$/.test(text);
    if (!isAlone) return expanded;
    const kinds = kindsAt([...this.#at, ...this.#path]);
    if (kinds.has('text')) return expanded;
    if (kinds.has('number') && NUMBER.test(expanded)) return Number(expanded);
    if (kinds.has('boolean') && (expanded === 'true' || expanded === 'false')) return expanded === 'true';
    return expanded;
  }
}

/** Problems without those that are only the echo of a text that could not be replaced. */
export function withoutEchoes<Problem extends ConfigProblem>(
  problems: readonly Problem[],
  unexpanded: readonly ConfigProblem[],
): Problem[] {
  const places = new Set(unexpanded.filter(({ path }) => path.length > 0).map(({ path }) => keyOf(path)));
  if (places.size === 0) return [...problems];
  return problems.filter(
    ({ path }) => !path.some((_step, index) => places.has(keyOf(path.slice(0, index + 1)))),
  );
}

function keyOf(path: ProblemPath): string {
  return JSON.stringify(path);
}
