import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { CONFIG_BYTES_MAX, INCLUDED_FILES_MAX } from '../limits.ts';
import { inspectConfig } from './check-config.ts';
import { loadConfigFile } from './load-file.ts';
import { renderProblems } from './render-problems.ts';

let folder = '';
let count = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sniway-include-'));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A folder of its own with these files; its path. */
async function write(files: Readonly<Record<string, string>>): Promise<string> {
  const root = join(folder, String(count++));
  await mkdir(root);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

interface Loaded {
  readonly value: unknown;
  /** The first line of each problem, without the folder. */
  readonly told: readonly string[];
  readonly rendered: string;
}

async function load(files: Readonly<Record<string, string>>): Promise<Loaded> {
  return await loadFrom(await write(files));
}

async function loadFrom(root: string): Promise<Loaded> {
  const loaded = await loadConfigFile(join(root, 'sniway.yaml'), { environment: { HOST: '10.0.0.9' } });
  const { value, problems, source, describe } = loaded;
  const inspected = inspectConfig(value, describe === undefined ? {} : { describe });
  const rendered = renderProblems([...problems, ...inspected.problems], source).replaceAll(`${root}/`, '');
  return { value, rendered, told: rendered.split('\n').filter(line => / {2}(error|warning) {2}/.test(line)) };
}

const MAIN = 'listen: 443\ninclude: routes.d\nroutes: [{ match: main.example, backend: a:1 }]\n';

test('includeFiles() adds the routes of a folder in the order of its names', async () => {
  const { value, told } = await load({
    'sniway.yaml': MAIN,
    'routes.d/20.yaml':
      '- { match: c.example, backend: c:1 }\n- { match: d.example, backend: "${HOST}:1" }\n',
    'routes.d/10.yml': 'routes: [{ match: b.example, backend: b:1 }]\nsuffixes: .lan.example\n',
    'routes.d/30.json': '{ "suffixes": [".x.example"] }',
    'routes.d/40.yaml': '# nothing yet\n',
    'routes.d/.hidden.yaml': 'no: thing',
    'routes.d/10.yml~': 'no: thing',
    'routes.d/readme.md': 'no: thing',
  });
  assert.deepEqual(told, []);
  assert.deepEqual(value, {
    listen: 443,
    routes: [
      { match: 'main.example', backend: 'a:1' },
      { match: 'b.example', backend: 'b:1' },
      { match: 'c.example', backend: 'c:1' },
      { match: 'd.example', backend: '10.0.0.9:1' },
    ],
    suffixes: ['.lan.example', '.x.example'],
  });
});

test('includeFiles() takes files and folders in a list, where the main file has no routes', async () => {
  const { value, told } = await load({
    'sniway.yaml': 'listen: 443\ninclude: [one.yaml, more, empty]\n',
    'one.yaml': '- { match: a.example, backend: a:1 }\n',
    'more/b.yaml': '- { match: b.example, backend: b:1 }\n',
    'empty/readme.txt': '',
  });
  assert.deepEqual(told, []);
  assert.equal((value as { routes: unknown[] }).routes.length, 2);
});

test('includeFiles() shows errors in the file they stand in', async () => {
  const { told, rendered } = await load({
    'sniway.yaml': MAIN.replace('a:1', 'a'),
    'routes.d/a.yaml':
      'routes:\n  - match: a.example\n    backnd: a:1\n  - match: main.example\n    backend: m:1\n',
    'routes.d/b.yaml': '- match: b.example\n  backend: ${NONE}\n- name: x\n  match: *.example\n',
    'routes.d/c.yaml': '- match: "c.example\n',
    'routes.d/d.yaml': '\n- match: d.example\n  backend: d\n',
    'routes.d/e.yaml': 'suffixes: [e.example, "*"]\n',
  });
  assert.deepEqual(
    told.map(line => line.slice(0, 40).split('  ').slice(0, 2).join(' ')),
    [
      'sniway.yaml:3:42 error',
      'routes.d/a.yaml:3:5 error',
      'routes.d/a.yaml:4:12 error',
      'routes.d/b.yaml:4:10 error',
      'routes.d/c.yaml:2:1 error',
      'routes.d/d.yaml:3:12 error',
      'routes.d/e.yaml:1:23 error',
    ],
    rendered,
  );
  assert.match(rendered, /^ +3 \| {5}backnd: a:1$/m);
});

test('includeFiles() names the file of the other place too', async () => {
  const { told } = await load({
    'sniway.yaml': 'listen: 443\ninclude: [a.yaml, b.yaml]\n',
    'a.yaml': '- { match: x.example, backend: a:1 }\n- { name: n, match: a.example, backend: a:1 }\n',
    'b.yaml': '- { name: n, match: b.example, backend: b:1 }\n- { match: x.example, backend: b:1 }\n',
  });
  assert.equal(told.length, 2);
  assert.match(told[0] ?? '', /^b\.yaml:1:11 {2}error {2}"n" is the name of \[1\] of a\.yaml already$/);
  assert.match(told[1] ?? '', /^b\.yaml:2:\d+ {2}error {2}.*\[0\] of a\.yaml/);
});

test('includeFiles() lets an included file hold routes and suffixes only', async () => {
  const { told } = await load({
    'sniway.yaml': MAIN,
    'routes.d/a.yaml': 'listen: 80\nroutes: [{ match: a.example, backend: a:1 }]\n',
    'routes.d/b.yaml': 'include: c.yaml\n',
    'routes.d/c.yaml': 'routes: { match: c.example }\nsuffixes: 7\n',
    'routes.d/d.yaml': 'just text\n',
  });
  assert.deepEqual(told, [
    'routes.d/a.yaml:1:1  error  an included file holds only routes or suffixes: move "listen" to the main file',
    'routes.d/b.yaml:1:1  error  an included file includes no others: name them all in the main file',
    'routes.d/c.yaml:1:9  error  expected a list of routes: put "- " in front of each',
    'routes.d/c.yaml:2:11  error  expected text or a list of texts: [.internal.example.com]',
    'routes.d/d.yaml:1:1  error  expected a list of routes, or an object with "routes" and "suffixes"',
  ]);
});

test('includeFiles() refuses what is missing, included twice, or the file itself', async () => {
  const route = '- { match: a.example, backend: a:1 }\n';
  const { told } = await load({
    'sniway.yaml': 'listen: 443\ninclude:\n  - missing.d\n  - a.yaml\n  - ./a.yaml\n  - sniway.yaml\n  - 7\n',
    'a.yaml': route,
  });
  const remedy = 'create it, or remove it from "include"';
  assert.deepEqual(told, [
    'sniway.yaml:3:3  error  expected the path of a folder or file, or a list of them: include: routes.d',
    `sniway.yaml:3:5  error  cannot include "missing.d": there is no such file; ${remedy}`,
    `sniway.yaml:5:5  error  cannot include "./a.yaml": it is included already: "a.yaml"; ${remedy}`,
    `sniway.yaml:6:5  error  cannot include "sniway.yaml": it is the including file itself: "sniway.yaml"; ${remedy}`,
  ]);
});

test(
  'includeFiles() says that it lacks the permission',
  { skip: process.getuid?.() === 0 && 'runs as root' },
  async () => {
    const root = await write({ 'sniway.yaml': MAIN, 'routes.d/a.yaml': '[]' });
    await chmod(join(root, 'routes.d/a.yaml'), 0);
    assert.match((await loadFrom(root)).told[0] ?? '', /permission denied/);
  },
);

test('includeFiles() bounds files and bytes', async () => {
  const root = await write({ 'sniway.yaml': MAIN, 'routes.d/a.yaml': '', 'routes.d/b.yaml': '' });
  await truncate(join(root, 'routes.d/b.yaml'), CONFIG_BYTES_MAX + 1);
  assert.match((await loadFrom(root)).told[0] ?? '', /sniway\.yaml:2:10 {2}error {2}.*larger than 64 MiB/);
  const names = Array.from({ length: INCLUDED_FILES_MAX + 1 }, (_, index) => `routes.d/${index}.yaml`);
  const many = await load({ 'sniway.yaml': MAIN, ...Object.fromEntries(names.map(name => [name, ''])) });
  assert.match(many.told[0] ?? '', /at most 10000 files can be included/);
});

test('inspectConfig() refuses an include that nobody has followed', () => {
  const { problems } = inspectConfig({ listen: 443, suffixes: 'a.example', include: 'routes.d' });
  assert.match(problems[0]?.message ?? '', /^only configuration files include others/);
});
