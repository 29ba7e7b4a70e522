/** Access lines that go to a file: rotated, full, or a pipe that nobody reads. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readToEnd, startEchoBackend } from '../support/peers.ts';
import { run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { startSniway } from '../support/sniway-process.ts';

const NAME = 'www.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const FULL = '/dev/full';
const onlyLinux = { skip: process.platform === 'linux' ? false : 'needs Linux' };

function temporaryFile(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}

async function relayOnce(t: TestContext, port: number): Promise<void> {
  const client = await connectRaw(t, port);
  client.end(HELLO);
  assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
}

async function relayMany(t: TestContext, port: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += 20) {
    await Promise.all(Array.from({ length: 20 }, () => relayOnce(t, port)));
  }
}

const linesOf = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];

describe('sniway --log-file', () => {
  for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
    test(`opens its file anew on ${signal}, and loses no line`, async t => {
      const echo = await startEchoBackend(t);
      const path = temporaryFile(t, 'access.log');
      const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`, '--log-file', path]);
      await relayMany(t, proxy.port, 20);
      await eventually('lines are written', () => linesOf(path).length === 20);
      renameSync(path, `${path}.1`);
      await relayOnce(t, proxy.port);
      await eventually('the moved file goes on', () => linesOf(`${path}.1`).length === 21);
      proxy.kill(signal);
      await eventually('the new file is there', () => existsSync(path));
      await relayOnce(t, proxy.port);
      await eventually('it has the next line', () => linesOf(path).length === 1);
      assert.match(linesOf(path)[0] ?? '', / end=done$/);
      proxy.kill('SIGTERM');
      const { code, stdout } = await proxy.finished;
      assert.deepEqual([code, stdout], [0, '']);
      assert.equal(linesOf(path).length + linesOf(`${path}.1`).length, 22);
    });
  }

  test('keeps its file when the path cannot be opened any more, and says so', async t => {
    const echo = await startEchoBackend(t);
    const path = temporaryFile(t, 'access.log');
    const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`, '--log-file', path]);
    renameSync(path, `${path}.1`);
    execFileSync('mkdir', [path]);
    proxy.kill('SIGUSR1');
    await eventually('it says so', () => proxy.stderr().includes('EISDIR'));
    await relayOnce(t, proxy.port);
    await eventually('the line is written', () => linesOf(`${path}.1`).length === 1);
  });

  test('is refused where it cannot be written', async t => {
    const args = ['-l', '127.0.0.1:0', '-s', 'example.com', '--log-file', '/no/such/folder/access.log'];
    const { code, stderr } = await run(t, [process.execPath, commandFile, ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /--log-file: ENOENT.*\/no\/such\/folder\/access\.log.*folder must exist/);
  });

  test('on a full disk drops lines, not connections', { skip: !existsSync(FULL) }, async t => {
    const echo = await startEchoBackend(t);
    const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`, '--log-file', FULL]);
    await relayMany(t, proxy.port, 100);
    await eventually('it says so', () => proxy.stderr().includes('ENOSPC'));
    proxy.kill('SIGTERM');
    assert.equal((await proxy.finished).code, 0);
  });

  test('that is a pipe which nobody reads drops lines, not connections', onlyLinux, async t => {
    const echo = await startEchoBackend(t);
    const path = temporaryFile(t, 'fifo');
    execFileSync('mkfifo', [path]);
    const held = openSync(path, constants.O_RDWR);
    t.after(() => closeSync(held));
    const proxy = await startSniway(t, ['-r', `${NAME}=${echo.address}`, '--log-file', path]);
    // 64 KiB fill the pipe: every one of these is relayed all the same.
    await relayMany(t, proxy.port, 1_000);
    proxy.kill('SIGTERM');
    assert.equal((await proxy.finished).code, 0);
    assert.match(proxy.stderr(), /[0-9]+ access lines were dropped: \S+fifo could not take them/);
  });

  test('writes the form that is asked for', async t => {
    const echo = await startEchoBackend(t);
    const path = temporaryFile(t, 'access.log');
    const args = ['-r', `${NAME}=${echo.address}`, '--log-file', path, '--log-format', 'haproxy-tcplog'];
    const proxy = await startSniway(t, args);
    await relayOnce(t, proxy.port);
    await eventually('the line is written', () => linesOf(path).length === 1);
    assert.match(
      linesOf(path)[0] ?? '',
      new RegExp(`${NAME}/${echo.address} \\d+/\\d+/\\d+ \\d+ -- 0/0/0/0/0 0/0$`),
    );
  });
});
