/** The command as an operator meets it: help, mistakes, runs, signals. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildClientHello } from '../support/hello-builder.ts';
import { readHello } from '../support/hello-facts.ts';
import {
  connectRaw,
  eventually,
  eventuallyRefused,
  readBytes,
  readToEnd,
  startBackend,
  startEchoBackend,
} from '../support/peers.ts';
import { run } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { startSniway } from '../support/sniway-process.ts';

const NAME = 'www.example.com';
const HELLO = buildClientHello({ serverName: NAME, alpnProtocols: ['h2'] });

function sniway(t: TestContext, ...args: string[]): Promise<Finished> {
  return run(t, [process.execPath, commandFile, ...args]);
}

function configFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'sniway.yaml');
  writeFileSync(path, text);
  return path;
}

describe('sniway, asked for help', () => {
  test('--help and help show examples first', async t => {
    const { code, stdout } = await sniway(t, '--help');
    assert.equal(code, 0);
    assert.deepEqual(await sniway(t, 'help'), { code, stdout, stderr: '', signal: null });
    assert.match(stdout, /^Examples:\n {2}sniway -l 443/);
    for (const flag of [
      '--listen',
      '--route',
      '--suffix',
      '--config',
      '--allow-net',
      '--deny-net',
      '--engine',
    ]) {
      assert.ok(stdout.includes(flag), `${flag} is not in the help`);
    }
  });

  test('--version prints the version of the package', async t => {
    const { code, stdout } = await sniway(t, '--version');
    assert.equal(code, 0);
    assert.match(stdout, /^[0-9]+\.[0-9]+\.[0-9]+\n$/);
  });

  test('schema prints a JSON Schema with every key', async t => {
    const { code, stdout } = await sniway(t, 'schema');
    assert.equal(code, 0);
    const schema = JSON.parse(stdout) as { properties: Record<string, unknown> };
    const keys = [
      'admin',
      'ech',
      'engine',
      'fingerprints',
      'guard',
      'include',
      'limits',
      'listen',
      'policies',
      'resolver',
      'routes',
      'spin',
      'suffixes',
      'tcp',
      'timeouts',
      'workers',
    ];
    assert.deepEqual(Object.keys(schema.properties).toSorted(), keys);
  });
});

describe('sniway, given something wrong', () => {
  test('is never an open proxy: without routes it shows how to start', async t => {
    const { code, stderr, stdout } = await sniway(t, '-l', '127.0.0.1:0');
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.ok((stderr.match(/^ +sniway .*$/gm) ?? []).length >= 3, stderr);
  });

  test('names the flag that is wrong', async t => {
    const { code, stderr } = await sniway(t, '-l', '443', '-r', 'www.example.com=10.0.0.5');
    assert.equal(code, 2);
    assert.match(stderr, /--route 'www\.example\.com=10\.0\.0\.5' {2}error {2}.*has no port/);
  });

  test('says so when a route flag has no backend', async t => {
    const { code, stderr } = await sniway(t, '-l', '443', '-r', 'www.example.com');
    assert.equal(code, 2);
    assert.match(stderr, /--route 'www\.example\.com' {2}error/);
  });

  test('suggests the flag that was meant', async t => {
    const { code, stderr } = await sniway(t, '--rout', 'a=b:1');
    assert.equal(code, 2);
    assert.match(stderr, /--route/);
  });

  test('names an unknown command and the known ones', async t => {
    const { code, stderr } = await sniway(t, 'chekc');
    assert.equal(code, 2);
    assert.match(
      stderr,
      /'chekc' \(did you mean "check"\?\); there are run, check, explain, doctor, reload, upgrade, systemd, ech, init, schema/,
    );
  });

  test('reads one file only, rather than the last of several', async t => {
    const { code, stderr } = await sniway(t, '-c', 'one.yaml', '-c', 'two.yaml');
    assert.equal(code, 2);
    assert.match(stderr, /--config.*two\.yaml.*only one file/i);
  });

  test('shows all errors of a file at once, each with its place', async t => {
    const path = configFile(
      t,
      [
        'listen: 127.0.0.1:0',
        'routes:',
        '  - match: "*.example.com"',
        '    backnd: 10.0.0.5:443',
        '  - match: foo bar',
        '    backend: 10.0.0.5',
        'timeouts: { hello: 5 }',
        '',
      ].join('\n'),
    );
    const { code, stderr } = await sniway(t, 'check', '-c', path);
    assert.equal(code, 2);
    assert.ok(stderr.includes(`${path}:4:5  error`), stderr);
    assert.match(stderr, /did you mean "?'?backend/);
    assert.ok(stderr.includes(`${path}:5:12  error`), stderr);
    assert.ok(stderr.includes(`${path}:6:14  error`), stderr);
    assert.ok(stderr.includes(`${path}:7:20  error`), stderr);
    assert.match(stderr, /^ +4 \| {5}backnd: 10\.0\.0\.5:443$/m);
  });

  test('says which file is missing', async t => {
    const { code, stderr } = await sniway(t, '-c', '/no/such/sniway.yaml');
    assert.equal(code, 2);
    assert.match(stderr, /\/no\/such\/sniway\.yaml.*no such file/);
  });

  test('says what to do when its port is taken', async t => {
    const taken = await startBackend(t);
    const { code, stderr } = await sniway(t, '-l', taken.address, '-s', 'example.com');
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen on ${taken.address}: EADDRINUSE \\(another process`));
  });

  test('says so when a backend is its own listener', async t => {
    const { code, stderr } = await sniway(t, '-l', '127.0.0.1:8443', '-r', 'a.example.com=127.0.0.1:8443');
    assert.equal(code, 2);
    assert.match(stderr, /own listener/);
  });
});

describe('sniway explain', () => {
  const routes = [
    '-r',
    '*.example.com=127.0.0.1:8001',
    '-r',
    'www.example.com=127.0.0.1:8002',
    '-s',
    'lan.example.org',
  ];

  test('says which route takes a name and what would be dialled', async t => {
    const { code, stdout } = await sniway(t, 'explain', 'WWW.example.com.', ...routes);
    assert.equal(code, 0);
    assert.match(stdout, /www\.example\.com/);
    assert.match(stdout, /127\.0\.0\.1:8002/);
    assert.doesNotMatch(stdout, /127\.0\.0\.1:8001/);
  });

  test('says what a client with an unknown name sees', async t => {
    const { code, stdout } = await sniway(t, 'explain', 'www.example.net', ...routes);
    assert.equal(code, 0);
    assert.match(stdout, /unknown-name/);
    assert.match(stdout, /unrecognized_name/);
  });

  test('says what the guard refuses', async t => {
    const { stdout } = await sniway(t, 'explain', 'localhost', '-r', 'localhost={sni}:443');
    assert.match(stdout, /refused.*loopback/);
  });

  test('refuses what is no name', async t => {
    const { code, stderr } = await sniway(t, 'explain', 'no name', ...routes);
    assert.equal(code, 2);
    assert.match(stderr, /no name/);
  });
});

describe('sniway, running', () => {
  test('tells fingerprints with --fingerprints', async t => {
    const args = ['-s', 'example.org', '--fingerprints', '--log-format', 'json'];
    const proxy = await startSniway(t, args);
    const client = await connectRaw(t, proxy.port);
    client.end(HELLO);
    await readToEnd(client);
    const [line = ''] = await proxy.accessLines(1);
    const { ja3, ja4 } = readHello(HELLO);
    const record = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([record['ja3'], record['ja4']], [ja3, ja4]);
  });

  test('prints one access line for each connection', async t => {
    const echo = await startEchoBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`]);
    const client = await connectRaw(t, proxy.port);
    const { localPort } = client;
    client.end(HELLO);
    assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
    const stranger = await connectRaw(t, proxy.port);
    stranger.end(buildClientHello({ serverName: 'other.example.com' }));
    await readToEnd(stranger);
    const lines = await proxy.accessLines(2);
    assert.match(
      lines[0] ?? '',
      new RegExp(
        `^\\S+Z 127\\.0\\.0\\.1:${localPort} ${NAME} route=${NAME} backend=${echo.address} alpn=h2 tls=1\\.3 hello=[0-9.]+ms ` +
          `resolve=[0-9.]+ms dial=[0-9.]+ms total=[0-9.]+ms in=${HELLO.length} out=${HELLO.length} end=done$`,
      ),
    );
    assert.match(lines[1] ?? '', / other\.example\.com route=- backend=- .* end=unknown-name$/);
    proxy.kill('SIGTERM');
    const { code, stdout, stderr } = await proxy.finished;
    assert.equal(code, 0, stderr);
    assert.equal(stdout.split('\n').length, 3, 'two lines, each with its end');
  });

  test('prints JSON that no client can forge', async t => {
    const proxy = await startSniway(t, ['-s', 'example.com', '--log-format', 'json']);
    const hostile = ['h2"\n{"forged":true}', '\u001b[2J'].map(text => Buffer.from(text).toString('latin1'));
    for (const serverName of ['other.example.net', 'bad\nname', '10.0.0.1']) {
      const client = await connectRaw(t, proxy.port);
      client.end(buildClientHello({ serverName, alpnProtocols: hostile }));
      await readToEnd(client);
    }
    const lines = await proxy.accessLines(3);
    assert.equal(lines.length, 3);
    const records = lines.map(line => JSON.parse(line) as { endReason: string; rawName: string | null });
    // Workers tell of their connections each by itself: the order of the lines may be another.
    assert.deepEqual(records.map(({ endReason, rawName }) => `${endReason} ${rawName}`).toSorted(), [
      'hello-malformed bad\\x0aname',
      'no-sni 10.0.0.1',
      'unknown-name null',
    ]);
    assert.doesNotMatch(proxy.stdout(), /\u001b/);
  });

  test('drains on SIGTERM and ends with 0', async t => {
    const backend = await startBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${backend.address}`]);
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const accepted = await backend.next();
    await readBytes(accepted, HELLO.length);
    proxy.kill('SIGTERM');
    await eventually('it says that it drains', () => proxy.stderr().includes('draining 1 connection'));
    await eventuallyRefused(proxy.port);
    accepted.end('bye');
    assert.equal((await readBytes(client, 3)).toString(), 'bye');
    client.end();
    client.resume();
    assert.equal((await proxy.finished).code, 0);
    // Those that asked whether it still listens may stand there, too.
    const line = proxy.lines().find(text => text.includes(`route=${NAME}`));
    assert.match(line ?? '', /end=done$/);
  });

  test('ends with 3 when the drain time is over', async t => {
    const backend = await startBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${backend.address}`, '--drain', '100ms']);
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    await backend.next();
    proxy.kill('SIGINT');
    const { code, stderr } = await proxy.finished;
    assert.equal(code, 3, stderr);
    assert.match(proxy.lines()[0] ?? '', /end=drained/);
  });

  test('a second signal ends it at once', async t => {
    const backend = await startBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${backend.address}`]);
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    await backend.next();
    proxy.kill('SIGTERM');
    await eventually('it drains', () => proxy.stderr().includes('draining'));
    proxy.kill('SIGTERM');
    await proxy.finished;
    assert.match(proxy.lines()[0] ?? '', /end=killed/);
  });

  test('lives through SIGHUP, and SIGUSR1 opens no inspector', async t => {
    const echo = await startEchoBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`]);
    proxy.kill('SIGUSR1');
    proxy.kill('SIGHUP');
    await eventually('it says what SIGHUP cannot do', () => proxy.stderr().includes('SIGHUP'));
    const client = await connectRaw(t, proxy.port);
    client.end(HELLO);
    assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
    assert.doesNotMatch(proxy.stderr(), /[Dd]ebugger|inspector/);
    await assert.rejects(once(connect(9229, '127.0.0.1'), 'connect'));
  });

  test('goes on when nobody reads its access log', async t => {
    const echo = await startEchoBackend(t);
    const proxy = spawn(
      process.execPath,
      [commandFile, '-l', '127.0.0.1:0', '-r', `${NAME}=${echo.address}`],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    t.after(() => proxy.kill('SIGKILL'));
    let stderr = '';
    proxy.stderr.on('data', chunk => (stderr += String(chunk)));
    await eventually('it listens', () => stderr.includes('listening'));
    proxy.stdout.destroy();
    const port = Number(/listening on \S+:([0-9]+)/.exec(stderr)?.[1]);
    for (let round = 0; round < 3; round++) {
      const client = await connectRaw(t, port);
      client.end(HELLO);
      assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
    }
    await eventually('it says so', () => stderr.includes('access log'));
    assert.equal(proxy.exitCode, null);
  });

  test('takes an inherited listening socket as fd:3', async t => {
    const echo = await startEchoBackend(t);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const proxy = spawn(process.execPath, [commandFile, '-l', 'fd:3', '-r', `${NAME}=${echo.address}`], {
      stdio: ['ignore', 'ignore', 'pipe', fd],
    });
    t.after(() => proxy.kill('SIGKILL'));
    let stderr = '';
    proxy.stderr?.on('data', chunk => (stderr += String(chunk)));
    await eventually('it listens', () => stderr.includes(`listening on 127.0.0.1:${port}`));
    server.close();
    const client = await connectRaw(t, port);
    client.end(HELLO);
    assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
  });

  test('reads routes, policies and listeners from a file', async t => {
    const echo = await startEchoBackend(t);
    const path = configFile(
      t,
      `listen: [127.0.0.1:0]\nroutes:\n  - match: ["*.example.com"]\n    backend: ${echo.address}\npolicies: { unknownName: access_denied }\n`,
    );
    const proxy = await startSniway(t, ['-c', path]);
    const client = await connectRaw(t, proxy.port);
    client.end(HELLO);
    assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
    const stranger = await connectRaw(t, proxy.port);
    stranger.write(buildClientHello({ serverName: 'example.net' }));
    assert.deepEqual([...(await readToEnd(stranger)).bytes], [21, 3, 3, 0, 2, 2, 49]);
  });
});
