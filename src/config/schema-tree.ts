/** The keys of the configuration as a tree, read off its JSON Schema: what each takes, and what it is for. */
import { asObject } from './read-value.ts';
import type { ProblemPath } from './findings.ts';
import { configJsonSchema } from './schema.ts';

export type Kind = 'text' | 'number' | 'boolean' | 'list' | 'object';

export interface ConfigKey {
  /** Empty for the configuration as a whole. */
  readonly name: string;
  readonly description: string;
  readonly isRequired: boolean;
  /** Undefined if there is no value that says the same as leaving the key out. */
  readonly byDefault: unknown;
  readonly examples: readonly unknown[];
  /** The words it takes; empty if it takes more than words. */
  readonly words: readonly string[];
  /** Every kind that it takes, in a list or without one. */
  readonly kinds: ReadonlySet<Kind>;
  /** Whether several may stand in a list. */
  readonly isList: boolean;
  /** Whether the objects stand in a list. */
  readonly listsObjects: boolean;
  /** Keys of the object, or of the objects in the list. */
  readonly keys: readonly ConfigKey[];
}

type Node = Readonly<Record<string, unknown>>;

const KINDS: Readonly<Record<string, Kind>> = {
  string: 'text',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  array: 'list',
  object: 'object',
};

let tree: ConfigKey | null = null;

/** The whole configuration; made once. */
export function configTree(): ConfigKey {
  tree ??= readTree(configJsonSchema());
  return tree;
}

/** What the value at this place may be; nothing for a place that the schema does not have. */
export function kindsAt(path: ProblemPath): ReadonlySet<Kind> {
  let key: ConfigKey | undefined = configTree();
  for (const step of path) {
    if (typeof step === 'string') key = key?.keys.find(({ name }) => name === step);
  }
  return key?.kinds ?? new Set();
}

function readTree(schema: Node): ConfigKey {
  return readKey('', schema, { definitions: asObject(schema.$defs), isRequired: true });
}

interface Context {
  readonly definitions: Node;
  readonly isRequired: boolean;
}

function readKey(name: string, node: Node, context: Context): ConfigKey {
  const parts = partsOf(node, context.definitions);
  const lists = parts.filter(({ type }) => type === 'array');
  const items = lists.flatMap(({ items: inner }) => partsOf(asObject(inner), context.definitions));
  const all = [...parts, ...items];
  const object = all.find(({ type }) => type === 'object');
  const required = Array.isArray(object?.required) ? (object.required as unknown[]) : [];
  const first = <T>(pick: (part: Node) => T | undefined): T | undefined =>
    [node, ...all].map(pick).find(value => value !== undefined);
  return {
    name,
    description: first(({ description: text }) => (typeof text === 'string' ? text : undefined)) ?? '',
    isRequired: context.isRequired,
    byDefault: node.default,
    examples: first(({ examples }) => (Array.isArray(examples) ? (examples as unknown[]) : undefined)) ?? [],
    words: first(({ enum: words }) => (Array.isArray(words) ? words.map(String) : undefined)) ?? [],
    kinds: new Set(all.flatMap(({ type }) => KINDS[String(type)] ?? [])),
    isList: lists.length > 0,
    listsObjects: items.some(({ type }) => type === 'object'),
    keys: Object.entries(asObject(object?.properties)).map(([key, value]) =>
      readKey(key, asObject(value), { ...context, isRequired: required.includes(key) }),
    ),
  };
}

/** The node, or what it gives the choice of. */
function partsOf(node: Node, definitions: Node): Node[] {
  if (typeof node.$ref === 'string') {
    return partsOf(asObject(definitions[node.$ref.replace('#/$defs/', '')]), definitions);
  }
  if (!Array.isArray(node.anyOf)) return [node];
  return node.anyOf.flatMap(part => partsOf(asObject(part), definitions));
}
