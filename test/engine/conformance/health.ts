/** Health checks: what they find decides where connections go, and what becomes of those that are open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { BackendChange, RouteConfig } from '../../../src/index.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from '../../support/tls-backends.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'health.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const FAST = { interval: '100ms', timeout: '1s', rise: 1, fall: 1 } as const;

/** A backend that can stop listening while its connections live on. Answers the hello with a byte. */
interface Listener {
  readonly address: string;
  stop(): void;
  listen(): Promise<void>;
}

async function startListener(t: TestContext, host: string): Promise<Listener> {
  const sockets: Socket[] = [];
  let port = 0;
  const open = async (): Promise<() => void> => {
    const server = createServer(socket => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('!'));
    });
    server.listen(port, host);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    return () => server.close();
  };
  let close = await open();
  t.after(() => {
    close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    get address() {
      return `${host}:${port}`;
    },
    stop: () => close(),
    async listen() {
      close = await open();
    },
  };
}

async function startChecked(t: TestContext, engine: EngineName, route: Partial<RouteConfig>) {
  const proxy = await startProxy(t, { engine, workers: 2, routes: [{ match: NAME, ...route }] });
  const changes: BackendChange[] = [];
  proxy.proxy.on('backend', change => changes.push(change));
  return { proxy, changes };
}

async function connectAnswered(t: TestContext, { port }: TestProxy): Promise<Socket> {
  const client = await connectRaw(t, port);
  client.write(HELLO);
  assert.equal((await readBytes(client, 1)).toString(), '!');
  return client;
}

export function describeHealth(engine: EngineName): void {
  describe('a pool with health checks', () => {
    for (const onDown of ['keep', 'close'] as const) {
      test(`avoids a backend that is down, and comes back to it (onDown: ${onDown})`, async t => {
        const first = await startListener(t, '127.0.0.2');
        const second = await startListener(t, '127.0.0.3');
        const { proxy, changes } = await startChecked(t, engine, {
          backends: [first.address, { address: second.address, backup: true }],
          health: { check: 'tcp', ...FAST },
          onDown,
        });
        const client = await connectAnswered(t, proxy);
        const received = readToEnd(client);
        first.stop();
        await eventually('it is found down', () => changes.length === 1);
        const change = { route: NAME, backend: first.address };
        assert.deepEqual(changes, [{ ...change, state: 'down', detail: 'ECONNREFUSED' }]);
        const other = await connectAnswered(t, proxy);
        if (onDown === 'close') {
          assert.equal((await received).end, 'ECONNRESET');
          const record = await proxy.nextEnd();
          assert.deepEqual([record.endReason, record.backend], ['backend-gone', first.address]);
        }
        other.resetAndDestroy();
        const { backend, attempts } = await proxy.nextEnd();
        assert.deepEqual([backend, attempts], [second.address, 1]);
        await first.listen();
        await eventually('it is found up', () => changes.length === 2);
        assert.deepEqual(changes[1], { ...change, state: 'up', detail: null });
        (await connectAnswered(t, proxy)).resetAndDestroy();
        assert.equal((await proxy.nextEnd()).backend, first.address);
        const told = proxy.notices.map(({ level, message }) => `${level} ${message}`);
        assert.deepEqual(told, [
          `warn backend ${first.address} of route ${NAME} is down: ECONNREFUSED`,
          `info backend ${first.address} of route ${NAME} is up again`,
        ]);
        if (onDown === 'close') return;
        client.resetAndDestroy();
        assert.equal((await proxy.nextEnd()).endReason, 'client-reset');
      });
    }

    test('finds a backend down that shows a certificate for another name, or no TLS at all', async t => {
      const authority = await createTrustedAuthority(t);
      const right = await startTlsBackend(t, authority, { name: NAME, serve: serveName(NAME) });
      const wrong = await startTlsBackend(t, authority, { name: 'other.example.com', serve: serveName('x') });
      const silent = await startBackend(t);
      const { proxy, changes } = await startChecked(t, engine, {
        backends: [right.address, wrong.address, silent.address],
        health: { check: 'tls', ...FAST, timeout: '500ms', expiryDays: 60 },
      });
      await eventually('two are found down', () => changes.length === 2);
      const found = new Map(changes.map(({ backend, state, detail }) => [backend, `${state}: ${detail}`]));
      assert.equal(found.get(wrong.address), `down: its certificate is not valid for ${NAME}`);
      assert.equal(found.get(silent.address), 'down: timeout');
      const message = new RegExp(
        `^the certificate of backend ${right.address} of route ${NAME} expires on 20`,
      );
      const warnings = proxy.notices.filter(notice => message.test(notice.message));
      assert.equal(warnings.length, 1);
    });
  });
}
