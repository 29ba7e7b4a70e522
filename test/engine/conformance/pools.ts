/** Pools: another backend before failing, never after a byte, and limits that hold. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { PENDING_BYTES_MAX } from '../../../src/limits.ts';
import { startBlackHole } from '../../support/black-hole.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { BackendConfig, RouteConfig } from '../../../src/index.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'pool.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME }));

/** An address of this machine that nobody listens at. */
async function refusedAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => {
    server.close(resolve);
  });
  return `127.0.0.1:${port}`;
}

interface Pool {
  readonly proxy: TestProxy;
  readonly first: Backend;
  readonly second: Backend;
  /** A client that has sent its hello. */
  connect(): Promise<Socket>;
}

/** Two backends, the second one a backup: every connection begins at the first one. */
async function startPool(
  t: TestContext,
  engine: EngineName,
  route: Partial<RouteConfig> = {},
): Promise<Pool> {
  const [first, second] = [await startBackend(t), await startBackend(t)];
  const backends = [first.address, { address: second.address, backup: true }];
  return { first, second, ...(await startRoute(t, engine, { backends, ...route })) };
}

async function startRoute(
  t: TestContext,
  engine: EngineName,
  route: Partial<RouteConfig>,
): Promise<Pick<Pool, 'proxy' | 'connect'>> {
  const proxy = await startProxy(t, { engine, workers: 2, routes: [{ match: NAME, ...route }] });
  return {
    proxy,
    async connect() {
      const client = await connectRaw(t, proxy.port);
      client.write(HELLO);
      return client;
    },
  };
}

/** Both ways, and to the end. */
async function finish(client: Socket, backend: Socket, { proxy }: Pick<Pool, 'proxy'>) {
  backend.write('answer');
  assert.equal((await readBytes(client, 6)).toString(), 'answer');
  client.write('more');
  assert.equal((await readBytes(backend, 4)).toString(), 'more');
  client.end();
  backend.end();
  client.resume();
  backend.resume();
  return await proxy.nextEnd();
}

export function describePools(engine: EngineName): void {
  describe('a pool', () => {
    describeRetries(engine);
    describeLimits(engine);
  });
}

function describeRetries(engine: EngineName): void {
  test('goes on to another backend when one refuses', async t => {
    const server = await startBackend(t);
    const refused = await refusedAddress();
    const backends = [refused, { address: server.address, backup: true }];
    const pool = await startRoute(t, engine, { backends });
    const client = await pool.connect();
    const backend = await server.next();
    assert.deepEqual(await readBytes(backend, HELLO.length), HELLO);
    const record = await finish(client, backend, pool);
    assert.equal(record.endReason, 'done');
    assert.deepEqual([record.backend, record.attempts], [server.address, 2]);
    assert.equal(record.bytesFromClient, HELLO.length + 4);
  });

  test('fails like the most telling one when all refuse', async t => {
    const backends = [await refusedAddress(), await refusedAddress(), await refusedAddress()];
    const pool = await startRoute(t, engine, { backends });
    const received = await readToEnd(await pool.connect());
    assert.equal(received.bytes[0], 21, 'an alert');
    const record = await pool.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.attempts], ['dial-refused', 3]);
  });

  for (const how of ['reset', 'close'] as const) {
    test(`replays what the client has sent to another backend when one goes before its first byte (${how})`, async t => {
      const pool = await startPool(t, engine);
      const client = await pool.connect();
      const lost = await pool.first.next();
      await readBytes(lost, HELLO.length);
      client.write('early data');
      assert.equal((await readBytes(lost, 10)).toString(), 'early data');
      if (how === 'reset') lost.resetAndDestroy();
      else lost.end();
      const backend = await pool.second.next();
      const replayed = await readBytes(backend, HELLO.length + 10);
      assert.deepEqual(replayed, Buffer.concat([HELLO, Buffer.from('early data')]));
      const record = await finish(client, backend, pool);
      assert.deepEqual([record.endReason, record.attempts], ['done', 2]);
      assert.equal(record.backend, pool.second.address);
      assert.equal(record.bytesFromClient, HELLO.length + 10 + 4);
      assert.equal(record.bytesFromBackend, 6);
      lost.destroy();
    });
  }

  test('never goes on to another backend after a byte has come', async t => {
    const pool = await startPool(t, engine);
    const client = await pool.connect();
    const backend = await pool.first.next();
    await readBytes(backend, HELLO.length);
    const received = readToEnd(client);
    backend.write('!');
    await eventually('the byte has come', () => client.bytesRead === 1);
    backend.resetAndDestroy();
    const { bytes, end } = await received;
    assert.deepEqual([bytes.toString(), end], ['!', 'ECONNRESET']);
    const record = await pool.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.attempts], ['backend-reset', 1]);
    assert.equal(pool.second.sockets.length, 0);
  });

  test('passes on a byte that comes together with the end', async t => {
    const pool = await startPool(t, engine);
    const client = await pool.connect();
    const backend = await pool.first.next();
    await readBytes(backend, HELLO.length);
    const received = readToEnd(client);
    backend.end('last words');
    assert.deepEqual(await received, { bytes: Buffer.from('last words'), end: 'end' });
    client.end();
    const record = await pool.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.attempts, record.bytesFromBackend], ['done', 1, 10]);
    assert.equal(pool.second.sockets.length, 0);
  });

  test('resets the client when the last backend goes before its first byte', async t => {
    const pool = await startPool(t, engine);
    const received = readToEnd(await pool.connect());
    for (const server of [pool.first, pool.second]) {
      const lost = await server.next();
      await readBytes(lost, HELLO.length);
      lost.resetAndDestroy();
    }
    assert.equal((await received).end, 'ECONNRESET');
    const record = await pool.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.attempts], ['backend-reset', 2]);
  });

  test('tries no other backend with retry: 0', async t => {
    const pool = await startPool(t, engine, { retry: 0 });
    const received = readToEnd(await pool.connect());
    const lost = await pool.first.next();
    await readBytes(lost, HELLO.length);
    lost.resetAndDestroy();
    assert.equal((await received).end, 'ECONNRESET');
    assert.equal((await pool.proxy.nextEnd()).attempts, 1);
  });

  test('lets the backend go when the client leaves before its first byte', async t => {
    const pool = await startPool(t, engine);
    const client = await pool.connect();
    const backend = await pool.first.next();
    await readBytes(backend, HELLO.length);
    const received = readToEnd(backend);
    client.resetAndDestroy();
    await received;
    const record = await pool.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.attempts], ['client-gone', 1]);
    assert.equal(record.backend, pool.first.address);
    assert.equal(pool.second.sockets.length, 0);
  });

  test('passes the end of a client on that ends before the first byte', async t => {
    const pool = await startPool(t, engine);
    const client = await pool.connect();
    client.end('bye');
    const backend = await pool.first.next();
    const received = readToEnd(backend);
    assert.deepEqual((await received).bytes.subarray(HELLO.length).toString(), 'bye');
    const answer = readToEnd(client);
    backend.end('answer');
    assert.deepEqual(await answer, { bytes: Buffer.from('answer'), end: 'end' });
    assert.equal((await pool.proxy.nextEnd()).endReason, 'done');
  });

  test('relays a client that sends more than is kept for another backend', async t => {
    const pool = await startPool(t, engine);
    const client = await pool.connect();
    const backend = await pool.first.next();
    const bulk = Buffer.alloc(10 * PENDING_BYTES_MAX, 'bulk');
    client.write(bulk);
    const received = await readBytes(backend, HELLO.length + bulk.length);
    assert.ok(received.subarray(HELLO.length).equals(bulk));
    const record = await finish(client, backend, pool);
    assert.deepEqual([record.endReason, record.attempts], ['done', 1]);
    assert.equal(record.bytesFromClient, HELLO.length + bulk.length + 4);
  });

  test('leaves a backend out that has failed a few times, and comes back to it', async t => {
    const server = await startBackend(t);
    const refused = await refusedAddress();
    const backends = [refused, { address: server.address, backup: true }];
    const pool = await startRoute(t, engine, { backends, eject: { failures: 2, base: '300ms' } });
    const attempts: number[] = [];
    const connectOnce = async (): Promise<void> => {
      const record = await finish(await pool.connect(), await answering(server), pool);
      attempts.push(record.attempts);
    };
    for (let count = 0; count < 4; count++) await connectOnce();
    assert.deepEqual(attempts, [2, 2, 1, 1]);
    const until = performance.now() + 10_000;
    while (attempts.at(-1) !== 2 && performance.now() < until) await connectOnce();
    assert.equal(attempts.at(-1), 2);
  });
}

async function answering(server: Backend): Promise<Socket> {
  const backend = await server.next();
  await readBytes(backend, HELLO.length);
  return backend;
}

function describeLimits(engine: EngineName): void {
  test('counts one connection for a backend whose addresses race, however many of them are tried', async t => {
    const hole = await startBlackHole(t);
    const server = createServer({ allowHalfOpen: true });
    t.after(() => server.close());
    await new Promise<void>(resolve => {
      server.listen(hole.port, '::1', resolve);
    });
    const hosts = join(mkdtempSync(join(tmpdir(), 'sniway-hosts-')), 'hosts');
    t.after(() => rmSync(dirname(hosts), { recursive: true }));
    writeFileSync(hosts, '127.0.0.1 dual.example.com\n::1 dual.example.com\n');
    const proxy = await startProxy(t, {
      engine,
      resolver: { hosts, family: 'ipv4-first' },
      routes: [{ match: NAME, backends: [{ address: `dual.example.com:${hole.port}`, maxConnections: 1 }] }],
    });
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const [socket] = await connected;
    await readBytes(socket, HELLO.length);
    socket.end();
    client.end();
    const { endReason, backend } = await proxy.nextEnd();
    assert.deepEqual([endReason, backend], ['done', `[::1]:${hole.port}`]);
    const [counted] = proxy.proxy.backends;
    assert.deepEqual([counted?.open, counted?.dialed], [0, 1]);
  });

  const limited = (server: Backend, maxConnections: number): BackendConfig => {
    return { address: server.address, maxConnections };
  };

  test('keeps the connection limit of a backend, over all workers', async t => {
    const [first, second] = [await startBackend(t), await startBackend(t)];
    const backends = [limited(first, 5), { ...limited(second, 3), backup: true }];
    const pool = await startRoute(t, engine, { backends });
    const clients = await Promise.all(Array.from({ length: 20 }, () => pool.connect()));
    await eventually('all but eight are turned away', () => pool.proxy.ended.length === 12);
    assert.deepEqual(new Set(pool.proxy.ended.map(({ endReason }) => endReason)), new Set(['limit']));
    await eventually('both are full', () => first.sockets.length === 5 && second.sockets.length === 3);
    for (const client of clients) client.resetAndDestroy();
    await eventually('all have ended', () => pool.proxy.ended.length === 20);
    const next = await pool.connect();
    await eventually('there is room again', () => first.sockets.length === 6);
    next.destroy();
  });

  test('keeps the limit of a backend that is alone', async t => {
    const server = await startBackend(t);
    const pool = await startRoute(t, engine, { backends: [limited(server, 1)] });
    const client = await pool.connect();
    const backend = await answering(server);
    const refused = await readToEnd(await pool.connect());
    assert.equal(refused.bytes[0], 21, 'an alert');
    const { endReason, detail } = await pool.proxy.nextEnd();
    assert.deepEqual([endReason, detail], ['limit', `maxConnections ${server.address}`]);
    await finish(client, backend, pool);
    await finish(await pool.connect(), await answering(server), pool);
  });
}
