/**
 * Hostile PROXY headers on the wire: through a running proxy of each engine, none of them gets anything to a backend, and
 * the proxy serves honest clients in between and afterwards.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { readProxyHeader } from '../../src/wire/proxy-header.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../support/peers.ts';
import type { Backend } from '../support/peers.ts';
import { startProxy } from '../support/proxies.ts';
import { PROXY_HEADERS, mutateHeader } from './proxy-corpus.ts';
import { Random } from './random.ts';
import { fuzzRuns, fuzzSeed } from './settings.ts';

const RUNS = fuzzRuns(2_000);
const AT_ONCE = 50;
const NAME = 'known.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const HONEST = Buffer.concat([Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n'), HELLO]);

/** A header that its reader takes is no attack: what follows it is a hello, or is refused as none. */
function isHostile(header: Uint8Array): boolean {
  return readProxyHeader(Buffer.concat([header, HELLO])).kind !== 'complete';
}

async function attack(t: TestContext, port: number, header: Uint8Array): Promise<void> {
  const client = await connectRaw(t, port);
  client.end(Buffer.concat([header, HELLO]));
  const { bytes } = await readToEnd(client);
  assert.equal(bytes.length, 0, Buffer.from(header).toString('hex'));
  client.destroy();
}

async function serveHonest(t: TestContext, port: number, backend: Backend): Promise<void> {
  const client = await connectRaw(t, port);
  client.write(HONEST);
  const server = await backend.next();
  assert.deepEqual([...(await readBytes(server, HELLO.length))], [...HELLO]);
  server.destroy();
  client.destroy();
}

for (const engine of ['portable', 'linux'] as const) {
  test(`the ${engine} engine lets no hostile PROXY header through`, async t => {
    t.diagnostic(`SNIWAY_FUZZ_SEED=${fuzzSeed} SNIWAY_FUZZ_RUNS=${RUNS}`);
    const backend = await startBackend(t);
    const proxy = await startProxy(t, {
      engine,
      listen: [{ address: '127.0.0.1:0', proxyProtocol: { from: '127.0.0.1', timeout: '2s' } }],
      routes: [{ match: NAME, backend: backend.address }],
    });
    let honest = 0;
    let hostile = 0;
    for (let run = 0; run < RUNS; run += AT_ONCE) {
      const headers = Array.from({ length: AT_ONCE }, (_, index) => {
        const random = new Random(fuzzSeed + run + index);
        return mutateHeader(random.pick(PROXY_HEADERS), random);
      }).filter(isHostile);
      await Promise.all(headers.map(header => attack(t, proxy.port, header)));
      hostile += headers.length;
      assert.equal(backend.sockets.length, honest, 'only honest clients reach the backend');
      await serveHonest(t, proxy.port, backend);
      honest++;
    }
    await eventually('all ended', () => proxy.ended.length === hostile + honest);
    assert.equal(proxy.proxy.connectionCount, 0);
    const reasons = new Set(proxy.ended.map(({ endReason }) => endReason));
    for (const reason of reasons) {
      assert.match(reason, /^(?:proxy-malformed|client-gone|done|client-reset|backend-reset|backend-gone)$/);
    }
    assert.deepEqual(
      proxy.notices.filter(({ level }) => level === 'error'),
      [],
    );
    t.diagnostic(`${hostile} hostile headers: ${[...reasons].join(', ')}`);
    assert.ok(RUNS < 1_000 || hostile > RUNS / 4);
  });
}
