/** The admin server of the command. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import type { RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ADMIN_CONNECTIONS_MAX, ADMIN_HEADER_BYTES_MAX } from '../../src/limits.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../support/peers.ts';
import { run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { startSniway } from '../support/sniway-process.ts';
import type { SniwayProcess } from '../support/sniway-process.ts';

const NAME = 'www.example.com';
const HELLO = buildClientHello({ serverName: NAME });

interface Answered {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

async function ask(options: RequestOptions, body = ''): Promise<Answered> {
  return await new Promise((resolve, reject) => {
    const asked = request({ agent: false, ...options }, response => {
      let text = '';
      response.on('data', chunk => (text += String(chunk)));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }),
      );
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

function portOf(sniway: SniwayProcess): number {
  return Number(/metrics and health at http:\/\/127\.0\.0\.1:([0-9]+)$/m.exec(sniway.stderr())?.[1]);
}

async function startAdmin(t: TestContext, backend: string): Promise<{ sniway: SniwayProcess; port: number }> {
  const sniway = await startSniway(t, ['-r', `${NAME}=${backend}`, '--admin', '127.0.0.1:0']);
  await eventually('it says where', () => portOf(sniway) > 0);
  return { sniway, port: portOf(sniway) };
}

describe('sniway --admin', () => {
  test('answers with metrics, health and readiness', async t => {
    const backend = await startBackend(t);
    const { sniway, port } = await startAdmin(t, backend.address);
    const stranger = await connectRaw(t, sniway.port);
    stranger.end(buildClientHello({ serverName: 'other.example.com' }));
    await readToEnd(stranger);
    await sniway.accessLines(1);
    const { status, body, headers } = await ask({ port, path: '/metrics?x=1' });
    assert.equal(status, 200);
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
    assert.match(body, /^sniway_route_connections_total\{route="-",reason="unknown-name"\} 1$/m);
    assert.match(body, /^sniway_build_info\{version="[0-9.]+",engine="[a-z]+"\} 1$/m);
    assert.doesNotMatch(body, /other\.example\.com/);
    assert.deepEqual((await ask({ port, path: '/livez' })).body, 'alive\n');
    assert.deepEqual((await ask({ port, path: '/readyz' })).body, 'ready\n');
    assert.equal((await ask({ port, path: '/readyz', method: 'HEAD' })).body, '');
  });

  test('is not ready while it drains, but alive', async t => {
    const backend = await startBackend(t);
    const { sniway, port } = await startAdmin(t, backend.address);
    const client = await connectRaw(t, sniway.port);
    client.write(HELLO);
    const accepted = await backend.next();
    await readBytes(accepted, HELLO.length);
    sniway.kill('SIGTERM');
    await eventually('it drains', () => sniway.stderr().includes('draining'));
    const { status, body } = await ask({ port, path: '/readyz' });
    assert.deepEqual([status, body], [503, 'draining\n']);
    assert.equal((await ask({ port, path: '/livez' })).status, 200);
    accepted.end();
    client.end();
    client.resume();
    assert.equal((await sniway.finished).code, 0);
    await assert.rejects(ask({ port, path: '/livez' }), /ECONNREFUSED/);
  });

  test('refuses what it does not know, and what is too big', async t => {
    const { port } = await startAdmin(t, '127.0.0.1:9');
    assert.equal((await ask({ port, path: '/' })).status, 404);
    const posted = await ask({ port, path: '/metrics', method: 'POST' }, 'x'.repeat(100));
    assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET, HEAD']);
    const headers = { 'x-big': 'x'.repeat(ADMIN_HEADER_BYTES_MAX) };
    assert.equal((await ask({ port, path: '/metrics', headers })).status, 431);
  });

  test('has a bound on connections, and closes those that stay silent', async t => {
    const { port } = await startAdmin(t, '127.0.0.1:9');
    const silent = Array.from({ length: ADMIN_CONNECTIONS_MAX }, () => connect(port, '127.0.0.1'));
    t.after(() => silent.forEach(socket => socket.destroy()));
    await Promise.all(silent.map(socket => once(socket, 'connect')));
    await assert.rejects(ask({ port, path: '/livez' }));
    const first = silent[0]!;
    first.resume();
    await once(first, 'close');
    assert.equal((await ask({ port, path: '/livez' })).status, 200);
  });

  test('listens on a Unix-domain socket, a stale one included', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const socketPath = join(folder, 'admin.sock');
    const args = ['-s', 'example.com', '--admin', `unix:${socketPath}`];
    const first = await startSniway(t, args);
    assert.equal((await ask({ socketPath, path: '/readyz' })).status, 200);
    first.kill('SIGKILL');
    await first.finished;
    assert.ok(existsSync(socketPath));
    await startSniway(t, args);
    assert.equal((await ask({ socketPath, path: '/readyz' })).status, 200);
  });

  test('is closed to other machines unless allowed', async t => {
    const sniway = [process.execPath, commandFile] as const;
    const args = ['-l', '127.0.0.1:0', '-s', 'example.com', '--admin', '0.0.0.0:9090'];
    const refused = await run(t, [...sniway, 'check', ...args]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^--admin '0\.0\.0\.0:9090' {2}error {2}others .*--admin-remote/m);
    assert.equal((await run(t, [...sniway, 'check', ...args, '--admin-remote'])).code, 0);
  });

  test('says what to do when its port is taken', async t => {
    const taken = await startBackend(t);
    const args = ['-l', '127.0.0.1:0', '-s', 'example.com', '--admin', taken.address];
    const { code, stderr } = await run(t, [process.execPath, commandFile, ...args]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      new RegExp(`admin server: cannot listen on ${taken.address}: EADDRINUSE \\(another`),
    );
  });
});
