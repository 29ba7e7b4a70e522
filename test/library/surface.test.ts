/** What embedding programs have of a proxy: drain, snapshot, signals, disposal, several of them in one process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createProxy } from '../../src/index.ts';
import type { SniwayConfig } from '../../src/index.ts';
import { selectEngine } from '../../src/engine/select-engine.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import {
  connectRaw,
  eventually,
  eventuallyRefused,
  readBytes,
  readToEnd,
  startBackend,
} from '../support/peers.ts';
import type { Backend } from '../support/peers.ts';
import { createTestKey } from '../support/ech-client.ts';
import { makeKeyFolder } from '../support/ech-keys.ts';
import { startProxy } from '../support/proxies.ts';

const NAME = 'lib.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME }));
const ENGINES =
  selectEngine('auto').name === 'linux' ? (['portable', 'linux'] as const) : (['portable'] as const);

async function openRelay(t: TestContext, port: number, backend: Backend) {
  const client = await connectRaw(t, port);
  client.write(HELLO);
  const server = await backend.next();
  await readBytes(server, HELLO.length);
  return { client, server };
}

for (const engine of ENGINES) {
  describe(`a proxy on the ${engine} engine`, () => {
    const routesTo = (backend: Backend): Partial<SniwayConfig> => ({
      engine,
      routes: [{ match: NAME, backend: backend.address }],
    });

    test('drain() stops accepting, ends nothing, and resolves when the last connection has ended', async t => {
      const backend = await startBackend(t);
      const running = await startProxy(t, routesTo(backend));
      const { proxy, port } = running;
      const { client, server } = await openRelay(t, port, backend);
      assert.deepEqual(await proxy.drain({ timeoutMs: 20 }), { remaining: 1 });
      assert.equal(proxy.stats().state, 'draining');
      await eventuallyRefused(port);
      const controller = new AbortController();
      const waiting = proxy.drain({ signal: controller.signal });
      controller.abort();
      assert.deepEqual(await waiting, { remaining: 1 });
      assert.deepEqual(await proxy.drain({ signal: AbortSignal.abort() }), { remaining: 1 });
      const drained = proxy.drain();
      server.write('still served');
      assert.equal((await readBytes(client, 12)).toString(), 'still served');
      server.end();
      client.end();
      client.resume();
      assert.deepEqual(await drained, { remaining: 0 });
      assert.equal((await running.nextEnd()).endReason, 'done');
      assert.deepEqual(await proxy.close(), { terminated: 0 });
    });

    test('drain() of a proxy that was never started has nothing to wait for', async () => {
      const proxy = createProxy({ listen: '127.0.0.1:0', suffixes: 'example.com', engine });
      assert.deepEqual(await proxy.drain(), { remaining: 0 });
      await assert.rejects(proxy.start(), { code: 'ERR_STATE' });
      await proxy.close();
    });

    test('an aborted signal closes the proxy, with time for what runs', async t => {
      const backend = await startBackend(t);
      const controller = new AbortController();
      const proxy = createProxy(
        { listen: '127.0.0.1:0', ...routesTo(backend) },
        {
          signal: controller.signal,
        },
      );
      t.after(() => proxy.kill());
      const [bound] = await proxy.start();
      const { client, server } = await openRelay(t, bound?.port ?? 0, backend);
      controller.abort();
      await eventuallyRefused(bound?.port ?? 0);
      server.end('last words');
      assert.equal((await readToEnd(client)).bytes.toString(), 'last words');
      client.end();
      await eventually('it is closed', () => proxy.addresses.length === 0);
    });

    test('a proxy whose signal is aborted already cannot be started', async () => {
      const signal = AbortSignal.abort();
      const proxy = createProxy({ listen: '127.0.0.1:0', suffixes: 'example.com', engine }, { signal });
      await assert.rejects(proxy.start(), { code: 'ERR_STATE', message: /closed/ });
    });

    test('Symbol.asyncDispose closes the proxy, with the configured time to drain', async t => {
      const backend = await startBackend(t);
      const running = await startProxy(t, {
        ...routesTo(backend),
        timeouts: { drain: '30ms' },
      });
      const { proxy, port } = running;
      const { client } = await openRelay(t, port, backend);
      const end = readToEnd(client);
      await proxy[Symbol.asyncDispose]();
      assert.equal((await end).end, 'ECONNRESET');
      assert.equal((await running.nextEnd()).endReason, 'drained');
      assert.deepEqual(proxy.addresses, []);
    });

    test('several proxies in one process know nothing of each other', async t => {
      const backend = await startBackend(t);
      const first = await startProxy(t, {
        ...routesTo(backend),
        hooks: { onHello: () => ({ reject: 'close' }) },
      });
      const second = await startProxy(t, {
        engine,
        routes: [{ match: NAME, decide: () => backend.address }],
      });
      const refused = await connectRaw(t, first.port);
      refused.write(HELLO);
      assert.equal((await readToEnd(refused)).bytes.length, 0);
      refused.end();
      assert.equal((await first.nextEnd()).endReason, 'denied');
      const { client, server } = await openRelay(t, second.port, backend);
      await first.proxy.kill();
      server.write('alive');
      assert.equal((await readBytes(client, 5)).toString(), 'alive');
      assert.deepEqual([first.ended.length, second.ended.length], [1, 0]);
      assert.equal(second.proxy.stats().connections.accepted, 1);
    });
  });
}

test('snapshot() and stats() tell of keys for Encrypted ClientHello, and hold none', async t => {
  const key = createTestKey({ configId: 5 });
  const { proxy } = await startProxy(t, {
    engine: 'portable',
    routes: [{ name: 'a', match: 'public.example', backend: '10.0.0.1:1', ech: 'off' }],
    ech: { keys: makeKeyFolder(t, key), fallback: 'a' },
  });
  const { ech, routes } = proxy.snapshot();
  const { keys = [], ...settings } = ech ?? {};
  assert.deepEqual(settings, {
    retry: [],
    fallback: 'a',
    unknownInner: null,
    requirePublicName: false,
    trialDecryption: false,
    verifiesBackends: true,
    hidesInnerNames: false,
  });
  assert.deepEqual(
    keys.map(({ configId, publicName }) => [configId, publicName]),
    [[5, 'public.example']],
  );
  assert.deepEqual(proxy.stats().echKeys, keys);
  assert.equal(routes[0]?.ech, 'off');
});

test('snapshot() says what is in force, frozen and fit for JSON', async t => {
  const { proxy } = await startProxy(t, {
    engine: 'portable',
    listen: [
      { address: '127.0.0.1:0', clients: { deny: '192.0.2.0/24' }, limits: { rate: '10/s burst 20' } },
    ],
    routes: [
      {
        name: 'pool',
        match: ['a.example.com', '*.b.example.com'],
        alpn: 'h2',
        backends: ['10.0.0.1:1', { address: '[fd00::1]:2', weight: 3 }],
      },
      { match: 'no.example.com', reject: 'access_denied', timeouts: { idle: '5s' } },
      { match: 'fn.example.com', decide: () => '10.0.0.1:1' },
    ],
    suffixes: 'lan.example.com',
    policies: { notTls: 'reset' },
    timeouts: { drain: '3s' },
    hooks: { onEnd: () => undefined, onHello: undefined },
  });
  const snapshot = proxy.snapshot();
  const spans = { idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 };
  const none = {
    alpn: [],
    ech: 'optional',
    backends: [],
    balance: null,
    reject: null,
    clients: null,
    limits: null,
    onRemove: 'keep',
    timeouts: spans,
  };
  const backend = { backup: false, maxConnections: 0 };
  assert.deepEqual(snapshot, {
    engine: 'portable',
    workers: 0,
    listeners: [
      {
        address: '127.0.0.1:0',
        bound: proxy.addresses[0]?.text,
        clients: { allow: [], deny: ['192.0.2.0/24'] },
        proxyProtocol: false,
        limits: {
          all: { connections: null, rate: { perSecond: 10, burst: 20 }, bandwidth: null },
          perClient: null,
          perName: null,
        },
      },
    ],
    routes: [
      {
        ...none,
        name: 'pool',
        match: ['a.example.com', '*.b.example.com'],
        alpn: ['h2'],
        action: 'relay',
        backends: [
          { ...backend, address: '10.0.0.1:1', weight: 1 },
          { ...backend, address: '[fd00::1]:2', weight: 3 },
        ],
        balance: 'round-robin',
      },
      {
        ...none,
        name: 'no.example.com',
        match: ['no.example.com'],
        action: 'reject',
        reject: 'access_denied',
        timeouts: { ...spans, idleMs: 5_000 },
      },
      { ...none, name: 'fn.example.com', match: ['fn.example.com'], action: 'function' },
      {
        ...none,
        name: '**.lan.example.com',
        match: ['**.lan.example.com'],
        action: 'relay',
        backends: [{ ...backend, address: '{sni}:443', weight: 1 }],
        balance: 'round-robin',
      },
    ],
    hooks: ['onEnd'],
    policies: {
      noSni: 'unrecognized_name',
      unknownName: 'unrecognized_name',
      malformed: 'parser',
      notTls: 'reset',
      helloTimeout: 'close',
      dialFailed: 'internal_error',
      limit: 'close',
      denied: 'close',
    },
    timeouts: { helloMs: 5_000, dialMs: 5_000, decideMs: 2_000, drainMs: 3_000 },
    limits: null,
    ech: null,
  });
  assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
  assert.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.routes[0]?.backends[0]));
  await proxy.close();
  assert.equal(proxy.snapshot().listeners[0]?.bound, null);
});
