/** Patterns by what they are looked up with, so that a look-up costs the labels of a name, not the number of routes. */
import type { RE2JS } from 're2js';
import { NAME_BYTES_MAX } from '../limits.ts';
import type { Pattern } from './pattern.ts';
import { createEntry } from './pattern-entry.ts';
import type { PatternEntry } from './pattern-entry.ts';

interface WildcardPair {
  one: PatternEntry | null;
  many: PatternEntry | null;
}

export interface RegexEntry {
  readonly regex: RE2JS;
  readonly source: string;
  readonly entry: PatternEntry;
}

export class TableIndex {
  readonly #exact = new Map<string, PatternEntry>();
  readonly #wildcards = new Map<string, WildcardPair>();
  /** 1 for each length that a suffix in `#wildcards` has: most suffixes of a name need no look-up. */
  readonly #suffixLengths = new Uint8Array(NAME_BYTES_MAX + 1);
  readonly #regexes = new Map<string, RegexEntry>();

  /** The regular expressions in the order they were first given. */
  get regexes(): Iterable<RegexEntry> {
    return this.#regexes.values();
  }

  /** The entry of a pattern, made where there is none yet. */
  claim(pattern: Pattern): PatternEntry {
    if (pattern.kind === 'exact') {
      return getOrAdd(this.#exact, pattern.name, () => createEntry(pattern.text));
    }
    if (pattern.kind === 'wildcard') {
      this.#suffixLengths[pattern.suffix.length] = 1;
      const pair = getOrAdd(this.#wildcards, pattern.suffix, () => ({ one: null, many: null }));
      return (pair[pattern.labels] ??= createEntry(pattern.text));
    }
    const { regex, source, text } = pattern;
    return getOrAdd(this.#regexes, source, () => ({ regex, source, entry: createEntry(text) })).entry;
  }

  exact(name: string): PatternEntry | undefined {
    return this.#exact.get(name);
  }

  /** The entry of `**.suffix`. */
  under(suffix: string): PatternEntry | null {
    return this.#wildcards.get(suffix)?.many ?? null;
  }

  /** Visits the entries that cover a name by their fixed part, most specific first, until `take` says true. */
  visitFixed(name: string, take: (entry: PatternEntry) => boolean): boolean {
    const exact = this.#exact.get(name);
    if (exact !== undefined && take(exact)) return true;
    const firstDot = name.indexOf('.');
    // A dot at the very beginning has no label in front of it.
    for (let dot = firstDot; dot > 0; dot = name.indexOf('.', dot + 1)) {
      if (this.#suffixLengths[name.length - dot - 1] !== 1) continue;
      const pair = this.#wildcards.get(name.slice(dot + 1));
      if (pair === undefined) continue;
      if (dot === firstDot && pair.one !== null && take(pair.one)) return true;
      if (pair.many !== null && take(pair.many)) return true;
    }
    return false;
  }

  /** Visits every entry that covers a name, in order of precedence, until `take` says true. */
  visit(name: string, take: (entry: PatternEntry) => boolean): void {
    if (this.visitFixed(name, take)) return;
    for (const { regex, entry } of this.#regexes.values()) {
      if (regex.testExact(name) && take(entry)) return;
    }
  }
}

function getOrAdd<V>(map: Map<string, V>, key: string, create: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const created = create();
  map.set(key, created);
  return created;
}
