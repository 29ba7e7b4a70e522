/** What the schemas of the configuration are made of. */
import * as z from 'zod';
import { parseDuration } from './duration.ts';
import { describeFound } from './issue-findings.ts';
import { didYouMean } from './nearest-word.ts';
import { escapeControls, listWords, quote } from './plain-text.ts';

/** One schema for each key of `T`, no more and no less. */
export type Shape<T> = { readonly [Key in keyof T]-?: z.ZodType };

export type Checked = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** `misfit` says what to write instead of a value that is no text, where quotes around it do not mend it. */
export function text(check: (value: string) => Checked, misfit?: (value: unknown) => string | undefined) {
  const schema = misfit === undefined ? z.string() : z.string({ error: ({ input }) => misfit(input) });
  return schema.superRefine((value, context) => report(context, check(value)));
}

export function oneOrMany<Item extends z.ZodType>(item: Item) {
  return z.union([
    item,
    z.array(item).min(1, 'the list is empty: give at least one entry, or remove the key'),
  ]);
}

/** An empty list says the same as no list. */
export function noneOrMany<Item extends z.ZodType>(item: Item) {
  return z.union([item, z.array(item)]);
}

/** One word of a list; the message of a failure knows the nearest. */
export function word(words: readonly [string, ...string[]], summary = listWords(words)) {
  return z.enum(words, {
    error: ({ input }) =>
      typeof input === 'string'
        ? `${quote(input)} is not known here${didYouMean(input, words)}; write ${summary}`
        : `expected ${summary}, found ${describeFound(input)}`,
  });
}

/**
 * A function, which only a program can hold: the key is left out of the JSON Schema, and of everything made from it, by
 * {@link leaveOutFunctions}.
 */
export function userFunction(what: string) {
  return z
    .custom<(...given: never) => unknown>(value => typeof value === 'function', {
      error: () =>
        `${what} is a function, and only a program can hold one: write the configuration as sniway.config.mts or .mjs`,
    })
    .optional()
    .meta({ [IN_PROGRAMS]: true });
}

const IN_PROGRAMS = 'inPrograms';

/** For `z.toJSONSchema`: takes the keys out of an object that only programs can have. */
export function leaveOutFunctions({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const { properties } = jsonSchema;
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (typeof value === 'object' && IN_PROGRAMS in value) delete properties?.[key];
  }
}

export function policy(words: z.ZodType, byDefault: string, description: string) {
  return words.optional().meta({ description, default: byDefault });
}

/** A whole number from `least`, 1 unless given, to `most`. */
export function count(most: number, description: string, least = 1) {
  const range = `expected a whole number from ${least} to ${most}`;
  return z.number().int(range).min(least, range).max(most, range).optional().describe(description);
}

export function timeout(defaultMs: number, leastMs: number, description: string) {
  const check = (value: string): Checked => {
    const parsed = parseDuration(value);
    const tooShort = parsed.ok && parsed.ms < leastMs;
    return tooShort
      ? { ok: false, message: `${quote(value)} is too short: give at least ${leastMs}ms` }
      : parsed;
  };
  return text(check, askForUnit)
    .optional()
    .meta({ description, default: `${defaultMs / 1_000}s`, pattern: '^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$' });
}

function askForUnit(value: unknown): string | undefined {
  return typeof value === 'number'
    ? `the number ${value} needs a unit: write ${value}s or ${value}ms`
    : undefined;
}

export function report(context: z.RefinementCtx, checked: Checked): void {
  if (!checked.ok) context.addIssue({ code: 'custom', message: escapeControls(checked.message) });
}
