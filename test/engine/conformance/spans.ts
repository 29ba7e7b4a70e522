/** How long relays may last, and how fast they may be. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ConnectionEnded } from '../../../src/index.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'timed.example.com';

interface Started {
  readonly client: Socket;
  readonly backend: Socket;
  readonly ended: () => Promise<ConnectionEnded>;
  /** One more relay of the same proxy. */
  readonly another: () => Promise<{ client: Socket; backend: Socket }>;
}

async function startRelay(
  t: TestContext,
  engine: EngineName,
  route: object,
  top: object = {},
): Promise<Started> {
  const server = await startBackend(t);
  const routes = [{ name: 'it', match: NAME, backend: server.address, ...route }];
  const proxy = await startProxy(t, { engine, workers: 1, routes, ...top });
  const another = async (): Promise<{ client: Socket; backend: Socket }> => {
    const client = await connectRaw(t, proxy.port);
    const hello = buildClientHello({ serverName: NAME });
    client.write(hello);
    const backend = await server.next();
    await readBytes(backend, hello.length);
    return { client, backend };
  };
  return { ...(await another()), ended: () => proxy.nextEnd(), another };
}

export function describeSpans(engine: EngineName): void {
  describeTimes(engine);
  describeBandwidth(engine);
}

function describeTimes(engine: EngineName): void {
  test('ends a relay that moves no byte for its idle time, and no other', async t => {
    const { client, backend, ended } = await startRelay(t, engine, { timeouts: { idle: '250ms' } });
    for (let round = 0; round < 10; round++) {
      const [side, other] = round % 2 === 0 ? [client, backend] : [backend, client];
      await new Promise(resolve => setTimeout(resolve, 50));
      side.write('x');
      await readBytes(other, 1);
    }
    const lastMs = performance.now();
    const [seen, other, record] = await Promise.all([readToEnd(client), readToEnd(backend), ended()]);
    assert.deepEqual([record.endReason, record.detail], ['idle', null]);
    assert.deepEqual([seen.end, other.end], ['ECONNRESET', 'ECONNRESET']);
    const quietMs = performance.now() - lastMs;
    assert.ok(quietMs >= 235, `it was quiet for ${quietMs} ms`);
    assert.ok(record.totalMs >= 735, `alive for ${record.totalMs} ms while bytes were moved`);
  });

  test('gives a half-closed relay a time of its own', async t => {
    for (const side of ['client', 'backend'] as const) {
      const relay = await startRelay(t, engine, {}, { timeouts: { halfClose: '150ms' } });
      const other = side === 'client' ? 'backend' : 'client';
      relay[other].resume();
      const end = once(relay[other], 'end');
      relay[side].end();
      await end;
      const [seen, record] = await Promise.all([readToEnd(relay[side]), relay.ended()]);
      assert.deepEqual([record.endReason, seen.end], ['idle', 'ECONNRESET'], side);
      assert.ok(record.totalMs >= 135, `${record.totalMs} ms`);
    }
  });

  test('lets a half-closed relay go on while bytes are moved', async t => {
    const relay = await startRelay(t, engine, { timeouts: { halfClose: '250ms' } });
    relay.client.end();
    for (let round = 0; round < 8; round++) {
      await new Promise(resolve => setTimeout(resolve, 50));
      relay.backend.write('x');
      await readBytes(relay.client, 1);
    }
    relay.backend.end();
    relay.client.resume();
    assert.equal((await relay.ended()).endReason, 'done');
  });

  test('ends a relay at the end of its lifetime, however busy it is', async t => {
    const relay = await startRelay(t, engine, { timeouts: { lifetime: '300ms' } });
    const busy = setInterval(() => relay.client.write('x'), 10);
    t.after(() => clearInterval(busy));
    relay.backend.resume();
    const record = await relay.ended();
    assert.equal(record.endReason, 'lifetime');
    assert.ok(record.totalMs >= 265, `up to a tenth earlier: ${record.totalMs} ms`);
  });

  test('counts neither against relays without limits', async t => {
    const relay = await startRelay(
      t,
      engine,
      { timeouts: { idle: '0s', lifetime: '0s' } },
      { timeouts: { idle: '50ms', lifetime: '50ms' } },
    );
    await new Promise(resolve => setTimeout(resolve, 200));
    relay.client.write('x');
    assert.equal((await readBytes(relay.backend, 1)).toString(), 'x');
  });
}

function describeBandwidth(engine: EngineName): void {
  /** Sends bytes and answers how long they took to arrive. */
  async function transfer(from: Socket, to: Socket, bytes: number): Promise<number> {
    const startMs = performance.now();
    const payload = Buffer.alloc(bytes, 'sniway ');
    from.write(payload);
    assert.ok((await readBytes(to, bytes)).equals(payload), 'every byte arrives');
    return performance.now() - startMs;
  }

  for (const [rate, bytes, leastMs] of [
    ['1MB/s burst 64KiB', 500_000, 420],
    ['20MB/s burst 1MB', 8_000_000, 340],
  ] as const) {
    test(`moves bytes at ${rate} in both directions`, async t => {
      const relay = await startRelay(t, engine, { limits: { bandwidth: rate } });
      for (const [from, to] of [
        [relay.backend, relay.client],
        [relay.client, relay.backend],
      ] as const) {
        const tookMs = await transfer(from, to, bytes);
        assert.ok(tookMs >= leastMs, `${bytes} bytes in ${tookMs} ms`);
        assert.ok(tookMs < 10 * leastMs, `${bytes} bytes in ${tookMs} ms`);
      }
    });
  }

  test('shares its bandwidth among all that it holds for', async t => {
    const relay = await startRelay(t, engine, { limits: { bandwidthPerClient: '2MB/s burst 64KiB' } });
    const second = await relay.another();
    const tookMs = await Promise.all([
      transfer(relay.backend, relay.client, 500_000),
      transfer(second.client, second.backend, 500_000),
    ]);
    assert.ok(Math.max(...tookMs) >= 450, `2 x 500,000 bytes in ${tookMs.join(' and ')} ms`);
  });

  test('delivers what was sent before an end of file, and what was received before a reset', async t => {
    const relay = await startRelay(t, engine, { limits: { bandwidth: '500KB/s burst 20KB' } });
    relay.backend.end(Buffer.alloc(100_000));
    const received = await readToEnd(relay.client);
    assert.deepEqual([received.bytes.length, received.end], [100_000, 'end']);
    relay.client.end();
    relay.backend.resume();
    assert.equal((await relay.ended()).endReason, 'done');
  });

  test('is idle only when nothing waits for bandwidth', async t => {
    const limits = { bandwidth: '40KB/s burst 16KiB' } as const;
    const relay = await startRelay(t, engine, { limits, timeouts: { idle: '1s' } });
    await transfer(relay.backend, relay.client, 90_000);
    relay.backend.end();
    relay.client.end();
    relay.client.resume();
    relay.backend.resume();
    assert.equal((await relay.ended()).endReason, 'done');
  });
}
