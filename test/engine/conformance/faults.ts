/** Exceptions, urgent data, silence: what is rare, and what must not spread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MSG_NOSIGNAL, MSG_OOB } from '../../../src/engine/linux/syscalls/constants.ts';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { candidateAt } from '../../support/candidates.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { startEngine } from '../../support/engines.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import { RawListener, connectRawSocket } from '../../support/raw-sockets.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'fault.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const OPEN_QUESTION = buildClientHello({ serverName: 'open.example.com' });

const needsKernel = { skip: loadKernel().ok ? false : 'there are no raw sockets here' };

export function describeFaults(engine: EngineName): void {
  test('relays past urgent data, which is dropped, as it comes', needsKernel, async t => {
    const server = new RawListener(t);
    const proxy = await startProxy(t, {
      engine,
      routes: [{ match: NAME, backend: `127.0.0.1:${server.port}` }],
    });
    const client = await connectRawSocket(t, proxy.port);
    await client.send(HELLO);
    const backend = await server.accept();
    await backend.receive(HELLO.length);
    for (const bytes of [3, 100_000, 2_000_000]) {
      const block = Buffer.alloc(bytes, 7);
      const received = backend.receive(2 * bytes);
      await client.send(block);
      client.sendNow(Buffer.from('!'), MSG_OOB | MSG_NOSIGNAL);
      await client.send(block);
      assert.equal((await received).bytes.length, 2 * bytes);
    }
    client.finish();
    assert.equal((await backend.receive(1)).end, 'end', 'nothing was doubled');
    backend.close();
  });

  test('relays a hello with urgent data behind it', needsKernel, async t => {
    const server = new RawListener(t);
    const proxy = await startProxy(t, {
      engine,
      routes: [{ match: NAME, backend: `127.0.0.1:${server.port}` }],
    });
    const client = await connectRawSocket(t, proxy.port);
    client.sendNow(HELLO.subarray(0, 50));
    client.sendNow(Buffer.from('!'), MSG_OOB | MSG_NOSIGNAL);
    client.sendNow(HELLO.subarray(50));
    const backend = await server.accept();
    assert.deepEqual((await backend.receive(HELLO.length)).bytes, Buffer.from(HELLO));
    backend.reset();
  });

  test('an unanswered question for a name holds up no other connection', async t => {
    const server = await startBackend(t);
    const {
      port,
      ended,
      engine: subject,
    } = await startEngine(t, {
      engine,
      workers: 1,
      timeouts: { dial: '60s' },
      routes: [
        { match: NAME, backend: server.address },
        { match: 'open.example.com', backend: 'never-answered.example.com:443' },
      ],
    });
    const [leaving, flooding, staying] = await Promise.all([
      connectRaw(t, port),
      connectRaw(t, port),
      connectRaw(t, port),
    ]);
    for (const client of [leaving, flooding, staying]) client.write(OPEN_QUESTION);
    const client = await connectRaw(t, port);
    client.write(HELLO);
    const backend = await server.next();
    await readBytes(backend, HELLO.length);
    backend.write('pong');
    assert.equal((await readBytes(client, 4)).toString(), 'pong');
    leaving.resetAndDestroy();
    await eventually('the client that left is gone', () => ended.length === 1);
    assert.equal(ended[0]?.endReason, 'client-gone');
    assert.equal(subject.connectionCount, 3);
    // More than is kept while waiting, then a reset: it is found although it is not read any more.
    flooding.write(Buffer.alloc(300_000));
    await new Promise(resolve => {
      setTimeout(resolve, 50);
    });
    flooding.resetAndDestroy();
    if (engine === 'linux') await eventually('that one, too', () => ended.length === 2);
    client.end();
    backend.end();
    client.resume();
    await eventually('the relay has ended', () => ended.some(({ endReason }) => endReason === 'done'));
  });

  test('a question that fails ends its connection as internal-error, and no other', async t => {
    const decide = (): string => 'localhost:1';
    const { port, ended, notices } = await startEngine(
      t,
      { engine, routes: [{ match: NAME, decide }] },
      { settle: () => Promise.reject(new Error('failed on purpose')) },
    );
    for (let count = 1; count <= 2; count++) {
      const victim = await connectRaw(t, port);
      const received = readToEnd(victim);
      victim.write(HELLO);
      assert.equal((await received).end, 'ECONNRESET');
      await eventually('it has ended', () => ended.length === count);
      assert.equal(ended[count - 1]?.endReason, 'internal-error');
      assert.match(notices[count - 1]?.message ?? '', /: Error: failed on purpose\n +at /);
    }
  });
}

/** Only for engines whose decisions are made by their host on the main thread. */
export function describeHostFaults(engine: EngineName): void {
  test('an exception while deciding ends that connection as internal-error, and no other', async t => {
    const server = await startBackend(t);
    const { port, ended, notices } = await startEngine(
      t,
      { engine, routes: [{ match: NAME, backend: server.address }] },
      {
        decide(hello) {
          if (hello.serverName !== NAME) throw new Error('decided to fail');
          return {
            kind: 'relay',
            route: NAME,
            candidates: [candidateAt(server.port)],
            options: { retry: false, idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 },
          };
        },
      },
    );
    const bystander = await connectRaw(t, port);
    bystander.write(HELLO);
    const backend = await server.next();
    await readBytes(backend, HELLO.length);
    const victim = await connectRaw(t, port);
    const received = readToEnd(victim);
    victim.write(OPEN_QUESTION);
    assert.equal((await received).end, 'ECONNRESET');
    await eventually('it has ended', () => ended.length === 1);
    assert.equal(ended[0]?.endReason, 'internal-error');
    assert.equal(notices.length, 1);
    assert.match(notices[0]!.message, /^connection 2 failed: Error: decided to fail\n +at /);
    backend.write('still here');
    assert.equal((await readBytes(bystander, 10)).toString(), 'still here');
  });
}
