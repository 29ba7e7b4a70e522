/** Every fenced block of the papers is executed or compared with what really comes out; none is left to itself. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { CASES } from '../../bench/cases.ts';
import { judgeVisits } from '../../src/cli/doctor/judge-visits.ts';
import { planVisits } from '../../src/cli/doctor/plan-visits.ts';
import { renderDoctor } from '../../src/cli/doctor/render-doctor.ts';
import { checkConfig } from '../../src/config/check-config.ts';
import { writeTemporary } from '../support/names.ts';
import { eventually } from '../support/peers.ts';
import { needs, run, start } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';

interface Block {
  readonly paper: string;
  readonly language: string;
  readonly text: string;
}

const papersIn = (folder: string): string[] =>
  readdirSync(join(projectRoot, folder)).flatMap(name => (name.endsWith('.md') ? [join(folder, name)] : []));
const PAPERS = [...papersIn('.'), ...papersIn('docs')];
const read = (file: string): string => readFileSync(join(projectRoot, file), 'utf8');
const BLOCKS: readonly Block[] = PAPERS.flatMap(paper =>
  [...read(paper).matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    paper,
    language,
    text,
  })),
);
const blocksOf = (language: string, paper?: string): Block[] =>
  BLOCKS.filter(block => block.language === language && (paper === undefined || block.paper === paper));

/** A drawing says nothing that could be run. */
const isDrawing = (text: string): boolean => text.includes(' -> ');

test('every block of the papers has somebody who looks after it', () => {
  const fences = PAPERS.reduce((sum, paper) => sum + (read(paper).match(/^\s*```/gm)?.length ?? 0), 0);
  assert.equal(fences, 2 * BLOCKS.length, 'a fence that is not closed, indented, or of no language');
  for (const { paper, language, text } of BLOCKS) {
    const isHeld =
      // documents.test.ts checks those; home-router, upgrade and ech.test.ts run the shell lines of theirs.
      language === 'yaml' ||
      (language === 'conf' && paper === 'docs/home-router.md') ||
      ['sh', 'ts'].includes(language) ||
      (language === 'text' &&
        (isDrawing(text) ||
          ['README.md', 'docs/command.md', 'docs/ech.md', 'docs/metrics.md', 'docs/upgrade.md'].includes(
            paper,
          )));
    assert.ok(isHeld, `${paper}: nobody looks after this ${language} block:\n${text}`);
  }
});

describe('the shell lines of the papers', () => {
  const lines = blocksOf('sh').flatMap(({ paper, text }) =>
    text
      .trimEnd()
      .split('\n')
      .map(line => ({ paper, line })),
  );
  /** home-router, upgrade, reload and ech.test.ts run all of their pages; documents.test.ts lets `sniway check` look at command lines. */
  const isRunElsewhere = (paper: string, line: string): boolean =>
    ['docs/home-router.md', 'docs/upgrade.md', 'docs/reload.md', 'docs/ech.md'].includes(paper) ||
    line.startsWith('sniway -');

  test('are the command, or scripts that there are', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const others = lines.filter(({ paper, line }) => !isRunElsewhere(paper, line));
    assert.ok(others.length > 0);
    for (const { paper, line } of others) {
      const script = /^npm (?:run )?([a-z:]+)(?: |$)/.exec(line)?.[1];
      assert.ok(script !== undefined && scripts[script] !== undefined, `${paper}: ${line}`);
    }
  });

  test('name cases and contenders of the benchmark that there are', () => {
    const rivals = join(projectRoot, 'bench', 'rivals');
    const contenders = readdirSync(rivals).map(name => readFileSync(join(rivals, name), 'utf8'));
    const wordsOf = (flag: string): string[] =>
      PAPERS.flatMap(paper =>
        [
          ...read(paper).matchAll(new RegExp(`npm run bench -- [^\`\\n]*--${flag} ([a-z0-9,-]+)`, 'g')),
        ].flatMap(([, words = '']) => words.split(',')),
      );
    assert.ok(wordsOf('only').length > 0 && wordsOf('contenders').length > 0);
    for (const name of wordsOf('only'))
      assert.ok(
        CASES.some(entry => entry.name === name),
        name,
      );
    for (const name of wordsOf('contenders'))
      assert.ok(
        contenders.some(source => source.includes(`'${name}'`)),
        name,
      );
  });
});

/** Numbers, folders and ends that differ from run to run, taken out. */
function withoutChance(text: string): string {
  return text
    .replaceAll(/\S+ engine \([^)]*\)/g, 'ENGINE')
    .replaceAll(/\/\S+\/sniway-demo-\w+/g, '/tmp/DEMO')
    .replaceAll(/ end=.*/g, ' end=END')
    .replaceAll(/(?<![a-z/])[0-9][0-9.:TZ-]*/g, '0');
}

test('the first start prints what the README shows', needs('curl'), async t => {
  const demo = start(t, [process.execPath, join(projectRoot, 'dist', 'examples', 'demo', 'demo.js')], {
    env: { ...process.env, PORT: '0' },
  });
  await eventually('it is ready', () => demo.stderr().includes('Ctrl-C stops'), 15_000);
  const [output = '', lines = ''] = blocksOf('text', 'README.md').map(({ text }) => text);
  assert.equal(withoutChance(demo.stderr().trimEnd()), withoutChance(output.trimEnd()));
  const shown = lines.trimEnd().split('\n');
  for (const [index, line] of (demo.stderr().match(/^ {2}curl .*$/gm) ?? [])
    .slice(0, shown.length)
    .entries()) {
    await run(t, ['sh', '-c', line]);
    await eventually('it is logged', () => demo.stdout().split('\n').length > index + 1);
  }
  assert.equal(withoutChance(demo.stdout().trimEnd()), withoutChance(lines.trimEnd()));
});

test(
  'the scrape configuration of the page on metrics is what Prometheus takes',
  needs('promtool'),
  async t => {
    const [block] = blocksOf('text', 'docs/metrics.md');
    const file = writeTemporary(t, 'prometheus.yaml', block?.text ?? '');
    cpSync(join(projectRoot, 'grafana', 'alerts.yaml'), join(file, '..', 'alerts.yaml'));
    const { code, stdout, stderr } = await run(t, ['promtool', 'check', 'config', file]);
    assert.equal(code, 0, stdout + stderr);
  },
);

/** Compiles the samples beside an installed `sniway`, with ports of the kernel's choice. */
async function compileSamples(t: TestContext, samples: readonly Block[]): Promise<string> {
  const config = { module: 'nodenext', target: 'es2023', strict: true, types: ['node'] };
  const file = writeTemporary(
    t,
    'tsconfig.json',
    JSON.stringify({ compilerOptions: config, include: ['*.ts'] }),
  );
  const folder = join(file, '..');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(projectRoot, join(folder, 'node_modules', 'sniway'));
  for (const name of ['@types', 'undici-types'])
    symlinkSync(join(projectRoot, 'node_modules', name), join(folder, 'node_modules', name));
  // What a sample includes is there, and empty.
  mkdirSync(join(folder, 'routes.d'));
  for (const [index, { text }] of samples.entries()) {
    const anyPort = text.replaceAll(/:8443\b/g, ':0').replaceAll(/\.listen\(\d+/g, '.listen(0');
    writeFileSync(join(folder, `sample-${index}.ts`), anyPort);
  }
  const tsc = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');
  const { code, stdout } = await run(t, [process.execPath, tsc, '-p', folder]);
  assert.equal(code, 0, stdout);
  return folder;
}

test('the TypeScript of the papers runs', async t => {
  const samples = blocksOf('ts');
  assert.ok(samples.length >= 3);
  const folder = await compileSamples(t, samples);
  for (const [index, { paper, text }] of samples.entries()) {
    const name = `sample-${index}.js`;
    const isConfig = /^export default/m.test(text);
    const command = isConfig
      ? ([process.execPath, commandFile, 'check', '-c', name] as const)
      : ([
          process.execPath,
          '--input-type=module',
          '-e',
          `await import('./${name}'); process.exit(0);`,
        ] as const);
    const { code, stdout, stderr } = await run(t, [...command], '', { cwd: folder });
    assert.equal(code, 0, `${paper}, block ${index}: ${stdout}${stderr}`);
  }
});

test('the report of sniway doctor in the papers is what comes out', () => {
  const nowMs = Date.parse('2026-06-01T00:00:00Z');
  const backends = ['10.0.0.5:443', '10.0.0.6:443'];
  const routes = [{ match: 'www.example.com', backends }];
  const plan = planVisits(checkConfig({ listen: 443, routes }), { names: [], ech: false });
  const well = { problem: null, expiresAtMs: nowMs + 83.5 * 86_400_000, connectMs: 3, protocol: 'TLSv1.3' };
  const refused = { problem: 'ECONNREFUSED', expiresAtMs: null, connectMs: null, protocol: null };
  const visited = plan.visits.map((visit, index) => {
    const endpoint = { kind: 'tcp', address: `10.0.0.${5 + index}`, port: 443, family: 4 } as const;
    const report = { ...(index === 0 ? well : refused), ech: null };
    return { kind: 'looked', visit, looks: [{ endpoint, report }] } as const;
  });
  const report = { ...plan, diagnoses: judgeVisits(visited, nowMs), leftOut: 0 };
  const [shown] = blocksOf('text', 'docs/command.md');
  assert.equal(shown?.text, renderDoctor(report, nowMs));
});
