/** What the papers say is so: samples are checked, flags exist, tables are complete. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { fromJSONSchema } from 'zod';
import { createAuthority } from '../../examples/demo/certificate.ts';
import { generateKey } from '../../src/cli/ech/keygen.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { ECH_ALERT_OF_CODE } from '../../src/ech/ech-error.ts';
import { inspectConfig } from '../../src/config/check-config.ts';
import { parseSource } from '../../src/config/config-source.ts';
import { configJsonSchema } from '../../src/config/schema.ts';
import { END_REASONS } from '../../src/events.ts';
import type { ConnectionEnded } from '../../src/events.ts';
import * as limits from '../../src/limits.ts';
import { createMetrics } from '../../src/index.ts';
import { ACCESS_LOG_FORMATS, formatAccessLine } from '../../src/observability/access-log.ts';
import { ALERT_OF_CODE } from '../../src/wire/hello-error.ts';
import { PROXY_ERROR_CODES } from '../../src/wire/proxy-header.ts';
import { makeFolder } from '../support/folders.ts';
import { run } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';
import { startProxy } from '../support/proxies.ts';

const docs = join(projectRoot, 'docs');
const PAPERS = [
  'README.md',
  'ARCHITECTURE.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(docs).map(name => `docs/${name}`),
];
const read = (paper: string): string => readFileSync(join(projectRoot, paper), 'utf8');

/** Fenced blocks of a language. */
function blocksOf(paper: string, language: string): string[] {
  return [...read(paper).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    match => match[1] ?? '',
  );
}

/** First cells of the rows of a table that begins with this heading. */
function firstCells(paper: string, heading: string): string[] {
  const lines = read(paper).split('\n');
  const start = lines.findIndex(line => line.startsWith(`| ${heading} `));
  assert.ok(start >= 0, `${paper} has no table that begins with ${heading}`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map(line => (line.split('|')[1] ?? '').trim().replaceAll('`', ''));
}

const RECORD: ConnectionEnded = {
  id: 1,
  client: { address: '127.0.0.1', port: 1 },
  listener: '127.0.0.1:8443',
  peer: null,
  startedAtMs: 0,
  serverName: 'apple.example.com',
  rawName: null,
  alpnProtocols: ['h2'],
  tlsVersions: ['1.3', '1.2'],
  ech: 'none',
  outerName: null,
  echConfigId: null,
  echRetried: false,
  echBackend: null,
  echOpenMs: null,
  ja3: null,
  ja4: null,
  route: 'apple.example.com',
  backend: '127.0.0.1:2',
  attempts: 1,
  helloMs: 1,
  resolveMs: 1,
  dialMs: 1,
  totalMs: 1,
  bytesFromClient: 1,
  bytesFromBackend: 1,
  endReason: 'done',
  detail: null,
};

describe('the configuration samples of the papers', () => {
  const samples = PAPERS.flatMap(paper => blocksOf(paper, 'yaml').map(text => ({ paper, text })));

  test('are there', () => assert.ok(samples.some(({ paper }) => paper === 'README.md')));

  /** The machine that the samples are for: a key, and a certificate for its public name. */
  async function makeMachine(t: TestContext): Promise<string> {
    const publicName = 'public.example.com';
    const { cert, key } = await (await createAuthority()).issue([publicName]);
    const folder = makeFolder(t, { 'public.crt': cert, 'public.key': key, 'ech/keep': '' });
    chmodSync(join(folder, 'public.key'), 0o600);
    generateKey({ publicName, kem: 'x25519', out: join(folder, 'ech') });
    return folder;
  }

  test('are fit, without a warning', async t => {
    const machine = await makeMachine(t);
    for (const { paper, text } of samples) {
      const { value, problems } = parseSource(paper, text.replaceAll('/etc/sniway/', `${machine}/`));
      assert.deepEqual([...problems, ...inspectConfig(value).problems], [], paper);
    }
  });

  test('fit the JSON Schema, as editors see them; misspelt ones do not', () => {
    const schema = fromJSONSchema(configJsonSchema());
    for (const { paper, text } of samples) {
      const { value } = parseSource(paper, text);
      const { success, error } = schema.safeParse(value);
      assert.ok(success, `${paper}: ${error?.message}`);
      assert.equal(schema.safeParse({ ...(value as object), listeners: 443 }).success, false);
    }
  });

  test("of the README names the defaults as its policies' and times' values", () => {
    const { value } = parseSource('README.md', samples[0]?.text ?? '');
    const { policies, timeouts, ...rest } = value as Record<string, unknown>;
    assert.ok(policies !== undefined && timeouts !== undefined);
    assert.deepEqual(inspectConfig(value).config, inspectConfig(rest).config);
  });
});

describe('the command lines of the papers and of --help', () => {
  const flagsIn = (text: string): string[] =>
    [...text.matchAll(/(?<=^|[\s`'([])(--[a-z][a-z-]+|-[a-zA-Z])(?=[\s`',;)\]]|$)/gm)].map(
      match => match[1] ?? '',
    );

  test('name only flags that there are', async t => {
    const ech = ['keygen', 'show', 'dns', 'rotate', 'import', 'export'].map(name => ['ech', name]);
    const commands = [['check'], ['doctor'], ['explain'], ['init'], ['upgrade'], ...ech];
    const helps = await Promise.all(
      commands.map(command => run(t, [process.execPath, commandFile, ...command, '--help'])),
    );
    const stdout = helps.map(help => help.stdout).join('');
    const known = new Set(flagsIn(stdout));
    assert.ok(known.has('--drain') && known.has('-q'), stdout);
    for (const paper of PAPERS) {
      const text = read(paper);
      const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(match => match[1] ?? '');
      const ours = [...spans, ...blocksOf(paper, 'sh').flatMap(block => block.split('\n'))].filter(line =>
        /^(?:npx )?sniway |^-/.test(line),
      );
      for (const flag of ours.flatMap(flagsIn)) assert.ok(known.has(flag), `${paper}: there is no ${flag}`);
    }
  });

  test('are fit', async t => {
    const help = await run(t, [process.execPath, commandFile, '--help']);
    const lines = [...help.stdout.split('\n'), ...PAPERS.flatMap(paper => blocksOf(paper, 'sh'))]
      .flatMap(text => text.split('\n'))
      .map(line => line.trim().split(/ {3,}/)[0] ?? '')
      .filter(line => line.startsWith('sniway -') && !line.includes(' -c '));
    assert.ok(lines.length >= 3, lines.join('\n'));
    for (const line of lines) {
      const script = `node=$0; main=$1; sniway() { "$node" "$main" check "$@"; }; ${line}`;
      const { code, stderr } = await run(t, ['sh', '-c', script, process.execPath, commandFile]);
      assert.equal(code, 0, `${line}: ${stderr}`);
    }
  });
});

describe('the tables of the papers', () => {
  test('have every end reason, in its order', () => {
    assert.deepEqual(firstCells('docs/end-reasons.md', 'end reason'), [...END_REASONS]);
  });

  test('have every detail of a malformed hello', () => {
    assert.deepEqual(firstCells('docs/end-reasons.md', 'detail'), Object.keys(ALERT_OF_CODE));
  });

  test('have every detail of a refused Encrypted ClientHello', () => {
    assert.deepEqual(firstCells('docs/end-reasons.md', 'ECH detail'), Object.keys(ECH_ALERT_OF_CODE));
  });

  test('have every detail of a malformed PROXY header', () => {
    assert.deepEqual(firstCells('docs/end-reasons.md', 'header detail'), [...PROXY_ERROR_CODES]);
  });

  test('have every metric, in its order', async t => {
    const { proxy } = await startProxy(t, { engine: 'portable', suffixes: 'example.com' });
    const text = await createMetrics(proxy).render();
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1]);
    assert.deepEqual(firstCells('docs/metrics.md', 'metric'), names);
  });

  test('have every form of access lines', () => {
    assert.deepEqual(firstCells('docs/command.md', 'format'), [...ACCESS_LOG_FORMATS]);
  });

  test('have every exit code', () => {
    assert.deepEqual(firstCells('docs/command.md', 'code').map(Number), Object.values(EXIT));
  });

  test('have every dependency that is always needed', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const used = Object.keys(dependencies);
    assert.deepEqual(
      firstCells('ARCHITECTURE.md', 'package')
        .filter(name => used.includes(name))
        .toSorted(),
      used.toSorted(),
    );
  });
});

test('the changelog begins with the version that this is', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  assert.equal(/^## \[([^\]]+)\]/m.exec(read('CHANGELOG.md'))?.[1], version);
});

test('the papers link to what there is', () => {
  for (const paper of PAPERS) {
    for (const [, target = ''] of read(paper).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? paper : normalize(join(dirname(paper), file));
      assert.ok(existsSync(join(projectRoot, linked)), `${paper}: ${target}`);
      if (anchor === undefined) continue;
      const anchors = [...read(linked).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replaceAll(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      );
      assert.ok(anchors.includes(anchor), `${paper}: ${target}`);
    }
  }
});

test('the page on the configuration is what the schema says', async t => {
  const script = join(projectRoot, 'dist', 'scripts', 'configuration-reference.js');
  const { code, stderr } = await run(t, [process.execPath, script, '--check']);
  assert.equal(code, 0, stderr);
});

test('the page on the access log has every field, by both its names', () => {
  const full = {
    ...RECORD,
    peer: RECORD.client,
    ech: 'accepted',
    outerName: 'public.example',
    echConfigId: 7,
    echRetried: true,
    echBackend: 'confirmed',
    ja3: 'a',
    ja4: 'b',
    attempts: 2,
    detail: 'c',
  } as const;
  const inJson = Object.keys(JSON.parse(formatAccessLine(full, 'json')) as object);
  assert.deepEqual(firstCells('docs/access-log.md', 'JSON'), inJson);
  const inText = [...formatAccessLine(full, 'text').matchAll(/ ([a-z0-9-]+)=/g)].map(([, name]) => name);
  const named = [...read('docs/access-log.md').matchAll(/^\| `\w+` +\| `([\w-]+)`/gm)].map(
    ([, name]) => name,
  );
  assert.deepEqual(new Set(named), new Set(inText));
});

test('the access line of the README has the fields that access lines have', () => {
  const shape = (line: string): string => line.trim().replaceAll(/[^ =]+(?= |$)/g, '_');
  const [sample = ''] = (blocksOf('README.md', 'text').at(-1) ?? '').split('\n');
  assert.equal(shape(sample), shape(formatAccessLine(RECORD, 'text')));
});

test('the bounds that the papers tell are those that hold', () => {
  const reasons = read('docs/end-reasons.md');
  assert.ok(reasons.includes(`more than ${limits.HELLO_BYTES_MAX / 1024} KiB`));
  const metrics = read('docs/metrics.md').replaceAll('\n', ' ');
  assert.ok(metrics.includes(`own: ${limits.ADMIN_CONNECTIONS_MAX} connections, five seconds`));
  assert.deepEqual([limits.ADMIN_REQUEST_TIMEOUT_MS, limits.ADMIN_RESPONSE_TIMEOUT_MS], [5_000, 30_000]);
  assert.ok(metrics.includes(`beyond ${limits.METRICS_ROUTES_MAX} routes`));
  assert.ok(metrics.includes(`more than ${limits.METRICS_BACKENDS_MAX.toLocaleString('en')} backends`));
  assert.ok(reasons.includes(`more than ${limits.HELLO_RECORDS_MAX.toLocaleString('en')} records`));
  const command = read('docs/command.md').replaceAll('\n', ' ');
  assert.ok(command.includes(`up to ${limits.LOG_BUFFER_BYTES_MAX / 1024 / 1024} MiB wait`));
  const security = read('SECURITY.md').replaceAll('\n', ' ');
  const { PENDING_HELLOS, PENDING_HELLOS_PER_CLIENT, HELLO_TIMEOUT_MS, HELLO_BYTES_MAX } = limits;
  assert.ok(security.includes(`bytes and records of a hello (${HELLO_BYTES_MAX / 1024} KiB)`));
  assert.ok(security.includes(`time for it (${HELLO_TIMEOUT_MS / 1000} s, and a pace)`));
  const pending = `${PENDING_HELLOS.toLocaleString('en')}, and ${PENDING_HELLOS_PER_CLIENT} of each client`;
  assert.ok(security.includes(`hellos that pend (${pending}`));
  const architecture = read('ARCHITECTURE.md').replaceAll('\n', ' ');
  assert.equal(limits.LINGER_TIMEOUT_MS, 1_000);
  assert.ok(architecture.includes(`at most a second and ${limits.LINGER_BYTES_MAX / 1024} KiB`));
});
