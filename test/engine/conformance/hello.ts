/** However a hello arrives, it is read, routed and replayed exactly. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildClientHello, fragmentRecords } from '../../support/hello-builder.ts';
import { connectRaw, readBytes, startBackend, writeSegment } from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'hello.example.com';
const HELLO = buildClientHello({ serverName: NAME, alpnProtocols: ['h2', 'http/1.1'] });
/** As large as a hello with post-quantum key shares, which does not fit one segment. */
const LARGE_HELLO = buildClientHello({
  serverName: NAME,
  extensions: [{ type: 0x33aa, data: randomBytes(1900) }],
});

async function setUp(t: TestContext, engine: EngineName): Promise<{ proxy: TestProxy; backend: Backend }> {
  const backend = await startBackend(t);
  const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: backend.address }] });
  return { proxy, backend };
}

async function expectRouted(
  t: TestContext,
  engine: EngineName,
  segments: readonly Uint8Array[],
): Promise<void> {
  const { proxy, backend } = await setUp(t, engine);
  const client = await connectRaw(t, proxy.port);
  for (const segment of segments) await writeSegment(client, segment);
  const all = Buffer.concat(segments);
  const accepted = await backend.next();
  assert.deepEqual(await readBytes(accepted, all.length), all);
  accepted.end('answer');
  client.end();
  assert.equal((await readBytes(client, 6)).toString(), 'answer');
  client.resume();
  const record = await proxy.nextEnd();
  assert.equal(record.serverName, NAME);
  assert.equal(record.endReason, 'done');
  assert.equal(record.bytesFromClient, all.length);
  assert.equal(record.bytesFromBackend, 6);
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

export function describeHello(engine: EngineName): void {
  test('routes a hello that comes in one segment', t => expectRouted(t, engine, [HELLO]));

  test('routes a hello in 1-byte segments', t => expectRouted(t, engine, cut(HELLO, 1)));

  test('routes a hello in 1-byte records', t => expectRouted(t, engine, [fragmentRecords(HELLO, 1)]));

  test('routes a hello in 1-byte records and 7-byte segments', t =>
    expectRouted(t, engine, cut(fragmentRecords(HELLO, 1), 7)));

  test('routes a hello in 40 records over 40 segments', t => {
    const fragmented = fragmentRecords(LARGE_HELLO, Math.ceil((LARGE_HELLO.length - 5) / 40));
    return expectRouted(t, engine, cut(fragmented, Math.ceil(fragmented.length / 40)));
  });

  test('routes a post-quantum hello over 1,500 bytes', t => {
    assert.ok(LARGE_HELLO.length > 1500);
    return expectRouted(t, engine, cut(LARGE_HELLO, 1400));
  });

  test('hands on the bytes behind the hello once, in order', t =>
    expectRouted(t, engine, [Buffer.concat([HELLO, randomBytes(40_000)]), randomBytes(30_000)]));

  test('hands on what comes while the backend is being dialled', async t => {
    const { proxy, backend } = await setUp(t, engine);
    const client = await connectRaw(t, proxy.port);
    const early = randomBytes(500_000);
    client.write(HELLO);
    client.end(early);
    const accepted = await backend.next();
    const all = await readBytes(accepted, HELLO.length + early.length);
    assert.deepEqual(all, Buffer.concat([HELLO, early]));
  });

  test('folds the case of a name and drops its trailing dot', async t => {
    const { proxy, backend } = await setUp(t, engine);
    const client = await connectRaw(t, proxy.port);
    const hello = buildClientHello({ serverName: 'HELLO.Example.com.' });
    client.write(hello);
    assert.deepEqual(await readBytes(await backend.next(), hello.length), Buffer.from(hello));
  });

  test('takes down who was routed where', async t => {
    const { proxy, backend } = await setUp(t, engine);
    const client = await connectRaw(t, proxy.port);
    const { localPort } = client;
    client.write(HELLO);
    const accepted = await backend.next();
    await readBytes(accepted, HELLO.length);
    accepted.end();
    client.end();
    client.resume();
    const record = await proxy.nextEnd();
    assert.equal(record.client.address, '127.0.0.1');
    assert.equal(record.client.port, localPort);
    assert.equal(record.listener, `127.0.0.1:${proxy.port}`);
    assert.equal(record.backend, backend.address);
    assert.equal(record.route, NAME);
    assert.deepEqual(record.alpnProtocols, ['h2', 'http/1.1']);
    assert.ok(record.helloMs !== null && record.helloMs >= 0 && record.helloMs <= record.totalMs);
    assert.ok(record.dialMs !== null && record.dialMs >= 0 && record.dialMs <= record.totalMs);
  });

  test('takes down only a bounded part of what a client offers by ALPN', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.org' });
    const client = await connectRaw(t, proxy.port);
    client.resume();
    client.end(
      buildClientHello({ serverName: NAME, alpnProtocols: Array.from({ length: 20_000 }, () => '\0') }),
    );
    const { alpnProtocols } = await proxy.nextEnd();
    assert.equal(alpnProtocols.length, 256);
    assert.equal(alpnProtocols.at(-1), '...');
  });

  test('decides by ALPN where a route asks for it', async t => {
    const acme = await startBackend(t);
    const web = await startBackend(t);
    const proxy = await startProxy(t, {
      engine,
      routes: [
        { match: NAME, alpn: 'acme-tls/1', backend: acme.address, name: 'acme' },
        { match: NAME, backend: web.address, name: 'web' },
      ],
    });
    const challenge = await connectRaw(t, proxy.port);
    challenge.write(buildClientHello({ serverName: NAME, alpnProtocols: ['acme-tls/1'] }));
    await acme.next();
    const browser = await connectRaw(t, proxy.port);
    browser.write(HELLO);
    await web.next();
    assert.equal(acme.sockets.length, 1);
  });
}
