/** A sample configuration with every key there is, made from the schema, so that no key can be missing. */
import type { SampleFormat } from './sample-formats.ts';
import { ACTIVE, describeKey, sampleValue } from './sample-values.ts';
import type { ConfigKey } from './schema-tree.ts';
import { configTree } from './schema-tree.ts';

/** How a format writes; each line ends with a note, where there is one. */
interface Notation {
  readonly comment: string;
  readonly head: readonly string[];
  readonly foot: readonly string[];
  /** In front of every key at the top. */
  readonly margin: string;
  leaf(name: string, value: unknown): string;
  /** The lines of a key that holds an object, or a list with one. */
  branch(key: ConfigKey, note: string, inner: readonly string[]): string[];
}

const HEAD = [
  'Configuration of Sniway. A line that begins with a comment sign and no space is not in force: it shows the value',
  'that holds anyway, or an example where the default is nothing or depends on the machine.',
];

const YAML: Notation = {
  comment: '#',
  head: HEAD.map(line => `# ${line}`),
  foot: [],
  margin: '',
  leaf: (name, value) => `${name}: ${yamlValue(value)}`,
  branch({ name, listsObjects }, note, inner) {
    const [first = '', ...rest] = inner;
    const lines = listsObjects ? [`- ${first}`, ...rest.map(line => `  ${line}`)] : inner;
    return [`${name}:${note}`, ...lines.map(line => `  ${line}`)];
  },
};

const TS: Notation = {
  comment: '//',
  head: [
    "import { defineConfig } from 'sniway';",
    '',
    ...HEAD.map(line => `// ${line}`),
    'export default defineConfig({',
  ],
  foot: ['});'],
  margin: '  ',
  leaf: (name, value) => `${name}: ${tsValue(value)},`,
  branch({ name, listsObjects }, note, inner) {
    if (!listsObjects) return [`${name}: {${note}`, ...inner.map(line => `  ${line}`), '},'];
    return [`${name}: [${note}`, '  {', ...inner.map(line => `    ${line}`), '  },', '],'];
  },
};

/** The text of a sample in this format; it is fit as it is. */
export function sampleConfig(format: SampleFormat): string {
  const notation = format === 'yaml' ? YAML : TS;
  const lines = configTree().keys.flatMap(key => ['', ...topLines(key, notation)]);
  return [...notation.head, ...lines, ...notation.foot, ''].join('\n');
}

function topLines(key: ConfigKey, notation: Notation): string[] {
  const off = (line: string): string => commentOut(line, notation);
  const title = `${notation.comment} ${describeKey(key)}`;
  const example = keyLines({ ...key, description: '', byDefault: undefined }, notation, key);
  const lines =
    key.name === 'routes'
      ? notation.branch(key, '', routeLines(key, notation))
      : key.name === 'listen'
        ? [notation.leaf(key.name, ACTIVE.listen), ...example.map(off)]
        : example.map(off);
  return [title, ...lines].map(line => notation.margin + line);
}

/** The keys of a route that holds, and all others out of force. */
function routeLines({ keys }: ConfigKey, notation: Notation): string[] {
  const active = Object.entries(ACTIVE.route).map(([name, value]) => notation.leaf(name, value));
  const others = keys.filter(({ name }) => !Object.hasOwn(ACTIVE.route, name));
  const off = others.flatMap(key => keyLines(key, notation, key));
  return [...active, ...off.map(line => commentOut(line, notation))];
}

/** `shown` is what the note is about, `valued` what the value is taken from. */
function keyLines(shown: ConfigKey, notation: Notation, valued: ConfigKey): string[] {
  const text = describeKey(shown);
  const note = text === '' ? '' : ` ${notation.comment} ${text}`;
  if (shown.keys.length === 0) return [notation.leaf(shown.name, sampleValue(valued)) + note];
  return notation.branch(
    shown,
    note,
    shown.keys.flatMap(key => keyLines(key, notation, key)),
  );
}

/** The sign stands behind the indentation, so that taking it away is all there is to do. */
function commentOut(line: string, { comment }: Notation): string {
  return line.replace(/^ */, `$&${comment}`);
}

/** Texts that YAML could take for something else stand in quotes. */
function yamlValue(value: unknown): string {
  const isPlain = typeof value === 'string' && /^[a-z/][a-z0-9_./:-]*$/i.test(value);
  if (!isPlain || /:$|^(?:true|false|null|yes|no|on|off)$/i.test(value)) return JSON.stringify(value);
  return value;
}

function tsValue(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}
