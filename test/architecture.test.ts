/** Holds the import table of ARCHITECTURE.md: who may import whom, and no cycles. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from './support/project.ts';

const source = join(projectRoot, 'src');

/** Units from low to high; a unit may import itself and what its row names, nothing else. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ['base'],
  ech: ['base', 'wire'],
  limiting: ['base', 'wire'],
  verdict: ['base', 'wire', 'ech types', 'limiting types'],
  routing: ['base', 'wire'],
  backends: ['base', 'wire', 'ech', 'verdict'],
  decide: ['base', 'wire', 'ech', 'verdict', 'routing', 'backends', 'limiting'],
  engine: ['base', 'wire', 'ech', 'verdict', 'decide types'],
  config: ['base', 'wire', 'ech', 'verdict', 'routing', 'backends', 'limiting', 'decide', 'engine'],
  observability: ['base', 'wire'],
  'user-code': ['base', 'wire', 'verdict', 'backends', 'decide', 'config'],
  library: ['base', 'wire', 'verdict', 'backends', 'limiting', 'decide', 'engine types', 'config'],
  proxy: [
    'base',
    'wire',
    'verdict',
    'routing',
    'backends',
    'limiting',
    'decide',
    'engine',
    'config',
    'user-code',
    'library',
  ],
  index: ['base', 'wire', 'verdict', 'routing', 'config', 'observability', 'library', 'proxy'],
  cli: [
    'base',
    'wire',
    'ech',
    'verdict',
    'routing',
    'backends',
    'decide',
    'engine',
    'config',
    'observability',
    'proxy',
  ],
};

const UNIT_OF_FILE: Readonly<Record<string, string>> = {
  'errors.ts': 'base',
  'limits.ts': 'base',
  'ech-limits.ts': 'base',
  'events.ts': 'base',
  'verdict.ts': 'verdict',
  'decide.ts': 'decide',
  'live.ts': 'decide',
  'open-hello.ts': 'decide',
  'snapshot.ts': 'decide',
  'proxy.ts': 'proxy',
  'sni-proxy.ts': 'proxy',
  'in-force.ts': 'proxy',
  'numbering.ts': 'proxy',
  'departed-routes.ts': 'proxy',
  'reload-result.ts': 'proxy',
  'reload-queue.ts': 'proxy',
  'index.ts': 'index',
};

/** Composition roots of worker threads build decisions themselves. */
const WORKER_ROOTS = new Set(['engine/linux/worker.ts']);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map(name => name.split(sep).join('/'));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)';/gms)]
    .filter(match => match[2]?.startsWith('.'))
    .map(match => ({
      from: file,
      to: relative(source, normalize(join(source, dirname(file), match[2] ?? '')))
        .split(sep)
        .join('/'),
      typeOnly: match[1] !== undefined,
    }));
}

function unitOf(file: string): string {
  const [folder = '', rest] = file.split('/');
  return rest === undefined ? (UNIT_OF_FILE[file] ?? `unknown file ${file}`) : folder;
}

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const unit = unitOf(from);
  const target = unitOf(to);
  if (unit === target) return true;
  const allowed = MAY_IMPORT[unit] ?? [];
  if (allowed.includes(target)) return true;
  if (allowed.includes(`${target} types`) && typeOnly) return true;
  return WORKER_ROOTS.has(from) && (target === 'decide' || target === 'limiting');
}

test('every import in src/ is allowed by the table', () => {
  const all = sourceFiles().flatMap(importsOf);
  assert.ok(all.length > 50, 'the scan finds imports at all');
  for (const { from, to } of all)
    assert.ok(existsSync(join(source, to)), `${from} imports ${to}, which is not there`);
  const breaches = all.filter(entry => !isAllowed(entry)).map(({ from, to }) => `${from} -> ${to}`);
  assert.deepEqual(breaches, []);
});

test('every file in src/ belongs to a unit of the table', () => {
  const strays = sourceFiles().filter(file => MAY_IMPORT[unitOf(file)] === undefined);
  assert.deepEqual(strays, []);
});

test('one engine never imports another', () => {
  const engineOf = (file: string): string | undefined => /^engine\/(portable|linux)\//.exec(file)?.[1];
  const crossings = sourceFiles()
    .flatMap(importsOf)
    .filter(({ from, to }) => engineOf(from) !== undefined && engineOf(to) !== undefined)
    .filter(({ from, to }) => engineOf(from) !== engineOf(to));
  assert.deepEqual(crossings, []);
});

test('wire/ and ech/ do no I/O', () => {
  const forbidden = /from 'node:(fs|net|dns|tls|http|https|child_process|timers|worker_threads)/;
  const guilty = sourceFiles()
    .filter(file => /^(?:wire|ech)\//.test(file))
    .filter(file => forbidden.test(readFileSync(join(source, file), 'utf8')));
  assert.deepEqual(guilty, []);
});

test('only the system calls of the linux engine load native code', () => {
  // Any mention of the package as a string counts: an import, a type import, a require or a name built for one.
  const ffi = /['"`](?:koffi|@koromix\/koffi[^'"`]*)(?:\/[^'"`]*)?['"`]|\bprocess\.dlopen\b|\.node['"`]/;
  const users = sourceFiles().filter(file => ffi.test(readFileSync(join(source, file), 'utf8')));
  assert.deepEqual(users, ['engine/linux/syscalls/load-kernel.ts']);
});

test('files in src/ import each other without a cycle', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to, typeOnly } of sourceFiles().flatMap(importsOf)) {
    if (!typeOnly) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
});
