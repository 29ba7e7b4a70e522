/** Backends by name: real DNS in front, real sockets behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { SniwayConfig } from '../../../src/index.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import type { DnsServer } from '../../support/dns-server.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'app.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME }));
/** Only Linux has the whole of 127.0.0.0/8 on its loopback interface. */
const TWO_LOOPBACKS = { skip: process.platform === 'linux' ? false : 'needs 127.0.0.2' };

/** Servers at one port of 127.0.0.1 and 127.0.0.2, each of which says its address and hangs up. */
async function startTwins(t: TestContext): Promise<number> {
  const listen = async (port: number, address: string): Promise<Server> => {
    const server = createServer(socket => {
      socket.on('error', () => undefined);
      socket.resume().end(address);
    });
    t.after(() => server.close());
    server.listen(port, address);
    await once(server, 'listening');
    return server;
  };
  const { port } = (await listen(0, '127.0.0.1')).address() as AddressInfo;
  await listen(port, '127.0.0.2');
  return port;
}

/** What the backend of a new connection says; empty if there is none. */
async function ask(t: TestContext, proxy: TestProxy): Promise<string> {
  const client = await connectRaw(t, proxy.port);
  client.write(HELLO);
  const { bytes } = await readToEnd(client);
  client.end();
  return Buffer.from(bytes).toString('latin1');
}

async function startNamed(
  t: TestContext,
  dns: DnsServer,
  config: Partial<SniwayConfig> & { readonly backend?: string },
): Promise<TestProxy> {
  const { backend, ...rest } = config;
  const resolver = { servers: dns.address, hosts: 'none', timeout: '1s', ttlMin: '100ms' } as const;
  return await startProxy(t, {
    resolver,
    ...(backend === undefined ? {} : { routes: [{ match: NAME, backend }] }),
    ...rest,
  });
}

export function describeNames(engine: EngineName): void {
  test('follows the address of a backend name, and relays on while DNS is dead', TWO_LOOPBACKS, async t => {
    const dns = await startDnsServer(t);
    const port = await startTwins(t);
    dns.zone.set('backend.example', { a: ['127.0.0.1'], ttl: 0 });
    const proxy = await startNamed(t, dns, { engine, backend: `backend.example:${port}` });
    assert.equal(await ask(t, proxy), '127.0.0.1');
    dns.zone.set('backend.example', { a: ['127.0.0.2'], ttl: 0 });
    while ((await ask(t, proxy)) !== '127.0.0.2');
    await dns.stop();
    // Several times as long as the answer is kept.
    const untilMs = performance.now() + 500;
    while (performance.now() < untilMs) assert.equal(await ask(t, proxy), '127.0.0.2');
    await dns.restart();
    dns.zone.set('backend.example', { a: ['127.0.0.1'], ttl: 0 });
    while ((await ask(t, proxy)) !== '127.0.0.1');
  });

  test('takes machine and port of a service from SRV records', async t => {
    const dns = await startDnsServer(t);
    const server = await startBackend(t);
    dns.zone.set('_https._tcp.example', { srv: [{ target: 'one.example', port: server.port }] });
    dns.zone.set('one.example', { a: ['127.0.0.1'] });
    const proxy = await startNamed(t, dns, { engine, backend: 'srv:_https._tcp.example' });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    (await server.next()).end('hello');
    assert.equal(Buffer.from((await readToEnd(client)).bytes).toString(), 'hello');
    client.end();
    assert.equal((await proxy.nextEnd()).backend, `127.0.0.1:${server.port}`);
  });

  test('asks again before the time when nobody listens where a name leads', TWO_LOOPBACKS, async t => {
    const dns = await startDnsServer(t);
    const port = await startTwins(t);
    dns.zone.set('backend.example', { a: ['127.0.0.3'], ttl: 3_600 });
    const proxy = await startNamed(t, dns, { engine, backend: `backend.example:${port}` });
    assert.equal((await ask(t, proxy)).length, 7, 'an alert');
    dns.zone.set('backend.example', { a: ['127.0.0.1'], ttl: 3_600 });
    const askedAtMs = performance.now();
    while ((await ask(t, proxy)) !== '127.0.0.1');
    const tookMs = performance.now() - askedAtMs;
    assert.ok(tookMs < 10_000, `took ${tookMs} ms, with an answer that is kept for 30 s`);
  });

  test('spreads connections over the names of a pool', TWO_LOOPBACKS, async t => {
    const dns = await startDnsServer(t);
    const port = await startTwins(t);
    dns.zone.set('one.example', { a: ['127.0.0.1'] });
    dns.zone.set('two.example', { a: ['127.0.0.2'] });
    const backends = [`one.example:${port}`, `two.example:${port}`];
    const proxy = await startNamed(t, dns, { engine, workers: 1, routes: [{ match: NAME, backends }] });
    const answers: string[] = [];
    for (let round = 0; round < 6; round++) answers.push(await ask(t, proxy));
    assert.deepEqual(answers.toSorted(), [...Array(3).fill('127.0.0.1'), ...Array(3).fill('127.0.0.2')]);
  });

  test('goes on to the next name of a pool when the first leads nowhere', TWO_LOOPBACKS, async t => {
    const dns = await startDnsServer(t);
    const port = await startTwins(t);
    dns.zone.set('two.example', { a: ['127.0.0.2'] });
    const backends = [`one.example:${port}`, `two.example:${port}`];
    const proxy = await startNamed(t, dns, { engine, routes: [{ match: NAME, backends }] });
    for (let round = 0; round < 6; round++) assert.equal(await ask(t, proxy), '127.0.0.2');
  });

  test('dials no listener of its own that a name leads to', async t => {
    const dns = await startDnsServer(t);
    dns.zone.set('one.example', { a: ['127.0.0.1'] });
    const proxy = await startNamed(t, dns, {
      engine,
      backend: 'srv:_https._tcp.example',
      resolver: { servers: dns.address, hosts: 'none', negativeTtl: '0s' },
    });
    dns.zone.set('_https._tcp.example', { srv: [{ target: 'one.example', port: proxy.port }] });
    const reasons: string[] = [];
    while (reasons.filter(reason => reason === 'guard-refused').length < 3) {
      assert.equal((await ask(t, proxy)).length, 7, 'an alert');
      reasons.push((await proxy.nextEnd()).endReason);
    }
    assert.ok(reasons.every(reason => reason === 'guard-refused' || reason === 'dns-failed'));
  });

  test("dials only what the guard allows of a mixed answer for a client's name", TWO_LOOPBACKS, async t => {
    const dns = await startDnsServer(t);
    const port = await startTwins(t);
    dns.zone.set(NAME, { a: ['127.0.0.1', '127.0.0.2', '169.254.169.254'] });
    const guard = { allowNets: '127.0.0.2/32' };
    const proxy = await startNamed(t, dns, { engine, backend: `{sni}:${port}`, guard });
    for (let round = 0; round < 20; round++) assert.equal(await ask(t, proxy), '127.0.0.2');
  });

  test("refuses an answer for a client's name that is internal altogether", async t => {
    const dns = await startDnsServer(t);
    dns.zone.set(NAME, { a: ['127.0.0.1', '169.254.169.254'], aaaa: ['::1', '::ffff:127.0.0.1'] });
    const proxy = await startNamed(t, dns, { engine, backend: '{sni}:443' });
    assert.equal((await ask(t, proxy)).length, 7, 'an alert');
    assert.equal((await proxy.nextEnd()).endReason, 'guard-refused');
  });

  test('gives up on a name whose server is silent, and says so', async t => {
    const dns = await startDnsServer(t);
    dns.zone.set('backend.example', { silent: ['A', 'AAAA'] });
    const proxy = await startNamed(t, dns, {
      engine,
      backend: 'backend.example:443',
      timeouts: { dial: '300ms' },
    });
    assert.equal((await ask(t, proxy)).length, 7, 'an alert');
    const { endReason, detail } = await proxy.nextEnd();
    assert.deepEqual([endReason, detail], ['dns-failed', 'timeout']);
  });
}
