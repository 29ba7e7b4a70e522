/** What a reload keeps of limits, backends and names, and what it changes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRaw, eventually, startBackend } from '../../support/peers.ts';
import { HELLO, NAME, assertAlive, hangUp, refused, relayed, startAt } from '../../support/reloads.ts';
import type { EngineName } from '../conformance.ts';

export function describeState(engine: EngineName): void {
  test('a limit counts the connections that were there before', async t => {
    const backend = await startBackend(t);
    const route = { name: 'app', match: NAME, backend: backend.address };
    const first = {
      name: 'first',
      match: 'first.example.com',
      backend: backend.address,
      limits: { connections: 9 },
    };
    const proxy = await startAt(t, engine, { routes: [{ ...route, limits: { connections: 1 } }] });
    const pair = await relayed(t, proxy.port, backend);
    await proxy.reload({ routes: [first, { ...route, limits: { connections: 1 } }] });
    await refused(t, proxy.port);
    const record = await proxy.nextEnd();
    assert.deepEqual([record.endReason, record.detail], ['limit', 'connections of route app']);
    await proxy.reload({ routes: [first, { ...route, limits: { connections: 2 } }] });
    const second = await relayed(t, proxy.port, backend);
    for (const one of [pair, second]) hangUp(one);
    await proxy.nextEnd();
    await proxy.nextEnd();
    await proxy.reload({ routes: [{ ...route, limits: { connections: 1 } }] });
    await relayed(t, proxy.port, backend);
  });

  test('a backend keeps its connections and counts, whatever comes before it', async t => {
    const [one, two] = [await startBackend(t), await startBackend(t)];
    const full = { address: one.address, maxConnections: 1 };
    const app = { name: 'app', match: NAME, backends: [full], retry: 0 };
    const proxy = await startAt(t, engine, { routes: [app] });
    const pair = await relayed(t, proxy.port, one);
    const more = {
      name: 'more',
      match: 'more.example.com',
      backends: [{ address: two.address, maxConnections: 5 }],
    };
    await proxy.reload({ routes: [more, app] });
    const states = proxy.proxy.backends.map(({ route, backend, open, dialed }) => ({
      route,
      backend,
      open,
      dialed,
    }));
    assert.deepEqual(states, [
      { route: 'more', backend: two.address, open: 0, dialed: 0 },
      { route: 'app', backend: one.address, open: 1, dialed: 1 },
    ]);
    await refused(t, proxy.port);
    const { endReason } = await proxy.nextEnd();
    assert.equal(endReason, 'limit');
    hangUp(pair);
    await proxy.nextEnd();
    await eventually('it is given back', () => proxy.proxy.backends[1]?.open === 0);
    await relayed(t, proxy.port, one);
  });

  test('a backend that checks have found down stays down until they find it up', async t => {
    const [dead, alive] = [await startBackend(t), await startBackend(t)];
    dead.close();
    const health = { check: 'tcp', interval: '1h' } as const;
    const app = { name: 'app', match: NAME, backends: [dead.address, alive.address], health };
    const proxy = await startAt(t, engine, { routes: [app] });
    const stateOf = (address: string): string | undefined =>
      proxy.proxy.backends.find(({ backend }) => backend === address)?.state;
    await eventually('it is down', () => stateOf(dead.address) === 'down');
    await proxy.reload({ routes: [{ ...app, retry: 0 }] });
    assert.equal(stateOf(dead.address), 'down');
    // Without checks there is nobody to find it up again.
    await proxy.reload({ routes: [{ ...app, health: undefined }] });
    assert.equal(stateOf(dead.address), 'up');
  });

  test('a name that is new is resolved', async t => {
    const backend = await startBackend(t);
    const proxy = await startAt(t, engine, {
      routes: [{ match: 'other.example.com', backend: backend.address }],
    });
    await proxy.reload({ routes: [{ match: NAME, backend: `localhost:${backend.port}` }] });
    await assertAlive(await relayed(t, proxy.port, backend));
  });

  test('deadlines and bounds of hellos are the new ones', async t => {
    const backend = await startBackend(t);
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startAt(t, engine, { routes, timeouts: { hello: '1h' } });
    await proxy.reload({ routes, timeouts: { hello: '50ms' }, limits: { pendingHellosPerClient: 1 } });
    const silent = await connectRaw(t, proxy.port);
    silent.write(HELLO.subarray(0, 8));
    assert.equal((await proxy.nextEnd()).endReason, 'hello-timeout');
  });

  test('says what it cannot change while it runs, and leaves that as it is', async t => {
    const backend = await startBackend(t);
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startAt(t, engine, { routes, workers: 2 });
    const result = await proxy.reload({ routes, workers: 3, admin: { listen: 9 } });
    assert.deepEqual(result.waiting, ['workers', 'admin']);
    await assertAlive(await relayed(t, proxy.port, backend));
  });
}
