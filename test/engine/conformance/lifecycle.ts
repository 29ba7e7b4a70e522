/** Listeners, draining and ending. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, SniwayError, createProxy } from '../../../src/index.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import {
  connectRaw,
  eventually,
  eventuallyRefused,
  readBytes,
  readToEnd,
  startBackend,
} from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'life.example.com';
const HELLO = buildClientHello({ serverName: NAME });

export function describeLifecycle(engine: EngineName): void {
  test('listens on several addresses and says which', async t => {
    const server = await startBackend(t);
    const path = join(tmpdir(), `sniway-${process.pid}-${engine}-listener.sock`);
    const proxy = await startProxy(t, {
      engine,
      listen: ['127.0.0.1:0', '[::1]:0', `unix:${path}`],
      routes: [{ match: NAME, backend: server.address }],
    });
    const [v4, v6, unix] = proxy.proxy.addresses;
    assert.equal(v4?.text, `127.0.0.1:${v4?.port}`);
    assert.equal(v6?.text, `[::1]:${v6?.port}`);
    assert.equal(unix?.text, `unix:${path}`);
    for (const to of [{ port: v4.port, host: '127.0.0.1' }, { port: v6.port, host: '::1' }, { path }]) {
      const client = await connectRaw(t, to);
      client.write(HELLO);
      const backend = await server.next();
      await readBytes(backend, HELLO.length);
      client.destroy();
      backend.destroy();
    }
    const listeners = [await proxy.nextEnd(), await proxy.nextEnd(), await proxy.nextEnd()];
    assert.deepEqual(
      listeners.map(record => record.listener).toSorted(),
      [v4.text, v6.text, unix.text].toSorted(),
    );
    await proxy.proxy.close();
    assert.equal(existsSync(path), false, 'the socket file is removed');
  });

  test('leaves the socket file of a process that lives alone', async t => {
    const path = join(tmpdir(), `sniway-${process.pid}-${engine}-stale.sock`);
    const living = await startBackend(t, path);
    const proxy = createProxy({ engine, listen: `unix:${path}`, suffixes: 'example.com' });
    await assert.rejects(proxy.start(), (error: unknown) => {
      assert.ok(error instanceof SniwayError);
      assert.equal(error.code, 'ERR_LISTEN');
      assert.match(error.message, /EADDRINUSE/);
      return true;
    });
    assert.equal(living.sockets.length, 1, 'the probe reached the living one');
  });

  test('takes over the socket file of a process that is gone', async t => {
    const path = join(tmpdir(), `sniway-${process.pid}-${engine}-gone.sock`);
    t.after(() => rmSync(path, { force: true }));
    const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', program]), 'exit');
    assert.ok(existsSync(path), 'the killed process left its socket file behind');
    const proxy = await startProxy(t, { engine, listen: `unix:${path}`, suffixes: 'example.com' });
    await connectRaw(t, { path });
    await eventually('it accepts', () => proxy.opened() === 1);
  });

  test('never removes a file that is no socket', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'precious.txt');
    writeFileSync(path, 'precious');
    const proxy = createProxy({ engine, listen: `unix:${path}`, suffixes: 'example.com' });
    await assert.rejects(proxy.start(), { code: 'ERR_LISTEN', message: /EADDRINUSE.*no socket/ });
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('opens all listeners or none', async t => {
    const taken = await startBackend(t);
    const proxy = createProxy({ engine, listen: ['127.0.0.1:0', taken.address], suffixes: 'example.com' });
    await assert.rejects(proxy.start(), { code: 'ERR_LISTEN', message: new RegExp(taken.address) });
    assert.deepEqual(proxy.addresses, []);
  });

  test('refuses to start when a backend is one of its own listeners', async t => {
    const server = await startBackend(t);
    server.close();
    const config = {
      engine,
      listen: server.address,
      routes: [{ match: NAME, backend: server.address }],
    } as const;
    await assert.rejects(async () => await createProxy(config).start(), ConfigError);
  });

  test('accepts no more when closing, and waits for what runs', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const backend = await server.next();
    await readBytes(backend, HELLO.length);
    const closing = proxy.proxy.close({ drainTimeoutMs: 10_000 });
    await eventuallyRefused(proxy.port);
    await eventually('only the relay is left', () => proxy.proxy.connectionCount === 1);
    backend.end('bye');
    client.end();
    assert.equal((await readBytes(client, 3)).toString(), 'bye');
    client.resume();
    assert.deepEqual(await closing, { terminated: 0 });
    assert.ok(proxy.ended.some(record => record.endReason === 'done'));
  });

  test('ends what does not end in time as drained', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const client = await connectRaw(t, proxy.port);
    const received = readToEnd(client);
    client.write(HELLO);
    await server.next();
    assert.deepEqual(await proxy.proxy.close({ drainTimeoutMs: 50 }), { terminated: 1 });
    assert.equal((await received).end, 'ECONNRESET');
    assert.equal((await proxy.nextEnd()).endReason, 'drained');
    assert.equal(proxy.proxy.connectionCount, 0);
  });

  test('ends every stage at once when killed', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const silent = await connectRaw(t, proxy.port);
    const half = await connectRaw(t, proxy.port);
    half.write(HELLO.subarray(0, 20));
    const relayed = await connectRaw(t, proxy.port);
    relayed.write(HELLO);
    await server.next();
    await eventually('all are known', () => proxy.proxy.connectionCount === 3);
    const ends = Promise.all([silent, half, relayed].map(readToEnd));
    await proxy.proxy.kill();
    assert.deepEqual(
      proxy.ended.map(record => record.endReason),
      ['killed', 'killed', 'killed'],
    );
    assert.deepEqual(new Set((await ends).map(received => received.end)), new Set(['ECONNRESET']));
  });

  test('closed while it starts, it leaves no listener behind', async t => {
    const server = await startBackend(t);
    server.close();
    const proxy = createProxy({ engine, listen: ['127.0.0.1:0', server.address], suffixes: 'example.com' });
    const starting = assert.rejects(proxy.start(), { code: 'ERR_STATE' });
    await proxy.close();
    await starting;
    assert.deepEqual(proxy.addresses, []);
    await eventuallyRefused(server.port);
  });

  test('waits without end where asked to', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const backend = await server.next();
    const closing = proxy.proxy.close({ drainTimeoutMs: Number.POSITIVE_INFINITY });
    await eventuallyRefused(proxy.port);
    backend.end('bye');
    client.end();
    assert.equal((await readBytes(client, 3)).toString(), 'bye');
    client.resume();
    assert.deepEqual(await closing, { terminated: 0 });
  });

  test('can be closed twice and before it was started', async () => {
    const proxy = createProxy({ engine, listen: '127.0.0.1:0', suffixes: 'example.com' });
    assert.deepEqual(await proxy.close(), { terminated: 0 });
    assert.deepEqual(await proxy.close(), { terminated: 0 });
    await assert.rejects(proxy.start(), { code: 'ERR_STATE' });
  });

  test("an exception in a listener of 'ended' is noticed and touches nothing else", async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    proxy.proxy.on('ended', () => {
      throw new Error('listener at fault');
    });
    for (let round = 1; round <= 2; round++) {
      const client = await connectRaw(t, proxy.port);
      client.write(HELLO);
      (await server.next()).end();
      client.end();
      client.resume();
      await eventually('it has ended', () => proxy.ended.length === round);
    }
    await eventually('it was noticed', () =>
      proxy.notices.some(({ message }) => message.includes('listener at fault')),
    );
  });

  test('no listener of its events can end the process', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const asynchronous = (): unknown => Promise.reject(new Error('asynchronous fault'));
    proxy.proxy.on('opened', asynchronous);
    proxy.proxy.on('notice', ({ message }) => {
      throw new Error(`notice refused: ${message}`);
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    (await server.next()).end();
    client.end();
    client.resume();
    assert.equal((await proxy.nextEnd()).endReason, 'done');
    await eventually('it is warned of', () => warnings.some(text => text.includes('notice refused')));
    assert.ok(warnings.some(text => text.includes('asynchronous fault')));
  });

  test('announces warnings about its configuration', async t => {
    const routes = [{ match: ['twice.example.com', 'twice.example.com'], reject: 'close' }] as const;
    const { notices } = await startProxy(t, { engine, routes });
    assert.equal(notices.filter(({ level }) => level === 'warn').length, 1);
    assert.match(notices[0]?.message ?? '', /^routes\[0\]\.match\[1\]: .*twice\.example\.com/);
  });

  test('several proxies live in one process', async t => {
    const server = await startBackend(t);
    const routes = [{ match: NAME, backend: server.address }];
    const first = await startProxy(t, { engine, routes });
    const second = await startProxy(t, { engine, routes });
    await first.proxy.close();
    const client = await connectRaw(t, second.port);
    client.write(HELLO);
    await readBytes(await server.next(), HELLO.length);
  });
}
