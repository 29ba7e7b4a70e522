/** Bytes, half-closes and resets pass as they are, both ways. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildClientHello } from '../../support/hello-builder.ts';
import {
  connectRaw,
  eventually,
  readBytes,
  readToEnd,
  startBackend,
  startEchoBackend,
} from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'relay.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME }));
const BULK_BYTES = 100 * 1024 * 1024;

interface Pair {
  readonly proxy: TestProxy;
  readonly client: Socket;
  readonly backend: Socket;
}

/** A connection past its hello, both ends in hand. */
async function connectThrough(t: TestContext, engine: EngineName, path?: string): Promise<Pair> {
  const server = await startBackend(t, path);
  const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
  const client = await connectRaw(t, proxy.port);
  client.write(HELLO);
  const backend = await server.next();
  await readBytes(backend, HELLO.length);
  return { proxy, client, backend };
}

/** Writes pseudo-random bytes with backpressure; resolves with their hash when all are written. */
async function pour(socket: Socket, total: number): Promise<string> {
  const hash = createHash('sha256');
  const block = randomBytes(1 << 20);
  for (let sent = 0; sent < total; sent += block.length) {
    block.writeUInt32LE(sent, 0);
    const chunk = Buffer.from(block.subarray(0, Math.min(block.length, total - sent)));
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  socket.end();
  return hash.digest('hex');
}

async function drainHash(socket: Socket): Promise<{ hash: string; length: number; end: string }> {
  const hash = createHash('sha256');
  let length = 0;
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  socket.resume();
  const end = await new Promise<string>(resolve => {
    socket.once('end', () => resolve('end'));
    socket.once('error', error => resolve(error.message));
  });
  return { hash: hash.digest('hex'), length, end };
}

export function describeRelay(engine: EngineName): void {
  test('relays 100 MB both ways at once, byte for byte', async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    const [up, down, atBackend, atClient] = await Promise.all([
      pour(client, BULK_BYTES),
      pour(backend, BULK_BYTES),
      drainHash(backend),
      drainHash(client),
    ]);
    assert.deepEqual(atBackend, { hash: up, length: BULK_BYTES, end: 'end' });
    assert.deepEqual(atClient, { hash: down, length: BULK_BYTES, end: 'end' });
    const record = await proxy.nextEnd();
    assert.equal(record.endReason, 'done');
    assert.equal(record.bytesFromClient, BULK_BYTES + HELLO.length);
    assert.equal(record.bytesFromBackend, BULK_BYTES);
  });

  test('lets a client that has finished sending still receive', async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    client.end('last words');
    assert.equal((await readToEnd(backend)).bytes.toString(), 'last words');
    const answer = randomBytes(3_000_000);
    const received = readToEnd(client);
    backend.end(answer);
    assert.deepEqual(await received, { bytes: answer, end: 'end' });
    assert.equal((await proxy.nextEnd()).endReason, 'done');
  });

  test('lets a backend that has finished sending still receive', async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    backend.end('greeting');
    assert.equal((await readToEnd(client)).bytes.toString(), 'greeting');
    const question = randomBytes(3_000_000);
    const received = readToEnd(backend);
    client.end(question);
    assert.deepEqual(await received, { bytes: question, end: 'end' });
    assert.equal((await proxy.nextEnd()).endReason, 'done');
  });

  test('keeps a half-closed connection open', async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    client.end();
    await readToEnd(backend);
    backend.write('one');
    assert.equal((await readBytes(client, 3)).toString(), 'one');
    assert.equal(proxy.proxy.connectionCount, 1);
    backend.end('two');
    assert.equal((await readBytes(client, 3)).toString(), 'two');
  });

  test('passes the end of a client that ended with its hello', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const client = await connectRaw(t, proxy.port);
    client.end(HELLO);
    const backend = await server.next();
    const received = await readToEnd(backend);
    assert.deepEqual(received, { bytes: HELLO, end: 'end' });
    backend.end('still heard');
    assert.equal((await readToEnd(client)).bytes.toString(), 'still heard');
    assert.equal((await proxy.nextEnd()).endReason, 'done');
  });

  test("passes a client's reset as a reset", async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    const received = readToEnd(backend);
    client.resetAndDestroy();
    assert.equal((await received).end, 'ECONNRESET');
    assert.equal((await proxy.nextEnd()).endReason, 'client-reset');
  });

  test("passes a backend's reset as a reset", async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    const received = readToEnd(client);
    backend.resetAndDestroy();
    assert.equal((await received).end, 'ECONNRESET');
    assert.equal((await proxy.nextEnd()).endReason, 'backend-reset');
  });

  test('delivers what a backend sent before it reset', async t => {
    const { client, backend, proxy } = await connectThrough(t, engine);
    const received = readBytes(client, 50_000);
    backend.write(Buffer.alloc(50_000, 1));
    assert.equal((await received).length, 50_000);
    const end = readToEnd(client);
    backend.resetAndDestroy();
    assert.equal((await end).end, 'ECONNRESET');
    assert.equal((await proxy.nextEnd()).bytesFromBackend, 50_000);
  });

  test('holds a bounded number of bytes for a backend that does not read', async t => {
    const { proxy, client, backend } = await connectThrough(t, engine);
    backend.pause();
    const block = Buffer.alloc(1 << 20, 3);
    let queued = 0;
    const before = process.memoryUsage().arrayBuffers;
    while (queued < 64 << 20) {
      client.write(block);
      queued += block.length;
    }
    let last = -1;
    await eventually('the client is held back', () => {
      const now = client.bytesWritten - client.writableLength;
      const steady = now === last;
      last = now;
      return steady && now > 0;
    });
    // Kernel buffers of four sockets on loopback, and what an engine holds; not the 64 MB the client has to give.
    assert.ok(last < 40 << 20, `${last} bytes were taken from the client`);
    assert.ok(process.memoryUsage().arrayBuffers - before < 48 << 20);
    const received = readBytes(backend, 64 << 20);
    assert.equal((await received).length, 64 << 20);
    assert.equal(proxy.proxy.connectionCount, 1);
  });

  test('relays to a Unix-socket backend', async t => {
    const path = join(tmpdir(), `sniway-${process.pid}-${engine}-backend.sock`);
    const { proxy, client, backend } = await connectThrough(t, engine, path);
    client.end('ping');
    assert.equal((await readToEnd(backend)).bytes.toString(), 'ping');
    backend.end('pong');
    assert.equal((await readToEnd(client)).bytes.toString(), 'pong');
    const record = await proxy.nextEnd();
    assert.equal(record.backend, `unix:${path}`);
    assert.equal(record.endReason, 'done');
  });

  test('keeps connections apart', async t => {
    const server = await startEchoBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    const count = 100;
    const clients = await Promise.all(Array.from({ length: count }, () => connectRaw(t, proxy.port)));
    await Promise.all(
      clients.map(async (client, index) => {
        const payload = Buffer.concat([HELLO, Buffer.from(`connection ${index} `.repeat(1 + index * 50))]);
        client.end(payload);
        assert.deepEqual((await readToEnd(client)).bytes, payload);
      }),
    );
    await eventually('all have ended', () => proxy.ended.length === count);
    assert.deepEqual(new Set(proxy.ended.map(record => record.endReason)), new Set(['done']));
  });
}
