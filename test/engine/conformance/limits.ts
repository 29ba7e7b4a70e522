/** Who may connect, and how much they may take: exact at the edges, and given back whatever the end. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { SniwayConfig } from '../../../src/index.ts';
import { startEngine } from '../../support/engines.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import type { Backend, Received } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'limited.example.com';
/** Connections of the test for drift. */
const ROUNDS = Number(process.env['SNIWAY_LIMIT_ROUNDS'] ?? 400);

/** A proxy in front of one backend, and what its clients see. */
class Bench {
  readonly backend: Backend;
  readonly proxy: TestProxy;
  readonly #t: TestContext;

  constructor(t: TestContext, backend: Backend, proxy: TestProxy) {
    this.#t = t;
    this.backend = backend;
    this.proxy = proxy;
  }

  /** A client that has sent nothing yet. */
  async connect(from = '127.0.0.1'): Promise<Socket> {
    return await connectRaw(this.#t, { port: this.proxy.port, host: '127.0.0.1', localAddress: from });
  }

  /** A client that is relayed to the backend. */
  async relay(name = NAME, from?: string): Promise<{ client: Socket; backend: Socket }> {
    const client = await this.connect(from);
    const hello = buildClientHello({ serverName: name });
    client.write(hello);
    const backend = await this.backend.next();
    await readBytes(backend, hello.length);
    return { client, backend };
  }

  /** What a client sees that is refused. */
  async refused(name = NAME, from?: string): Promise<Received> {
    const client = await this.connect(from);
    const { localPort } = client;
    const received = readToEnd(client);
    client.write(buildClientHello({ serverName: name }));
    const result = await received;
    client.destroy();
    await eventually('it is told', () => this.proxy.ended.some(record => record.client.port === localPort));
    return result;
  }

  /** The details of all connections that ended over a limit. */
  overLimit(): (string | null)[] {
    return this.proxy.ended.filter(({ endReason }) => endReason === 'limit').map(({ detail }) => detail);
  }
}

async function startBench(
  t: TestContext,
  engine: EngineName,
  route: object,
  config: Partial<SniwayConfig> = {},
): Promise<Bench> {
  const backend = await startBackend(t);
  const routes = [{ name: 'it', match: [NAME, 'other.example.com'], backend: backend.address, ...route }];
  const proxy = await startProxy(t, { engine, workers: 1, routes, ...config });
  return new Bench(t, backend, proxy);
}

/** Ends a relay in the usual way, and waits for its record. */
async function finish(bench: Bench, { client, backend }: { client: Socket; backend: Socket }): Promise<void> {
  const before = bench.proxy.ended.length;
  backend.end();
  client.end();
  client.resume();
  await eventually('it has ended', () => bench.proxy.ended.length > before);
}

export function describeLimits(engine: EngineName): void {
  describeAccess(engine);
  describeCounts(engine);
  describePending(engine);
}

function describeAccess(engine: EngineName): void {
  test('refuses clients whose network may not use a listener, before they have sent anything', async t => {
    const listen = { address: '127.0.0.1:0', clients: { deny: '127.0.0.0/8', allow: '127.0.0.2' } };
    const bench = await startBench(t, engine, {}, { listen, timeouts: { hello: '2s' } });
    const client = await bench.connect();
    assert.deepEqual(await readToEnd(client), { bytes: Buffer.alloc(0), end: 'end' });
    const record = await bench.proxy.nextEnd();
    assert.deepEqual([record.endReason, record.detail, record.route], ['denied', 'client network', null]);
    await finish(bench, await bench.relay(NAME, '127.0.0.2'));
  });

  test('refuses clients whose network may not use a route, by its policy', async t => {
    const clients = { allow: ['127.0.0.0/16', '10.0.0.0/8'], deny: '127.0.0.3' };
    const bench = await startBench(t, engine, { clients }, { policies: { denied: 'access_denied' } });
    await finish(bench, await bench.relay());
    for (const from of ['127.0.0.3', '127.9.0.1']) {
      const { bytes, end } = await bench.refused(NAME, from);
      assert.deepEqual([bytes.toString('hex'), end], ['15030300020231', 'end'], from);
    }
    const denied = bench.proxy.ended.filter(({ endReason }) => endReason === 'denied');
    assert.deepEqual(
      denied.map(({ route, detail }) => [route, detail]),
      [
        ['it', 'client network'],
        ['it', 'client network'],
      ],
    );
  });
}

function describeCounts(engine: EngineName): void {
  test('lets as many connections through as the limit says, and not one more', async t => {
    const bench = await startBench(t, engine, { limits: { connections: 2 } });
    const first = await bench.relay();
    const second = await bench.relay();
    assert.deepEqual(await bench.refused(), { bytes: Buffer.alloc(0), end: 'end' });
    assert.deepEqual(bench.overLimit(), ['connections of route it']);
    await finish(bench, first);
    const third = await bench.relay();
    await bench.refused();
    await finish(bench, second);
    await finish(bench, third);
    assert.equal(bench.overLimit().length, 2);
  });

  test('counts for each client, for each name and for all together', async t => {
    const limits = { connectionsPerClient: 1, connectionsPerName: 2 };
    const bench = await startBench(t, engine, { limits }, { limits: { connections: 3 } });
    await bench.relay();
    await bench.refused('other.example.com');
    await bench.relay(NAME, '127.0.0.2');
    await bench.refused(NAME, '127.0.0.3');
    await bench.relay('other.example.com', '127.0.0.3');
    await bench.refused('other.example.com', '127.0.0.4');
    assert.deepEqual(bench.overLimit(), [
      'connections per client of route it',
      'connections per name of route it',
      'connections of the proxy',
    ]);
  });

  test('counts for each listener', async t => {
    const listen = [{ address: '127.0.0.1:0', limits: { connections: 1 } }, '127.0.0.1:0'];
    const bench = await startBench(t, engine, {}, { listen });
    await bench.relay();
    await bench.refused();
    assert.deepEqual(bench.overLimit(), ['connections of listener 1']);
    const client = await connectRaw(t, bench.proxy.proxy.addresses[1]!.port);
    client.write(buildClientHello({ serverName: NAME }));
    await bench.backend.next();
  });

  test('shows clients over a limit what the policy says', async t => {
    const limits = { connections: 1 };
    const bench = await startBench(t, engine, { limits }, { policies: { limit: 'internal_error' } });
    await bench.relay();
    assert.equal((await bench.refused()).bytes.toString('hex'), '15030300020250');
  });

  test('lets as many new connections through as the burst says, and not one more', async t => {
    const bench = await startBench(t, engine, { limits: { ratePerClient: '1/h burst 3' } });
    for (let round = 0; round < 3; round++) await finish(bench, await bench.relay());
    await bench.refused();
    await finish(bench, await bench.relay(NAME, '127.0.0.2'));
    assert.deepEqual(bench.overLimit(), ['rate per client of route it']);
  });

  test('a client over its own limit takes nothing from what all share', async t => {
    const limits = { rate: '1/h burst 3', ratePerClient: '1/h burst 1' };
    const bench = await startBench(t, engine, { limits });
    await finish(bench, await bench.relay());
    for (let round = 0; round < 5; round++) await bench.refused();
    await finish(bench, await bench.relay(NAME, '127.0.0.2'));
    await finish(bench, await bench.relay(NAME, '127.0.0.3'));
    await bench.refused(NAME, '127.0.0.4');
    assert.equal(bench.overLimit().at(-1), 'rate of route it');
  });

  test('gives a place back after every kind of end', async t => {
    const bench = await startBench(t, engine, { limits: { connections: 1 } });
    const ends: ((relay: { client: Socket; backend: Socket }) => unknown)[] = [
      ({ client }) => client.resetAndDestroy(),
      ({ backend }) => backend.resetAndDestroy(),
      ({ client, backend }) => [client.destroy(), backend.end()],
      ({ client, backend }) => [backend.destroy(), client.end(), client.resume()],
      relay => [relay.client.end(), relay.backend.end(), relay.client.resume()],
    ];
    for (const end of ends) {
      const before = bench.proxy.ended.length;
      end(await bench.relay());
      await eventually('it has ended', () => bench.proxy.ended.length > before);
    }
    // Gone before anything can be relayed, and refused because of something else.
    const unknown = await bench.connect();
    unknown.write(buildClientHello({ serverName: 'unknown.example.com' }));
    unknown.end();
    await bench.relay();
    await bench.refused();
    assert.equal(bench.overLimit().length, 1);
  });

  test('gives a place back when the backend cannot be reached', async t => {
    const bench = await startBench(t, engine, { limits: { connections: 1 } });
    bench.backend.close();
    for (let round = 0; round < 3; round++) await bench.refused();
    await eventually('all have ended', () => bench.proxy.ended.length === 3);
    assert.deepEqual(new Set(bench.proxy.ended.map(({ endReason }) => endReason)), new Set(['dial-refused']));
  });

  test(`does not drift over ${ROUNDS} connections`, { timeout: 1_800_000 }, async t => {
    const limits = { connections: 20, connectionsPerClient: 5, connectionsPerName: 10 };
    const bench = await startBench(t, engine, { limits }, { workers: 2, limits: { connections: 20 } });
    let taken = 0;
    let hasEnded = false;
    void (async () => {
      for (;;) {
        const backend = await bench.backend.next();
        backend.once('data', () =>
          hasEnded ? undefined : taken % 3 === 0 ? backend.resetAndDestroy() : backend.end(),
        );
      }
    })();
    const runClient = async (client: number): Promise<void> => {
      const hello = buildClientHello({ serverName: client % 2 === 0 ? NAME : 'other.example.com' });
      while (taken < ROUNDS) {
        const socket = await bench.connect(`127.0.0.${1 + (client % 4)}`);
        const ended = readToEnd(socket);
        socket.write(hello);
        if (taken++ % 5 === 0) socket.resetAndDestroy();
        await ended;
        socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: 40 }, (_, client) => runClient(client)));
    await eventually('all have ended', () => bench.proxy.proxy.connectionCount === 0);
    hasEnded = true;
    // Each limit is exact still: five of one client, ten of a name, twenty altogether.
    const held: Socket[] = [];
    for (const from of ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']) {
      const name = from < '127.0.0.3' ? NAME : 'other.example.com';
      for (let count = 0; count < 5; count++) {
        const client = await bench.connect(from);
        client.write(buildClientHello({ serverName: name }));
        held.push(client);
        await eventually('it is relayed', () => bench.proxy.proxy.connectionCount === held.length);
      }
    }
    const before = bench.overLimit().length;
    await bench.refused(NAME, '127.0.0.1');
    await bench.refused(NAME, '127.0.0.9');
    await eventually('both are told', () => bench.overLimit().length === before + 2);
    // Two workers tell of them, one before or after the other.
    assert.deepEqual(
      new Set(bench.overLimit().slice(before)),
      new Set(['connections per client of route it', 'connections per name of route it']),
    );
  });
}

function describePending(engine: EngineName): void {
  const timeouts = { hello: '2s' } as const;

  test('bounds the connections of one client whose hello has not come', async t => {
    const limits = { pendingHellosPerClient: 2 };
    const bench = await startBench(t, engine, {}, { limits, timeouts });
    const silent = await bench.connect();
    const half = await bench.connect();
    half.write(buildClientHello({ serverName: NAME }).subarray(0, 20));
    await eventually('both are known', () => bench.proxy.opened() === 2);
    assert.deepEqual(await readToEnd(await bench.connect()), { bytes: Buffer.alloc(0), end: 'end' });
    await eventually('it is told', () => bench.overLimit().length === 1);
    assert.deepEqual(bench.overLimit(), ['pending hellos per client']);
    await bench.connect('127.0.0.2');
    await eventually('another client is let in', () => bench.proxy.proxy.connectionCount === 3);
    half.write(buildClientHello({ serverName: NAME }).subarray(20));
    await bench.backend.next();
    silent.destroy();
    await eventually('it is gone', () => bench.proxy.proxy.connectionCount === 2);
    for (let round = 0; round < 2; round++) await bench.connect();
    await eventually('there is room again', () => bench.proxy.proxy.connectionCount === 4);
    assert.equal(bench.overLimit().length, 1);
  });

  test('ends the oldest silent connection of whoever has most when there are too many', async t => {
    const bench = await startBench(t, engine, {}, { limits: { pendingHellos: 4 }, timeouts });
    const connect = async (from: string): Promise<Socket> => {
      const known = bench.proxy.opened();
      const client = await bench.connect(from);
      await eventually('it is known', () => bench.proxy.opened() === known + 1);
      return client;
    };
    const honest = await connect('127.0.0.2');
    const oldest = readToEnd(await connect('127.0.0.1'));
    for (let count = 0; count < 2; count++) await connect('127.0.0.1');
    await connect('127.0.0.3');
    assert.equal((await oldest).end, 'end');
    await eventually('it is told', () => bench.overLimit().length === 1);
    assert.deepEqual(bench.overLimit(), ['pending hellos']);
    honest.write(buildClientHello({ serverName: NAME }));
    await bench.backend.next();
    assert.equal(bench.proxy.proxy.connectionCount, 4);
  });

  test('ends a client that drips its hello below the pace, before the deadline', async t => {
    const pending = { all: 10, perClient: 10, pace: { graceMs: 50, bytesPerSecond: 100 } };
    const routes = [{ match: NAME, reject: 'close' }] as const;
    const running = await startEngine(t, { engine, workers: 1, routes, timeouts }, { settings: { pending } });
    const client = await connectRaw(t, running.port);
    client.write(buildClientHello({ serverName: NAME }).subarray(0, 15));
    assert.equal((await readToEnd(client)).end, 'end');
    await eventually('it is told', () => running.ended.length === 1);
    const [record] = running.ended;
    assert.deepEqual([record?.endReason, record?.detail], ['hello-timeout', 'too slow']);
    assert.ok(record!.totalMs >= 195, `15 bytes have 150 ms beside the grace: ${record!.totalMs}`);
  });
}
