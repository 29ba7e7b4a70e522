/** The package as it is published: what is in it, whether its types resolve, and its examples in an empty folder. */
import assert from 'node:assert/strict';
import { createPackageFromTarballData, checkPackage } from '@arethetypeswrong/core';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { publint } from 'publint';
import { needs, run } from '../support/programs.ts';
import { projectRoot } from '../support/project.ts';
import { installTarball, packTarball } from '../support/tarball.ts';

const modules = join(projectRoot, 'node_modules');
const examples = join(projectRoot, 'examples', 'library');
const RUNS_TYPESCRIPT = 'typescript' in process.features && process.features.typescript !== false;

/** Bytes of the tarball, and of what it holds: half more than there are now. */
const SIZE_MAX = 660_000;
const UNPACKED_SIZE_MAX = 2_200_000;

test(
  'the tarball is small, and holds compiled sources with their types and the papers of npm',
  needs('npm'),
  async t => {
    const { files, size, unpackedSize } = await packTarball(t);
    const others = files.filter(path => !/^dist\/src\/[a-z0-9/-]+\.(?:js|d\.ts)$/.test(path));
    assert.deepEqual(others.toSorted(), ['LICENSE', 'README.md', 'package.json']);
    const sources = new Set(
      files.filter(path => path.startsWith('dist/')).map(path => path.replace(/(?:\.d)?\.[jt]s$/, '')),
    );
    const strays = [...sources].filter(
      path => !existsSync(join(projectRoot, `${path.replace('dist/', '')}.ts`)),
    );
    assert.deepEqual(strays, [], 'left over from sources that have gone: npm run clean');
    for (const path of sources) {
      assert.ok(files.includes(`${path}.js`) && files.includes(`${path}.d.ts`), path);
    }
    assert.ok(size < SIZE_MAX && unpackedSize < UNPACKED_SIZE_MAX, `${size} and ${unpackedSize} bytes`);
  },
);

test('publint finds nothing in the tarball', needs('npm'), async t => {
  const { file } = await packTarball(t);
  const { messages } = await publint({
    pack: { tarball: new Uint8Array(readFileSync(file)).buffer },
    strict: true,
  });
  assert.deepEqual(messages, []);
});

test('the types of the tarball are those of its modules, however it is imported', needs('npm'), async t => {
  const { file } = await packTarball(t);
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(file))));
  assert.ok(analysis.types !== false, 'it has types');
  // CommonJS gets an ES module, which every Node it runs on can require; Node 10 knew no exports.
  const expected = new Set(['CJSResolvesToESM', 'NoResolution']);
  const problems = analysis.problems.filter(
    problem =>
      !expected.has(problem.kind) ||
      !('resolutionKind' in problem) ||
      !['node16-cjs', 'node10'].includes(problem.resolutionKind),
  );
  assert.deepEqual(problems, []);
});

test(
  'the examples run where only the package is installed: as ES modules, CommonJS and TypeScript',
  needs('npm'),
  async t => {
    const folder = await installTarball(t, await packTarball(t));
    cpSync(examples, folder, { recursive: true });
    for (const [file, output] of Object.entries(OUTPUTS)) {
      if (file.endsWith('.ts')) await compile(t, folder, file);
      const program = file.replace(/\.ts$/, '.js');
      await runExample(t, folder, program, output);
      if (file !== program && RUNS_TYPESCRIPT) await runExample(t, folder, file, output);
    }
    assert.deepEqual(Object.keys(OUTPUTS).toSorted(), readdirSync(examples).toSorted());
  },
);

const OUTPUTS: Readonly<Record<string, string>> = {
  'functions.mjs': `apple.example.com: ERR_SSL_TLSV1_UNRECOGNIZED_NAME
apple.example.com: hello from apple
pear.example.com: hello from pear
`,
  'observe.cjs': `127.0.0.1: not-tls (http)
sniway_connections_accepted_total 1
`,
  'hooks.ts': `127.0.0.1 asks for a.example.com, for the 1. time
denied, because of its route
127.0.0.1 asks for b.example.com, for the 2. time
denied, because of its route
127.0.0.1 asks for c.example.com, for the 3. time
denied, because of onHello
**.example.com: reject
`,
};

async function runExample(t: TestContext, folder: string, file: string, output: string): Promise<void> {
  const { code, stdout, stderr } = await run(t, [process.execPath, file], '', { cwd: folder });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, file);
  // Records come when they come.
  assert.deepEqual(stdout.split('\n').toSorted(), output.split('\n').toSorted(), file);
}

async function compile(t: TestContext, folder: string, file: string): Promise<void> {
  // The compiler and the types of Node are what users have anyway.
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(modules, '@types')],
  };
  const manifest = join(folder, 'package.json');
  writeFileSync(
    manifest,
    JSON.stringify({ ...(JSON.parse(readFileSync(manifest, 'utf8')) as object), type: 'module' }),
  );
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
  const { code, stdout } = await run(t, [
    process.execPath,
    join(modules, 'typescript', 'bin', 'tsc'),
    '-p',
    folder,
  ]);
  assert.equal(code, 0, stdout);
}
