/** The package as its users get it: packed, unpacked beside its dependencies, type-checked and run. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { run } from '../support/programs.ts';
import { projectRoot } from '../support/project.ts';

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly bin: Record<string, string>;
  readonly version: string;
}

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as Manifest;
const modules = join(projectRoot, 'node_modules');
const tsc = join(modules, 'typescript', 'bin', 'tsc');

/** Papers whose programs end by themselves, and papers with others. */
const RUN = ['README.md', 'docs/library.md'];
const PAPERS = [...RUN, 'docs/command.md', 'docs/metrics.md'];

/** The `ts` blocks of a paper. */
function samplesOf(paper: string): string[] {
  const text = readFileSync(join(projectRoot, paper), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(match => match[1] ?? '');
}

/** Every sample of the papers, a use of each promise that the README makes in words, and the tests of types. */
function librarySamples(): string[] {
  const samples = PAPERS.flatMap(samplesOf);
  assert.ok(samples.length > 1);
  const types = readFileSync(join(projectRoot, 'test', 'types', 'library.ts'), 'utf8');
  return [...samples, PROMISED, types];
}

const PROMISED = `
import { ALERTS, ConfigError, END_REASONS, HelloReader, SniwayError, createProxy, createRouteTable, parseClientHello } from 'sniway';
import type {
  AlertName, BoundAddress, ClientHello, CloseResult, ConfigProblem, ConnectionEnded, EndReason, HelloErrorCode,
  HelloResult, RouteConfig, RouteTable, SniProxy, SniwayConfig, SniwayErrorCode,
} from 'sniway';

const route: RouteConfig = { match: ['a.example.com'], alpn: 'h2', reject: 'access_denied' };
const config: SniwayConfig = { listen: [443, '[::1]:8443'], routes: [route], timeouts: { hello: '2.5s' } };
const proxy: SniProxy = createProxy(config);
proxy.on('ended', (record: ConnectionEnded) => console.log(record.endReason satisfies EndReason));
const bound: readonly BoundAddress[] = await proxy.start();
const { terminated }: CloseResult = await proxy.close({ drainTimeoutMs: Infinity });
const result: HelloResult = parseClientHello(new Uint8Array());
if (result.kind === 'complete') {
  const hello: ClientHello = result.hello;
  console.log(hello.serverName, hello.ja3, hello.ja4, hello.ech, result.consumed);
} else if (result.kind === 'invalid') {
  const code: HelloErrorCode = result.code;
  console.log(code, result.alert);
}
const table: RouteTable = createRouteTable([{ patterns: ['*.example.com'], alpn: [] }]).table;
const alert: AlertName = 'unrecognized_name';
try {
  console.log(table.match('a.example.com', { alpnProtocols: [] }), ALERTS[alert], END_REASONS, bound, terminated, new HelloReader());
} catch (error) {
  if (error instanceof ConfigError) console.log(error.problems satisfies readonly ConfigProblem[]);
  if (error instanceof SniwayError) console.log(error.code satisfies SniwayErrorCode);
}
// @ts-expect-error A misspelt key is an error before anything runs.
createProxy({ listen: 443, route: [] });
`;

describe('the packed package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-package-'));
  const installed = join(folder, 'node_modules', 'sniway');

  before(() => {
    // What "files" names, as npm packs it: npm itself may be missing where the tests run.
    mkdirSync(join(installed, 'dist'), { recursive: true });
    cpSync(join(projectRoot, 'package.json'), join(installed, 'package.json'));
    cpSync(join(projectRoot, 'dist', 'src'), join(installed, 'dist', 'src'), { recursive: true });
    for (const name of [...Object.keys(manifest.dependencies), '@types', 'undici-types']) {
      symlinkSync(join(modules, name), join(folder, 'node_modules', name));
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  });
  after(() => rmSync(folder, { recursive: true }));

  test('has a command that runs', async t => {
    const main = join(installed, manifest.bin['sniway'] ?? '');
    const { code, stdout, stderr } = await run(t, [process.execPath, main, '--version']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${manifest.version}\n`);
  });

  test('lets the samples of the README, and all it promises, pass the compiler', async t => {
    librarySamples().forEach((sample, index) => writeFileSync(join(folder, `sample-${index}.ts`), sample));
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const { code, stdout } = await run(t, [process.execPath, tsc, '-p', folder]);
    assert.equal(code, 0, stdout);
    assert.ok(readdirSync(folder).includes('sample-1.ts'));
  });

  for (const paper of RUN) {
    test(`runs the samples of ${paper}`, async t => {
      const samples = samplesOf(paper);
      assert.ok(samples.length > 0);
      const programs = join(folder, 'programs');
      rmSync(programs, { recursive: true, force: true });
      mkdirSync(programs);
      samples.forEach((sample, index) =>
        writeFileSync(join(programs, `${index}.mts`), sample.replaceAll(':8443', ':0')),
      );
      const flags = ['--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--ignoreConfig'];
      const files = readdirSync(programs).map(name => join(programs, name));
      const compiled = await run(t, [process.execPath, tsc, ...flags, ...files], '', { cwd: folder });
      assert.equal(compiled.code, 0, compiled.stdout);
      for (const [index, sample] of samples.entries()) {
        const { code, stderr } = await run(t, [process.execPath, join(programs, `${index}.mjs`)]);
        assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, sample);
      }
    });
  }
});
