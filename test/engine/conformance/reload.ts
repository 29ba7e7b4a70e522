/** Reloads: another configuration takes over while connections go on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, SniwayError, createProxy } from '../../../src/index.ts';
import type { SniwayConfig } from '../../../src/index.ts';
import {
  connectRaw,
  eventually,
  eventuallyRefused,
  readBytes,
  readToEnd,
  startBackend,
} from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import {
  ALERT_UNRECOGNIZED_NAME,
  HELLO,
  NAME,
  assertAlive,
  hangUp,
  refused,
  relayed,
  startAt,
} from '../../support/reloads.ts';
import type { EngineName } from '../conformance.ts';
import { describeReloadEdges } from './reload-edges.ts';
import { describeState } from './reload-state.ts';
import { freePort, freePorts } from '../../support/ports.ts';

export function describeReload(engine: EngineName): void {
  describe('reload', () => {
    describeRoutes(engine);
    describeListeners(engine);
    describeState(engine);
    describeFailures(engine);
    describeReloadEdges(engine);
  });
}

function describeRoutes(engine: EngineName): void {
  test('new connections go by the new routes, those that are open stay where they are', async t => {
    const [old, other] = [await startBackend(t), await startBackend(t)];
    const proxy = await startAt(t, engine, { routes: [{ name: 'app', match: NAME, backend: old.address }] });
    const before = await relayed(t, proxy.port, old);
    const result = await proxy.reload({
      routes: [
        { name: 'app', match: NAME, backend: other.address },
        { name: 'more', match: 'more.example.com', backend: other.address },
      ],
    });
    assert.deepEqual(result.routes, { added: ['more'], changed: ['app'], removed: [] });
    assert.deepEqual([result.opened, result.closed, result.waiting], [[], [], []]);
    const after = await relayed(t, proxy.port, other);
    await assertAlive(before);
    await assertAlive(after);
    assert.equal(old.sockets.length, 1);
    assert.equal(proxy.proxy.stats().reloads.succeeded, 1);
  });

  test('a hello that is on its way is decided by the configuration of when it is complete', async t => {
    const backend = await startBackend(t);
    const proxy = await startAt(t, engine, {
      routes: [{ match: 'other.example.com', backend: backend.address }],
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO.subarray(0, 20));
    await eventually('the client is accepted', () => proxy.opened() === 1);
    await proxy.reload({ routes: [{ match: NAME, backend: backend.address }] });
    client.write(HELLO.subarray(20));
    const socket = await backend.next();
    assert.deepEqual(await readBytes(socket, HELLO.length), HELLO);
  });

  for (const onRemove of ['keep', 'drain', 'close'] as const) {
    test(`connections of a route that is removed: onRemove ${onRemove}`, async t => {
      const backend = await startBackend(t);
      const proxy = await startAt(t, engine, {
        routes: [
          { name: 'going', match: NAME, backend: backend.address, onRemove },
          { name: 'staying', match: 'staying.example.com', backend: backend.address, onRemove: 'close' },
        ],
        timeouts: { drain: '300ms' },
      });
      const pair = await relayed(t, proxy.port, backend);
      const result = await proxy.reload({
        routes: [{ name: 'staying', match: 'staying.example.com', backend: backend.address }],
        timeouts: { drain: '300ms' },
      });
      assert.deepEqual(result.routes.removed, ['going']);
      if (onRemove !== 'close') await assertAlive(pair);
      if (onRemove === 'keep') {
        pair.client.end();
        pair.backend.end();
      }
      const record = await proxy.nextEnd();
      assert.deepEqual([record.endReason, record.route], [onRemove === 'keep' ? 'done' : 'drained', 'going']);
      assert.deepEqual(await refused(t, proxy.port), ALERT_UNRECOGNIZED_NAME);
    });
  }

  test('a route that comes back while it drains is left alone', async t => {
    const backend = await startBackend(t);
    const route = { name: 'app', match: NAME, backend: backend.address, onRemove: 'drain' } as const;
    const none = { name: 'none', match: 'none.example.com', backend: backend.address };
    const timeouts = { drain: '200ms' } as const;
    const proxy = await startAt(t, engine, { routes: [route], timeouts });
    const pair = await relayed(t, proxy.port, backend);
    await proxy.reload({ routes: [none], timeouts });
    await proxy.reload({ routes: [route], timeouts });
    // Had its time gone on, it would be over before that of the next reload.
    const ports = [pair.client.localPort];
    const last = await relayed(t, proxy.port, backend);
    ports.push(last.client.localPort);
    await proxy.reload({ routes: [{ ...route, name: 'renamed' }], timeouts });
    const ended = [await proxy.nextEnd(), await proxy.nextEnd()];
    assert.deepEqual(
      ended.map(({ endReason }) => endReason),
      ['drained', 'drained'],
    );
    assert.deepEqual(new Set(ended.map(({ client }) => client.port)), new Set(ports));
  });
}

function describeListeners(engine: EngineName): void {
  test('opens a new listener, and closes one that is gone while its connections go on', async t => {
    const backend = await startBackend(t);
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startProxy(t, { engine, routes });
    const next = await freePort();
    const before = await relayed(t, proxy.port, backend);
    const result = await proxy.proxy.reload({ engine, listen: `127.0.0.1:${next}`, routes });
    assert.deepEqual(
      result.opened.map(({ port }) => port),
      [next],
    );
    assert.deepEqual(
      result.closed.map(({ port }) => port),
      [proxy.port],
    );
    assert.deepEqual(proxy.proxy.addresses, result.addresses);
    await eventuallyRefused(proxy.port);
    const after = await relayed(t, next, backend);
    await assertAlive(before);
    await assertAlive(after);
    const doneOn = (port: number): readonly unknown[] =>
      proxy.ended.filter(
        ({ endReason, listener }) => endReason === 'done' && listener === `127.0.0.1:${port}`,
      );
    for (const [pair, port] of [
      [after, next],
      [before, proxy.port],
    ] as const) {
      pair.client.end();
      pair.backend.end();
      await eventually('its record', () => doneOn(port).length === 1);
    }
  });

  test('a listener keeps its rules when others move in front of it', async t => {
    const backend = await startBackend(t);
    const [open = 0, closed = 0] = await freePorts(2);
    const routes = [{ match: NAME, backend: backend.address }];
    const free = { address: `127.0.0.1:${open}` };
    const denied = { address: `127.0.0.1:${closed}`, clients: { deny: ['127.0.0.0/8'] } };
    const proxy = await startProxy(t, { engine, listen: [free, denied], routes });
    for (const listen of [
      [denied, free],
      [free, denied],
    ]) {
      await proxy.proxy.reload({ engine, listen, routes });
      assert.deepEqual(await refused(t, closed), Buffer.alloc(0));
      assert.equal((await proxy.nextEnd()).endReason, 'denied');
      const pair = await relayed(t, open, backend);
      await assertAlive(pair);
      hangUp(pair);
      await proxy.nextEnd();
    }
    await proxy.proxy.reload({ engine, listen: [{ address: denied.address }, free], routes });
    await assertAlive(await relayed(t, closed, backend));
  });

  test('takes PROXY headers on a listener from the reload on that says so', async t => {
    const backend = await startBackend(t);
    const port = await freePort();
    const routes = [{ match: NAME, backend: backend.address }];
    const address = `127.0.0.1:${port}`;
    const proxy = await startProxy(t, { engine, listen: address, routes });
    const header = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n');
    const send = async (): Promise<void> => {
      const client = await connectRaw(t, port);
      client.end(Buffer.concat([header, HELLO]));
      await readToEnd(client);
    };
    await send();
    assert.equal((await proxy.nextEnd()).endReason, 'not-tls');
    await proxy.proxy.reload({
      engine,
      listen: { address, proxyProtocol: { from: '127.0.0.1/32' } },
      routes,
    });
    const taken = send();
    (await backend.next()).end();
    await taken;
    assert.equal((await proxy.nextEnd()).client.address, '192.0.2.7');
  });
}

function describeFailures(engine: EngineName): void {
  test('a configuration that is wrong changes nothing', async t => {
    const backend = await startBackend(t);
    const proxy = await startAt(t, engine, { routes: [{ match: NAME, backend: backend.address }] });
    await assert.rejects(
      proxy.reload({ routes: [{ match: 'x.example.com', backend: 'nonsense' }] }),
      ConfigError,
    );
    await assertAlive(await relayed(t, proxy.port, backend));
    assert.deepEqual(proxy.proxy.stats().reloads, { succeeded: 0, failed: 1, lastSucceededAtMs: null });
  });

  test('a listener that cannot be opened changes nothing, and what was opened before it is closed', async t => {
    const [backend, other] = [await startBackend(t), await startBackend(t)];
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startProxy(t, { engine, routes });
    const next = await freePort();
    await assert.rejects(
      proxy.proxy.reload({
        engine,
        listen: [`127.0.0.1:${next}`, `127.0.0.1:${other.port}`],
        routes: [{ match: 'x.example.com', backend: backend.address }],
      }),
      (error: unknown) => error instanceof SniwayError && error.code === 'ERR_LISTEN',
    );
    await eventuallyRefused(next);
    await assertAlive(await relayed(t, proxy.port, backend));
    assert.equal(proxy.proxy.addresses.length, 1);
  });

  test('a backend that would be a new listener is found before anything changes', async t => {
    const backend = await startBackend(t);
    const proxy = await startAt(t, engine, { routes: [{ match: NAME, backend: backend.address }] });
    const loop = [{ match: NAME, backend: `127.0.0.1:${proxy.port}` }];
    await assert.rejects(proxy.reload({ routes: loop }), ConfigError);
    await assertAlive(await relayed(t, proxy.port, backend));
  });

  test('only a running proxy reloads', async t => {
    const config: SniwayConfig = { engine, listen: '127.0.0.1:0', suffixes: 'example.com' };
    const proxy = createProxy(config);
    t.after(() => proxy.kill());
    const isStateError = (error: unknown): boolean =>
      error instanceof SniwayError && error.code === 'ERR_STATE';
    await assert.rejects(proxy.reload(config), isStateError);
    await proxy.start();
    await proxy.close();
    await assert.rejects(proxy.reload(config), isStateError);
  });

  test('reloads that come together are carried out one after the other', async t => {
    const backends = await Promise.all(Array.from({ length: 5 }, () => startBackend(t)));
    const proxy = await startAt(t, engine, { routes: [{ match: NAME, backend: backends[0]!.address }] });
    const next = [1, 2, 3, 4].map(index => ({
      routes: [{ match: NAME, backend: backends[index]!.address }],
    }));
    const results = await Promise.all(next.map(config => proxy.reload(config)));
    assert.deepEqual(
      results.map(({ routes }) => routes.changed),
      [[NAME], [NAME], [NAME], [NAME]],
    );
    await relayed(t, proxy.port, backends[4]!);
  });

  test('closing while a reload is under way leaves nothing open', async t => {
    const routes = [{ match: NAME, backend: '127.0.0.1:9' }];
    const proxy = await startProxy(t, { engine, routes });
    const next = await freePort();
    const reloaded = proxy.proxy.reload({ engine, listen: `127.0.0.1:${next}`, routes }).then(
      () => 'reloaded',
      (error: unknown) => (error instanceof SniwayError ? error.code : error),
    );
    await proxy.proxy.close();
    assert.ok(['reloaded', 'ERR_STATE'].includes(String(await reloaded)));
    await eventuallyRefused(next);
    await eventuallyRefused(proxy.port);
  });
}
