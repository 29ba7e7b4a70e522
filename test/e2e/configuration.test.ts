/** Configuration files as an operator writes them, read by the command itself. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeFolder } from '../support/folders.ts';
import { startBackend } from '../support/peers.ts';
import { run } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';

const isLinux = process.platform === 'linux';

interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function sniway(t: TestContext, args: readonly string[], { env, cwd }: Options = {}): Promise<Finished> {
  return run(t, [process.execPath, commandFile, ...args], '', {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
}

describe('a configuration file with environment variables', () => {
  const text = [
    'listen: ${LISTEN:-127.0.0.1:8443}',
    'workers: ${WORKERS:-2}',
    'routes:',
    '  - match: www.example.com',
    '    backend: ${BACKEND}',
    '  - match: ${NAME}',
    '    backend: 10.0.0.9:443',
    '',
  ].join('\n');

  test('takes what they hold', async t => {
    const path = join(makeFolder(t, { 'sniway.yaml': text }), 'sniway.yaml');
    const env = { BACKEND: '10.0.0.5:443', NAME: 'api.example.com', WORKERS: '3' };
    const { code, stdout, stderr } = await sniway(t, ['explain', 'www.example.com', '-c', path], { env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /dials +10\.0\.0\.5:443/);
  });

  test('says all that are not set, with file, line and column, beside other errors', async t => {
    const path = join(makeFolder(t, { 'sniway.yaml': text }), 'sniway.yaml');
    const { code, stderr } = await sniway(t, ['check', '-c', path], { env: { WORKERS: 'many' } });
    assert.equal(code, 2);
    const heads = stderr.split('\n').filter(line => line.startsWith(path));
    assert.deepEqual(
      heads.map(line => line.slice(path.length)),
      [
        ':2:10  error  expected a number, found the text "many"',
        ':5:14  error  the environment variable BACKEND is not set: set it, or give a default: ${BACKEND:-value}',
        ':6:12  error  the environment variable NAME is not set: set it, or give a default: ${NAME:-value}',
      ],
    );
  });

  test('never makes structure of what they hold', async t => {
    const path = join(makeFolder(t, { 'sniway.yaml': text }), 'sniway.yaml');
    const env = { BACKEND: '10.0.0.5:443\nengine: portable', NAME: '[a.example.com, "*.example.com"]' };
    const { code, stderr } = await sniway(t, ['check', '-c', path], { env });
    assert.equal(code, 2);
    assert.match(stderr, /sniway\.yaml:5:14 {2}error {2}.*10\.0\.0\.5:443\\x0aengine: portable/);
    assert.match(stderr, /sniway\.yaml:6:12 {2}error {2}/);
  });
});

describe('a configuration file that includes a folder', () => {
  const main = 'listen: 127.0.0.1:8443\ninclude: routes.d\n';

  test('routes as its files say, from whatever folder the command runs in', async t => {
    const folder = makeFolder(t, {
      'sniway.yaml': main,
      'routes.d/www.yaml': '- { match: www.example.com, backend: "10.0.0.5:443" }\n',
      'routes.d/lan.yaml': 'suffixes: [.lan.example.com]\n',
    });
    const path = join(folder, 'sniway.yaml');
    const { stdout } = await sniway(t, ['explain', 'www.example.com', '-c', path]);
    assert.match(stdout, /dials +10\.0\.0\.5:443/);
    const here = await sniway(t, ['check', '-c', 'sniway.yaml'], { cwd: folder });
    assert.equal(here.stdout, 'ok: 1 listener, 2 routes\n');
  });

  test('shows an error in the included file, and a missing folder in the main one', async t => {
    const folder = makeFolder(t, {
      'sniway.yaml': main,
      'routes.d/www.yaml': '- match: www.example.com\n  backend: 10.0.0.5\n',
    });
    const broken = await sniway(t, ['check', '-c', 'sniway.yaml'], { cwd: folder });
    assert.equal(broken.code, 2);
    assert.match(broken.stderr, /^routes\.d\/www\.yaml:2:12 {2}error .*has no port/);
    const empty = makeFolder(t, { 'sniway.yaml': `${main}suffixes: [.lan.example.com]\n` });
    const missing = await sniway(t, ['check', '-c', 'sniway.yaml'], { cwd: empty });
    assert.equal(missing.code, 2);
    assert.match(
      missing.stderr,
      /^sniway\.yaml:2:10 {2}error {2}cannot include "routes\.d": there is no such/,
    );
  });
});

describe('a configuration that is a program', () => {
  const text = [
    "import { defineConfig } from 'sniway';",
    "const names = ['a', 'b'];",
    'export default defineConfig({',
    '  listen: `127.0.0.1:${process.env.PORT ?? 8443}`,',
    '  routes: names.map(name => ({ match: `${name}.example.com`, backend: `10.0.0.5:443` })),',
    '});',
    '',
  ].join('\n');

  test('is run, with defineConfig from the package installed beside it', async t => {
    const folder = makeFolder(t, { 'sniway.config.mjs': text, 'node_modules/readme': '' });
    symlinkSync(projectRoot, join(folder, 'node_modules', 'sniway'));
    const checked = await sniway(t, ['check', '-c', 'sniway.config.mjs'], { cwd: folder });
    assert.equal(checked.stdout, 'ok: 1 listener, 2 routes\n', checked.stderr);
    const wrong = await sniway(t, ['check', '-c', 'sniway.config.mjs'], { cwd: folder, env: { PORT: 'x' } });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^sniway\.config\.mjs {2}listen {2}error {2}/);
  });

  test('that cannot be run is told with the reason', async t => {
    const folder = makeFolder(t, { 'sniway.config.mjs': text });
    const { code, stderr } = await sniway(t, ['-c', join(folder, 'sniway.config.mjs')]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /cannot load ".*sniway\.config\.mjs": the package sniway is not installed beside it/,
    );
  });
});

describe('sniway init', () => {
  test('writes a sample that sniway check finds fit, and never overwrites', async t => {
    const cwd = makeFolder(t, {});
    const written = await sniway(t, ['init'], { cwd });
    assert.equal(written.code, 0, written.stderr);
    assert.match(written.stdout, /^wrote "sniway\.yaml"; .*: sniway check -c sniway\.yaml\n$/);
    const checked = await sniway(t, ['check', '-c', 'sniway.yaml'], { cwd });
    assert.equal(checked.stdout, 'ok: 1 listener, 1 route\n', checked.stderr);
    const text = readFileSync(join(cwd, 'sniway.yaml'), 'utf8');
    const again = await sniway(t, ['init'], { cwd });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /"sniway\.yaml" is there already, and is left as it is/);
    assert.equal(readFileSync(join(cwd, 'sniway.yaml'), 'utf8'), text);
  });

  test('writes a program where asked for one, by format or by name', async t => {
    const cwd = makeFolder(t, { 'node_modules/readme': '' });
    symlinkSync(projectRoot, join(cwd, 'node_modules', 'sniway'));
    assert.match(
      (await sniway(t, ['init', '--format', 'ts'], { cwd })).stdout,
      /^wrote "sniway\.config\.mts"/,
    );
    assert.equal((await sniway(t, ['init', 'own.mjs'], { cwd })).code, 0);
    const checked = await sniway(t, ['check', '-c', 'own.mjs'], { cwd });
    assert.equal(checked.stdout, 'ok: 1 listener, 1 route\n', checked.stderr);
    const unknown = await sniway(t, ['init', '--format', 'toml'], { cwd });
    assert.equal(unknown.code, 2);
    const nowhere = await sniway(t, ['init', 'no/such/folder.yaml'], { cwd });
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /cannot write "no\/such\/folder\.yaml": there is no such folder/);
  });
});

describe('sniway check, on this machine', () => {
  test('says which folders and files are missing, each at its place', async t => {
    const cwd = makeFolder(t, { 'sockets/file': '' });
    const lines = [
      'listen:',
      `  - unix:${cwd}/nowhere/sniway.sock`,
      `  - unix:${cwd}/sockets/file`,
      `  - unix:${cwd}/sockets/sniway.sock`,
      'include: routes.yaml',
      `resolver: { hosts: ${cwd}/hosts }`,
      '',
    ];
    const route = `- match: a.example.com\n  backends: ["unix:${cwd}/sockets/a", "unix:${cwd}/absent/a"]\n`;
    writeFileSync(join(cwd, 'sniway.yaml'), lines.join('\n'));
    writeFileSync(join(cwd, 'routes.yaml'), route);
    const { code, stderr } = await sniway(t, ['check', '-c', 'sniway.yaml'], { cwd });
    assert.equal(code, 1, stderr);
    const heads = stderr.split('\n').filter(line => / {2}(error|warning) {2}/.test(line));
    assert.equal(heads.length, 4, stderr);
    assert.match(
      heads[0] ?? '',
      /^sniway\.yaml:2:5 {2}error .*ENOENT \(the folder of the socket does not exist/,
    );
    assert.match(heads[1] ?? '', /^sniway\.yaml:3:5 {2}error .*a file that is no socket has this path/);
    assert.match(heads[2] ?? '', /^sniway\.yaml:6:20 {2}warning {2}there is no file ".*\/hosts"/);
    assert.match(heads[3] ?? '', /^routes\.yaml:2:\d+ {2}warning {2}there is no folder ".*\/absent"/);
  });

  test('tries ports only when asked to, and names the flag they come from', async t => {
    const taken = await startBackend(t);
    const args = ['check', '-l', taken.address, '-s', 'example.com'];
    assert.equal((await sniway(t, args)).code, 0);
    const { code, stderr } = await sniway(t, [...args, '--bind']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^--listen '127\.0\.0\.1:\d+' {2}error {2}cannot listen on .*EADDRINUSE \(another process/,
    );
    const free = await sniway(t, ['check', '-l', '127.0.0.1:0', '-s', 'example.com', '--bind']);
    assert.equal(free.code, 0, free.stderr);
  });

  test('looks at the admin server as at a listener', async t => {
    const taken = await startBackend(t);
    const cwd = makeFolder(t, {
      'sniway.yaml': `listen: 127.0.0.1:0\nsuffixes: [.example.com]\nadmin: { listen: ${taken.address} }\n`,
    });
    const { code, stderr } = await sniway(t, ['check', '--bind', '-c', 'sniway.yaml'], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /^sniway\.yaml:3:18 {2}error {2}cannot listen on .*EADDRINUSE/);
  });

  test('lets the ports go again', async t => {
    const held = await startBackend(t);
    held.close();
    for (let round = 0; round < 2; round++) {
      const { code, stderr } = await sniway(t, ['check', '-l', held.address, '-s', 'example.com', '--bind']);
      assert.equal(code, 0, stderr);
    }
  });

  test(
    'warns of too few open files for the connections there may be',
    { skip: !isLinux && 'not Linux' },
    async t => {
      const text =
        'listen: 127.0.0.1:8443\nlimits: { connections: 3000 }\nworkers: 1\nsuffixes: [.example.com]\n';
      const cwd = makeFolder(t, { 'sniway.yaml': text });
      const limited = (files: number): Promise<Finished> =>
        run(
          t,
          [
            'sh',
            '-c',
            `ulimit -n ${files} && exec "$@"`,
            'sh',
            process.execPath,
            commandFile,
            'check',
            '-c',
            'sniway.yaml',
          ],
          '',
          { cwd },
        );
      const { code, stdout } = await limited(4000);
      assert.equal(code, 0);
      assert.match(
        stdout,
        /^sniway\.yaml:2:24 {2}warning {2}3000 connections can take (6\d\d\d) open files, and this process may have 4000: allow more \(ulimit -Hn \1, LimitNOFILE=\1\), or lower limits\.connections$/m,
      );
      assert.equal((await limited(8000)).stdout, 'ok: 1 listener, 1 route\n');
    },
  );
});
