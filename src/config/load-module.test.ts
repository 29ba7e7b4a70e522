import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ConfigError } from '../errors.ts';
import { inspectConfig } from './check-config.ts';
import { defineConfig } from './define-config.ts';
import { isModuleFile, loadModule } from './load-module.ts';
import { loadConfigFile } from './load-file.ts';
import { renderProblems } from './render-problems.ts';

let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sniway-module-'));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function refusal(name: string, text: string | null): Promise<string> {
  const path = text === null ? join(folder, name) : await write(name, text);
  try {
    await loadConfigFile(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.replace(`cannot load "${path}": `, '');
  }
  return assert.fail('it was loaded');
}

const CONFIG = `{ listen: 443, routes: [{ match: 'a.example', backend: '10.0.0.5:443' }] }`;

test('isModuleFile() knows programs by their names', () => {
  for (const name of ['sniway.config.mts', 'a.ts', 'a.mjs', 'a.js', '/etc/a.cjs'])
    assert.ok(isModuleFile(name));
  for (const name of ['sniway.yaml', 'a.json', '/dev/stdin', 'mjs', 'a.mjs.yaml'])
    assert.ok(!isModuleFile(name));
});

test('defineConfig() gives back what it got', () => {
  const config = { listen: 443, suffixes: 'a.example' };
  assert.equal(defineConfig(config), config);
});

test('loadConfigFile() takes the default export of a program', async () => {
  for (const [name, text] of [
    ['a.mjs', `export default ${CONFIG}`],
    ['b.js', `export default ${CONFIG}`],
    ['c.cjs', `module.exports = ${CONFIG}`],
    ['d.mjs', `const late = await Promise.resolve(${CONFIG}); export default late`],
  ] as const) {
    const { value, problems } = await loadConfigFile(await write(name, text));
    assert.deepEqual(problems, []);
    assert.equal(inspectConfig(value).config?.routes.length, 1, name);
  }
});

test('loadConfigFile() leaves references in a program alone, and replaces them in what it includes', async () => {
  await write('more.yaml', '- { match: "${NAME}", backend: "a:1" }');
  const path = await write(
    'include.mjs',
    `export default { listen: 443, include: 'more.yaml', routes: [{ name: '\${X}', match: 'b.example', backend: 'b:1' }] }`,
  );
  const { value } = await loadConfigFile(path, { environment: { NAME: 'c.example' } });
  assert.deepEqual(value, {
    listen: 443,
    routes: [
      { name: '${X}', match: 'b.example', backend: 'b:1' },
      { match: 'c.example', backend: 'a:1' },
    ],
  });
});

test('loadConfigFile() runs a program anew each time', async () => {
  const path = await write('again.mjs', 'export default { listen: 1 }');
  assert.deepEqual((await loadConfigFile(path)).value, { listen: 1 });
  await write('again.mjs', 'export default { listen: 2 }');
  assert.deepEqual((await loadConfigFile(path)).value, { listen: 2 });
});

test('loadConfigFile() says why a program gives no configuration', async () => {
  const remedy = 'write export default defineConfig({ ... })';
  assert.equal(await refusal('none.mjs', 'export const config = {};'), `it has no default export: ${remedy}`);
  assert.equal(await refusal('list.mjs', 'export default [];'), `its default export is no object: ${remedy}`);
  assert.equal(await refusal('missing.mjs', null), 'there is no such file');
  assert.equal(
    await refusal('throws.mjs', '\n  missing();\n'),
    'ReferenceError: missing is not defined (line 2, column 3)',
  );
  assert.match(
    await refusal('syntax.mjs', '\n\nexport default {{};\n'),
    /^SyntaxError: .*; node --check ".*" shows the place$/,
  );
  assert.match(
    await refusal('import.mjs', `import './nowhere.mjs';`),
    /^Error: Cannot find module '.*nowhere\.mjs'/,
  );
  assert.match(
    await refusal('package.mjs', `import { defineConfig } from 'sniway';`),
    /^the package sniway is not installed beside it: run npm install sniway there, or do without/,
  );
  assert.equal(await refusal('odd.mjs', `throw 'a\\u001bb'`), String.raw`it throws "a\x1bb"`);
});

test('loadModule() waits for a program no longer than it may', async () => {
  const path = await write('hangs.mjs', 'await new Promise(() => undefined);');
  await assert.rejects(loadModule(path, 50), /it has not ended within 0\.05 s: look at what it awaits/);
});

test('renderProblems() tells the problems of a program by their keys', async () => {
  const path = await write(
    'wrong.mjs',
    `export default { listen: 443, routes: [{ match: 'a', backnd: 'b:1' }] }`,
  );
  const { value, source } = await loadConfigFile(path);
  assert.match(
    renderProblems(inspectConfig(value).problems, source),
    /^\/.*wrong\.mjs {2}routes\[0\]\.backnd {2}error {2}unknown key "backnd" \(did you mean "backend"\?\)/,
  );
});

const RUNS_TYPESCRIPT = 'typescript' in process.features && process.features.typescript !== false;
const TYPED = `interface Tenant { name: string }
const tenants: Tenant[] = [{ name: 'a' }];
export default { listen: 443, routes: tenants.map(({ name }) => ({ match: name + '.example', backend: 'a:1' })) };
`;

test(
  'loadConfigFile() runs TypeScript where Node does',
  { skip: !RUNS_TYPESCRIPT && 'Node does not' },
  async () => {
    for (const name of ['typed.mts', 'typed.ts']) {
      const { value } = await loadConfigFile(await write(name, TYPED));
      assert.equal(inspectConfig(value).config?.routes.length, 1, name);
    }
  },
);

test(
  'loadConfigFile() says what to do where Node runs no TypeScript',
  { skip: RUNS_TYPESCRIPT && 'it does' },
  async () => {
    for (const name of ['typed.mts', 'typed.ts']) {
      assert.match(
        await refusal(name, TYPED),
        /^Node [0-9.]+ runs no TypeScript: use Node 22\.18 or newer, or write the configuration as JavaScript/,
      );
    }
  },
);
