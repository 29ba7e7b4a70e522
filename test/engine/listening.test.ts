/** Where and how an engine listens: alone on its port, on both address families, on shared sockets with all workers. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { startEngine } from '../support/engines.ts';
import type { TestEngine } from '../support/engines.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, startBackend } from '../support/peers.ts';
import { run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { startProxy } from '../support/proxies.ts';
import { RawListener } from '../support/raw-sockets.ts';
import { startSniway } from '../support/sniway-process.ts';

const NAME = 'listen.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const WORKERS = 2;
const CLIENTS_MAX = 2_000;

const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

/** Connects again and again, many at once, until both workers have accepted; identifiers tell which one it was. */
async function reachBoth(
  t: TestContext,
  { opened }: TestEngine,
  to: Parameters<typeof connectRaw>[1],
): Promise<void> {
  const workers = (): Set<number> => new Set(opened.map(({ id }) => (id - 1) % WORKERS));
  for (let count = 0; workers().size < WORKERS; count += 50) {
    assert.ok(count < CLIENTS_MAX, `only worker ${[...workers()].join()} accepts`);
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const client = await connectRaw(t, to);
        client.write(HELLO);
        await readBytes(client, 7);
        client.destroy();
      }),
    );
    await eventually('they are announced', () => opened.length === count + 50);
  }
}

describe('a port', () => {
  for (const engine of ['linux', 'portable'] as const) {
    test(`of a running process is refused to a second one (${engine} engine)`, needsKernel, async t => {
      const first = await startSniway(t, ['--engine', engine, '-s', 'example.com']);
      const args = ['--engine', engine, '-l', `127.0.0.1:${first.port}`, '-s', 'example.com'];
      const { code, stderr } = await run(t, [process.execPath, commandFile, ...args]);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${first.port}: EADDRINUSE`));
      const client = await connectRaw(t, first.port);
      client.write(HELLO);
      await readBytes(client, 7);
    });
  }

  test('that somebody would share is not shared', needsKernel, async t => {
    const other = new RawListener(t, { reusePort: true });
    const args = ['--engine', 'linux', '-l', `127.0.0.1:${other.port}`, '-s', 'example.com'];
    const { code, stderr } = await run(t, [process.execPath, commandFile, ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /EADDRINUSE/);
  });
});

for (const engine of ['linux', 'portable'] as const) {
  test(`* takes IPv4 and IPv6 clients on one port (${engine} engine)`, needsKernel, async t => {
    const server = await startBackend(t);
    const routes = [{ match: NAME, backend: server.address }];
    const proxy = await startProxy(t, { engine, workers: WORKERS, listen: '*:0', routes });
    for (const host of ['127.0.0.1', '::1']) {
      const client = await connectRaw(t, { host, port: proxy.port });
      client.write(HELLO);
      const backend = await server.next();
      await readBytes(backend, HELLO.length);
      client.destroy();
      backend.destroy();
      assert.equal((await proxy.nextEnd()).client.address, host);
    }
  });
}

describe('a socket that all workers share', needsKernel, () => {
  test('at a path is accepted on by both', async t => {
    const path = join(tmpdir(), `sniway-${process.pid}-shared.sock`);
    const subject = await startEngine(t, {
      engine: 'linux',
      workers: WORKERS,
      listen: `unix:${path}`,
      suffixes: 'example.org',
    });
    await reachBoth(t, subject, { path });
  });

  test('that was inherited is accepted on by both', async t => {
    const inherited = new RawListener(t);
    const { port } = inherited;
    const subject = await startEngine(t, {
      engine: 'linux',
      workers: WORKERS,
      listen: `fd:${inherited.handOver()}`,
      suffixes: 'example.org',
    });
    assert.equal(subject.port, port);
    await reachBoth(t, subject, port);
  });
});
