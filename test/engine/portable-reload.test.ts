import { test } from 'node:test';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, startBackend } from '../support/peers.ts';
import { startProxy } from '../support/proxies.ts';
import { describeReloads } from './conformance.ts';

describeReloads('portable');

test('portable engine: clients that wait in the queue of a listener that is closed are served', async t => {
  const backend = await startBackend(t);
  const routes = [{ match: 'queue.example.com', backend: backend.address }];
  const proxy = await startProxy(t, { engine: 'portable', listen: ['127.0.0.1:0', '[::1]:0'], routes });
  // They connect in the same turn of the one thread: the kernel takes them in before anybody accepts.
  const connecting = Promise.all(Array.from({ length: 50 }, () => connectRaw(t, proxy.port)));
  const reloaded = proxy.proxy.reload({ engine: 'portable', listen: '[::1]:0', routes });
  for (const client of await connecting) client.write(buildClientHello({ serverName: 'queue.example.com' }));
  await reloaded;
  await eventually('all are relayed', () => backend.sockets.length === 50);
});
