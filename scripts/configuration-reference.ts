/**
 * Writes docs/configuration.md from the schema: `npm run docs`. With `--check` it writes nothing, and fails if the page
 * is not what it would write.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { ACTIVE, sampleValue } from '../src/config/sample-values.ts';
import type { ConfigKey } from '../src/config/schema-tree.ts';
import { configTree } from '../src/config/schema-tree.ts';

const page = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'docs', 'configuration.md');

const INTRODUCTION = `# Configuration

Every key of a configuration file, made from the schema that checks it (\`npm run docs\`). [command.md](command.md) says
how files, flags, environment variables and included files come together, and how a program takes the place of a file.
\`sniway init\` writes a file with all of it, \`sniway check -c FILE\` says what is wrong with one, \`sniway schema\` prints the
JSON Schema for editors: \`# yaml-language-server: $schema=sniway.schema.json\` as first line of a file lets them complete it.

The least there can be is a listener, and a route or a suffix:

\`\`\`yaml
listen: ${ACTIVE.listen}
routes:
  - match: ${ACTIVE.route.match}
    backend: ${ACTIVE.route.backend}
\`\`\`

A program may have functions too, as \`decide\` of a route and as \`hooks\`: [library.md](library.md).

Times are a number and a unit: \`250ms\`, \`1.5s\`, \`2m\`, \`1h\`. Where a list is taken, one value alone can stand for a list of
one. An example stands where there is no default.
`;

/** Longest list of words in a table; of longer ones two are shown. */
const WORDS_MAX = 8;

function renderPage(): string {
  const root = configTree();
  return [INTRODUCTION, '## At the top', table(root), ...root.keys.flatMap(key => sections(key, ''))].join(
    '\n\n',
  );
}

/** A section for each key that holds others. */
function sections(key: ConfigKey, above: string): string[] {
  if (key.keys.length === 0) return [];
  const path = `${above}${key.name}${key.listsObjects ? '[]' : ''}`;
  const text = key.description === '' ? [] : [`${key.description}.`];
  return [`## \`${path}\``, ...text, table(key), ...key.keys.flatMap(inner => sections(inner, `${path}.`))];
}

function table({ keys }: ConfigKey): string {
  const rows = keys.map(
    key => `| ${[`\`${key.name}\``, meaning(key), takes(key), value(key)].join(' | ')} |`,
  );
  return ['| key | what it is for | takes | default or example |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}

function meaning({ description, isRequired }: ConfigKey): string {
  return escapeCell([...(isRequired ? ['**Needed.**'] : []), description].join(' ').trim());
}

function takes({ kinds, words }: ConfigKey): string {
  const others = [...kinds].filter(kind => kind !== 'text' || words.length === 0);
  const isLong = words.length > WORDS_MAX;
  const named = [
    ...(isLong ? words.slice(0, 2) : words).map(word => `\`${word}\``),
    ...(isLong ? [`${words.length - 2} other words (\`sniway schema\` has them)`] : []),
  ];
  return [...(kinds.has('text') ? named : []), ...others].join(', ');
}

function value(key: ConfigKey): string {
  if (key.keys.length > 0 && key.byDefault === undefined) return '';
  const shown = `\`${JSON.stringify(sampleValue(key)).replaceAll('"', '')}\``;
  return key.byDefault === undefined ? `such as ${shown}` : shown;
}

/** Text as it is, whatever Markdown would make of it. */
function escapeCell(text: string): string {
  return text.replaceAll(/[|*_<>[\]]/g, '\\$&').replaceAll('\\*\\*Needed.\\*\\*', '**Needed.**');
}

const options = await resolveConfig(page);
const wanted = await format(renderPage(), { ...options, parser: 'markdown' });
if (!process.argv.includes('--check')) {
  writeFileSync(page, wanted);
} else if (readFileSync(page, 'utf8') !== wanted) {
  console.error('docs/configuration.md is not what the schema says: run npm run docs');
  process.exitCode = 1;
}
