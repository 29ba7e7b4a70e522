/** Clients and backends that disappear at every stage leave no socket, no timer and no memory behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import { startBlackHole } from '../../support/black-hole.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'vanish.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const VANISHING = 1_000;
const AT_ONCE = 100;

/** Open descriptors of this process, where the system shows them. */
function openFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

/** How often a batch may go unseen: a kernel that holds silent clients back never shows those that reset. */
type Seen = 'always' | 'unless it was reset first';

async function vanish(
  t: TestContext,
  proxy: TestProxy,
  leave: (client: Socket, index: number) => Promise<void> | void,
  seen: Seen = 'always',
): Promise<void> {
  const before = openFiles();
  for (let done = 0; done < VANISHING; done += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, index) => {
        const client = await connectRaw(t, proxy.port);
        await leave(client, index);
        if (!client.destroyed) client.destroy();
      }),
    );
    const least = seen === 'always' ? done + AT_ONCE : (done + AT_ONCE) / 2;
    await eventually('the batch has ended', () => proxy.ended.length >= least, 20_000);
  }
  await eventually('nothing is open', () => proxy.proxy.connectionCount === 0);
  await eventually('every connection has ended', () => proxy.ended.length === proxy.opened());
  if (seen === 'always') assert.equal(proxy.ended.length, VANISHING);
  assert.ok(proxy.ended.length <= VANISHING);
  assert.deepEqual(
    proxy.notices.filter(notice => notice.level === 'error'),
    [],
  );
  await eventually('descriptors are back', () => openFiles() <= before + 4);
}

function reasons(proxy: TestProxy): string[] {
  return [...new Set(proxy.ended.map(record => record.endReason))].toSorted();
}

export function describeVanishing(engine: EngineName): void {
  test('1,000 clients that leave before a byte leave nothing behind', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.com' });
    const leave = (client: Socket, index: number): void => {
      if (index % 2 === 0) client.resetAndDestroy();
    };
    await vanish(t, proxy, leave, 'unless it was reset first');
    assert.deepEqual(reasons(proxy), ['client-gone']);
  });

  test('1,000 clients that leave within their hello leave nothing behind', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.com' });
    await vanish(t, proxy, async (client, index) => {
      await new Promise(resolve => {
        client.write(HELLO.subarray(0, 1 + index), resolve);
      });
      if (index % 2 === 0) client.resetAndDestroy();
    });
    assert.deepEqual(reasons(proxy), ['client-gone']);
  });

  test('1,000 clients that leave while their backend is looked up leave nothing behind', async t => {
    const routes = [{ match: NAME, backend: 'no-such-host.invalid:443' }];
    const proxy = await startProxy(t, { engine, routes });
    await vanish(t, proxy, async (client, index) => {
      await new Promise(resolve => {
        client.write(HELLO, resolve);
      });
      if (index % 2 === 0) client.resetAndDestroy();
    });
    for (const reason of reasons(proxy)) assert.match(reason, /^(client-gone|dns-failed)$/);
  });

  test('1,000 clients that leave while they are refused leave nothing behind', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.org' });
    await vanish(t, proxy, async (client, index) => {
      await new Promise(resolve => {
        client.write(HELLO, resolve);
      });
      if (index % 2 === 0) await readBytes(client, 7);
      client.resetAndDestroy();
    });
    for (const reason of reasons(proxy)) assert.match(reason, /^(client-gone|unknown-name)$/);
  });

  test('1,000 clients that reset while their backend is dialled leave nothing behind', async t => {
    const hole = await startBlackHole(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: hole.address }] });
    await vanish(t, proxy, async client => {
      await new Promise(resolve => {
        client.write(HELLO, resolve);
      });
      await new Promise(resolve => {
        setTimeout(resolve, 20);
      });
      client.resetAndDestroy();
    });
    assert.deepEqual(reasons(proxy), ['client-gone']);
  });

  test('1,000 clients that reset in their relay leave nothing behind', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    await vanish(t, proxy, async client => {
      client.write(HELLO);
      const backend = await server.next();
      // Node takes a reset that comes along with data for an end of file.
      await readBytes(backend, HELLO.length);
      backend.resume();
      client.resetAndDestroy();
    });
    assert.deepEqual(reasons(proxy), ['client-reset']);
    await eventually('backends are rid of theirs', () => server.sockets.every(socket => socket.destroyed));
  });

  test('1,000 backends that reset leave nothing behind', async t => {
    const server = await startBackend(t);
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backend: server.address }] });
    await vanish(t, proxy, async client => {
      // The backend in hand may be another client's: whose is reset first is open.
      const closed = new Promise(resolve => {
        client.once('close', resolve);
      });
      client.resume();
      client.once('end', () => client.destroy());
      client.write(HELLO);
      const backend = await server.next();
      await readBytes(backend, HELLO.length);
      backend.resetAndDestroy();
      await closed;
    });
    assert.deepEqual(reasons(proxy), ['backend-reset']);
  });

  test('ends dialling at its deadline', async t => {
    const hole = await startBlackHole(t);
    const proxy = await startProxy(t, {
      engine,
      routes: [{ match: NAME, backend: hole.address }],
      timeouts: { dial: '150ms' },
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    assert.deepEqual([...(await readBytes(client, 7))], [21, 3, 3, 0, 2, 2, 80]);
    client.destroy();
    assert.equal((await proxy.nextEnd()).endReason, 'dial-timeout');
  });

  test('kill -9 of a backend ends its connections at once, and no other', async t => {
    const doomed = await startBackendProcess(t);
    const other = await startBackend(t);
    const proxy = await startProxy(t, {
      engine,
      routes: [
        { match: NAME, backend: `127.0.0.1:${doomed.port}` },
        { match: 'other.example.com', backend: other.address },
      ],
    });
    const bystander = await connectRaw(t, proxy.port);
    const otherHello = buildClientHello({ serverName: 'other.example.com' });
    bystander.write(otherHello);
    const otherBackend = await other.next();
    await readBytes(otherBackend, otherHello.length);

    const victims = await Promise.all(Array.from({ length: 20 }, () => connectRaw(t, proxy.port)));
    for (const victim of victims) {
      victim.write(HELLO);
      await readBytes(victim, HELLO.length);
      // As TLS clients do: the end of the backend is the end of the connection.
      victim.once('end', () => victim.end());
      victim.resume();
    }
    const killedAt = performance.now();
    doomed.kill();
    await eventually('the connections are gone', () => proxy.ended.length === victims.length, 2_000);
    const took = performance.now() - killedAt;
    assert.ok(took < 1_000, `took ${took} ms`);
    for (const record of proxy.ended) assert.match(record.endReason, /^(done|backend-reset)$/);

    bystander.write('still here');
    assert.equal((await readBytes(otherBackend, 10)).toString(), 'still here');
    assert.equal(proxy.proxy.connectionCount, 1);
  });
}

const ECHO_PROGRAM = `
  require('node:net')
    .createServer(socket => socket.on('error', () => {}).pipe(socket))
    .listen(0, '127.0.0.1', function () { process.stdout.write(this.address().port + '\\n'); });
`;

async function startBackendProcess(t: TestContext): Promise<{ port: number; kill: () => void }> {
  const child = spawn(process.execPath, ['-e', ECHO_PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { port: Number(line.toString()), kill: () => child.kill('SIGKILL') };
}
