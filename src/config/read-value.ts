/**
 * Tolerant looks into a configuration that may be wrong: whatever has the wrong shape is told by the schema, and is
 * left out here, so that everything else can still be checked against each other.
 */
import type { ProblemPath } from './findings.ts';

/** A text, and where it stands. */
export interface PlacedText {
  readonly text: string;
  readonly path: ProblemPath;
}

/** The value as an object; an empty one if it is none. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One value or a list of them, each with its place; nothing for an absent key. */
export function asPlaced(value: unknown, path: ProblemPath): { value: unknown; path: ProblemPath }[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value)
    ? value.map((item: unknown, index) => ({ value: item, path: [...path, index] }))
    : [{ value, path }];
}

/** One text or a list of texts, each with its place. */
export function asTexts(value: unknown, path: ProblemPath): PlacedText[] {
  return asPlaced(value, path).flatMap(placed =>
    typeof placed.value === 'string' ? [{ text: placed.value, path: placed.path }] : [],
  );
}
