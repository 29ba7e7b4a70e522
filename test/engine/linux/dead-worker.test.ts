/** A worker that dies takes its connections along, and nothing else. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { checkConfig } from '../../../src/config/check-config.ts';
import { LinuxEngine } from '../../../src/engine/linux/linux-engine.ts';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { startEngine } from '../../support/engines.ts';
import type { TestEngine } from '../../support/engines.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { openDescriptors } from '../../support/worker-rig.ts';

const NAME = 'worker.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const WORKERS = 2;

const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

interface Relayed {
  readonly client: Socket;
  readonly backend: Socket;
  readonly id: number;
  readonly worker: number;
}

async function setUp(t: TestContext): Promise<{ subject: TestEngine; engine: LinuxEngine; server: Backend }> {
  const server = await startBackend(t);
  const routes = [{ match: NAME, backend: server.address }];
  const subject = await startEngine(t, { engine: 'linux', workers: WORKERS, routes });
  assert.ok(subject.engine instanceof LinuxEngine);
  return { subject, engine: subject.engine, server };
}

/** Identifiers of connections step by the number of workers. */
const workerOf = (id: number): number => (id - 1) % WORKERS;

async function relay(t: TestContext, { port, opened }: TestEngine, server: Backend): Promise<Relayed> {
  const client = await connectRaw(t, port);
  const mine = ({ client: peer }: { client: { port: number } }): boolean => peer.port === client.localPort;
  client.write(HELLO);
  const backend = await server.next();
  await readBytes(backend, HELLO.length);
  await eventually('it is announced', () => opened.some(mine));
  const { id } = opened.find(mine)!;
  return { client, backend, id, worker: workerOf(id) };
}

/** Relays until each worker has some. */
async function relayOnBoth(t: TestContext, subject: TestEngine, server: Backend): Promise<Relayed[]> {
  const relayed: Relayed[] = [];
  const has = (worker: number): boolean => relayed.filter(one => one.worker === worker).length >= 2;
  while (!has(0) || !has(1)) {
    assert.ok(relayed.length < 200, 'one worker gets nothing');
    relayed.push(await relay(t, subject, server));
  }
  return relayed;
}

async function pingPong({ client, backend }: Relayed): Promise<void> {
  client.write('ping');
  assert.equal((await readBytes(backend, 4)).toString(), 'ping');
  backend.write('pong');
  assert.equal((await readBytes(client, 4)).toString(), 'pong');
}

describe('a worker that dies', needsKernel, () => {
  test('wants no more answers to what it has asked', async t => {
    let gone = 0;
    const subject = await startEngine(
      t,
      { engine: 'linux', workers: 1, routes: [{ match: NAME, backend: 'never-answered.example.com:443' }] },
      {
        settle(_question, asker) {
          asker.gone = () => gone++;
          return new Promise(() => undefined);
        },
      },
    );
    const { engine } = subject;
    assert.ok(engine instanceof LinuxEngine);
    const [leaving, staying] = await Promise.all([connectRaw(t, subject.port), connectRaw(t, subject.port)]);
    leaving.write(HELLO);
    staying.write(HELLO);
    leaving.resetAndDestroy();
    await eventually('the client that left is told', () => gone === 1);
    await engine.crashWorker(0);
    await eventually('so is the other', () => gone === 2);
  });

  test('ends its connections as internal-error, with resets, and no other', async t => {
    const { subject, engine, server } = await setUp(t);
    const relayed = await relayOnBoth(t, subject, server);
    const lost = relayed.filter(({ worker }) => worker === 0);
    const kept = relayed.filter(({ worker }) => worker === 1);
    const ends = Promise.all(lost.flatMap(({ client, backend }) => [readToEnd(client), readToEnd(backend)]));
    await engine.crashWorker(0);
    for (const { end } of await ends) assert.equal(end, 'ECONNRESET', 'a truncation is no end of file');
    await eventually('they are announced', () => subject.ended.length === lost.length);
    assert.deepEqual(
      subject.ended.map(({ id }) => id).toSorted((left, right) => left - right),
      lost.map(({ id }) => id),
    );
    for (const { endReason } of subject.ended) assert.equal(endReason, 'internal-error');
    for (const one of kept) await pingPong(one);
    assert.equal(engine.connectionCount, kept.length);
    const told = subject.notices.filter(({ level }) => level === 'error');
    assert.equal(told.length, 1);
    assert.match(told[0]!.message, new RegExp(`^worker 0 died and took ${lost.length} connections along`));
  });

  test('is replaced soon, and nobody who waits meanwhile is turned away', async t => {
    const { subject, engine, server } = await setUp(t);
    await relayOnBoth(t, subject, server);
    await engine.crashWorker(0);
    // Whoever comes now is queued for the dead worker or taken by the other.
    const late = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const client = await connectRaw(t, subject.port);
        client.write(HELLO);
        return client;
      }),
    );
    for (const _ of late) {
      const backend = await server.next();
      await readBytes(backend, HELLO.length);
      backend.write('welcome');
    }
    for (const client of late) assert.equal((await readBytes(client, 7)).toString(), 'welcome');
    await eventually('it is told', () =>
      subject.notices.some(({ message }) => /worker 0 was replaced/.test(message)),
    );
    const workers = new Set(subject.opened.slice(-late.length).map(({ id }) => workerOf(id)));
    assert.deepEqual(workers, new Set([0, 1]));
    const ids = subject.opened.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'no identifier is used twice');
  });

  test('gives back the places its connections had at a backend with a limit', async t => {
    const limit = 40;
    const server = await startBackend(t);
    const backends = [{ address: server.address, maxConnections: limit }];
    const subject = await startEngine(t, {
      engine: 'linux',
      workers: WORKERS,
      routes: [{ match: NAME, backends }],
    });
    const { engine } = subject;
    assert.ok(engine instanceof LinuxEngine);
    const ended = (endReason: string): number =>
      subject.ended.filter(record => record.endReason === endReason).length;
    for (let count = 0; count < limit; count++) await relay(t, subject, server);
    const turnedAway = await connectRaw(t, subject.port);
    turnedAway.write(HELLO);
    await eventually('it is full', () => ended('limit') === 1);
    await engine.crashWorker(0);
    const lost = (): number => ended('internal-error');
    await eventually(
      'its connections have ended',
      () => lost() > 0 && engine.connectionCount === limit - lost(),
    );
    const places = lost();
    for (let count = 0; count < places; count++) await relay(t, subject, server);
    const next = await connectRaw(t, subject.port);
    next.write(HELLO);
    await eventually('it is full again', () => ended('limit') === 2);
    assert.equal(engine.connectionCount, limit);
  });

  test('twice in a row, and the other one too, leaves no descriptor behind', async t => {
    const { subject, engine, server } = await setUp(t);
    const replaced = (count: number): boolean =>
      subject.notices.filter(({ message }) => message.endsWith('was replaced')).length === count;
    const before = openDescriptors();
    for (const [round, worker] of [0, 0, 1].entries()) {
      const relayed = await relayOnBoth(t, subject, server);
      await engine.crashWorker(worker);
      await eventually('it is replaced', () => replaced(round + 1));
      for (const { client, backend } of relayed) {
        client.destroy();
        backend.destroy();
      }
      await eventually('nothing is open', () => engine.connectionCount === 0);
    }
    await eventually('every connection has ended once', () => subject.ended.length === subject.opened.length);
    await eventually('descriptors are back', () => openDescriptors() <= before);
    await pingPong(await relay(t, subject, server));
  });

  test('while it drains does not hold the end up', async t => {
    const { subject, engine, server } = await setUp(t);
    await relayOnBoth(t, subject, server);
    await engine.stopListening();
    const idle = engine.idle();
    await engine.crashWorker(0);
    await engine.crashWorker(1);
    await idle;
    assert.equal(engine.connectionCount, 0);
    await engine.terminate('drained');
  });

  test('before it could start, as all others did, fails the start and says why', needsKernel, async t => {
    const before = openDescriptors();
    const routes = [{ match: NAME, backend: '127.0.0.1:1' }];
    const checked = checkConfig({ listen: '127.0.0.1:0', routes });
    const plain = { ...checked, routes: [...checked.routes, ...checked.routes] };
    await assert.rejects(
      startEngine(t, { engine: 'linux', workers: WORKERS, routes }, { settings: { plain } }),
      {
        code: 'ERR_ENGINE_UNAVAILABLE',
        message: /no worker thread can start: .*routes/,
      },
    );
    await eventually('descriptors are back', () => openDescriptors() <= before);
  });
});
