/** What a reload must not do to those who are in the middle of something. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SniwayError } from '../../../src/index.ts';
import { connectRaw, eventually, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import { HELLO, NAME, assertAlive, hangUp, refused, relayed } from '../../support/reloads.ts';
import type { EngineName } from '../conformance.ts';
import { freePort, freePorts } from '../../support/ports.ts';

/** Somebody waits until it is opened. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

export function describeReloadEdges(engine: EngineName): void {
  test('the rules of a listener that is removed hold for whoever has connected to it', async t => {
    const backend = await startBackend(t);
    const [going = 0, staying = 0] = await freePorts(2);
    const routes = [{ match: NAME, backend: backend.address }];
    const other = `127.0.0.1:${staying}`;
    const proxy = await startProxy(t, {
      engine,
      routes,
      listen: [
        {
          address: `127.0.0.1:${going}`,
          clients: { allow: ['127.0.0.0/8'] },
          limits: { connections: 1 },
          proxyProtocol: { from: '127.0.0.1/32' },
        },
        other,
      ],
    });
    const header = (address: string): Buffer => Buffer.from(`PROXY TCP4 ${address} 192.0.2.8 4711 443\r\n`);
    const start = async (address: string) => {
      const client = await connectRaw(t, going);
      client.write(header(address).subarray(0, 12));
      return client;
    };
    const clients = [await start('192.0.2.9'), await start('127.0.0.9'), await start('127.0.0.9')] as const;
    await eventually('all are accepted', () => proxy.opened() === 3);
    await proxy.proxy.reload({ engine, listen: other, routes });
    const [stranger, first, second] = clients;
    stranger.write(Buffer.concat([header('192.0.2.9').subarray(12), HELLO]));
    await readToEnd(stranger);
    assert.equal((await proxy.nextEnd()).endReason, 'denied');
    first.write(Buffer.concat([header('127.0.0.9').subarray(12), HELLO]));
    await backend.next();
    second.write(Buffer.concat([header('127.0.0.9').subarray(12), HELLO]));
    await readToEnd(second);
    const { endReason, detail } = await proxy.nextEnd();
    assert.deepEqual([endReason, detail], ['limit', 'connections of listener 1']);
  });

  test('a listener that is removed and comes back is opened anew', async t => {
    const [backend, taken] = [await startBackend(t), await startBackend(t)];
    const [coming = 0, staying = 0] = await freePorts(2);
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startProxy(t, { engine, routes, listen: `127.0.0.1:${staying}` });
    for (let round = 0; round < 3; round++) {
      await proxy.proxy.reload({ engine, routes, listen: [`127.0.0.1:${coming}`, `127.0.0.1:${staying}`] });
      hangUp(await relayed(t, coming, backend));
      await proxy.proxy.reload({ engine, routes, listen: `127.0.0.1:${staying}` });
      // Opens the one that is to come, and fails with the other.
      await assert.rejects(
        proxy.proxy.reload({ engine, routes, listen: [`127.0.0.1:${coming}`, `127.0.0.1:${taken.port}`] }),
        (error: unknown) => error instanceof SniwayError && error.code === 'ERR_LISTEN',
      );
    }
  });

  test('a descriptor is no listener that a reload could add', async t => {
    const backend = await startBackend(t);
    const port = await freePort();
    const routes = [{ match: NAME, backend: backend.address }];
    const proxy = await startProxy(t, { engine, routes, listen: `127.0.0.1:${port}` });
    for (let fd = 3; fd < 40; fd += 4) {
      await assert.rejects(
        proxy.proxy.reload({ engine, routes, listen: [`127.0.0.1:${port}`, `fd:${fd}`] }),
        (error: unknown) => error instanceof SniwayError && error.message.includes(`fd:${fd}`),
      );
    }
    await assertAlive(await relayed(t, port, backend));
  });

  test('a limit has as many places left, wherever its listener stands, and if its route goes and comes back', async t => {
    const backend = await startBackend(t);
    const [port = 0, more = 0] = await freePorts(2);
    const limits = { connections: 1 };
    const limited = { address: `127.0.0.1:${port}`, limits: { connections: 2 } };
    const first = { address: `127.0.0.1:${more}`, limits: { connections: 9 } };
    const route = { name: 'app', match: NAME, backend: backend.address };
    const proxy = await startProxy(t, { engine, listen: limited, routes: [{ ...route, limits }] });
    const pair = await relayed(t, port, backend);
    const free = { name: 'other', match: 'other.example.com', backend: backend.address };
    await proxy.proxy.reload({ engine, listen: [first, limited], routes: [free] });
    await proxy.proxy.reload({ engine, listen: [first, limited], routes: [free, { ...route, limits }] });
    await refused(t, port);
    assert.equal((await proxy.nextEnd()).detail, 'connections of route app');
    await proxy.proxy.reload({ engine, listen: [first, limited], routes: [route] });
    await relayed(t, port, backend);
    await refused(t, port);
    assert.equal((await proxy.nextEnd()).detail, 'connections of listener 2');
    await assertAlive(pair);
  });

  test('connections that wait for a function end with their route, if it says so', async t => {
    const backend = await startBackend(t);
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    const asked = gate();
    const decide = async (): Promise<string> => {
      asked.open();
      await new Promise(resolve => setTimeout(resolve, 60_000).unref());
      return backend.address;
    };
    const routes = [{ name: 'slow', match: NAME, decide, onRemove: 'close' }] as const;
    const proxy = await startProxy(t, { engine, listen, routes, timeouts: { decide: '60s' } });
    const client = await connectRaw(t, port);
    client.write(HELLO);
    await asked.opened;
    await proxy.proxy.reload({
      engine,
      listen,
      routes: [{ match: 'x.example.com', backend: backend.address }],
    });
    await readToEnd(client);
    assert.equal((await proxy.nextEnd()).endReason, 'drained');
    assert.equal(backend.sockets.length, 0);
  });

  test('a function that takes its time may name a backend although another resolver is in force', async t => {
    const backend = await startBackend(t);
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    const asked = gate();
    const go = gate();
    const decide = async (): Promise<string> => {
      asked.open();
      await go.opened;
      return `localhost:${backend.port}`;
    };
    const routes = [{ name: 'slow', match: NAME, decide }];
    const guard = { allowNets: ['127.0.0.0/8', '::1'] };
    const proxy = await startProxy(t, { engine, listen, routes, guard });
    const client = await connectRaw(t, port);
    client.write(HELLO);
    await asked.opened;
    await proxy.proxy.reload({ engine, listen, routes, guard, resolver: 'system' });
    go.open();
    const socket = await backend.next();
    socket.write('there');
    client.destroy();
  });
}
