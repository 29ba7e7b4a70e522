/** What a client that is not relayed gets to see, and which end reason is taken down. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { SniwayConfig } from '../../../src/index.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'known.example.com';

interface Expected {
  /** Alert description the client must read in full, or how its stream ends without one. */
  readonly sees: number | 'end' | 'ECONNRESET';
  readonly endReason: string;
  readonly detail?: string;
}

async function expectRefusal(
  t: TestContext,
  config: Partial<SniwayConfig>,
  bytes: Uint8Array | null,
  expected: Expected,
): Promise<void> {
  const backend = await startBackend(t);
  const proxy = await startProxy(t, { routes: [{ match: NAME, backend: backend.address }], ...config });
  const client = await connectRaw(t, proxy.port);
  if (bytes !== null) client.write(bytes);
  const received = await readToEnd(client);
  client.end();
  const record = await proxy.nextEnd();
  assert.equal(record.endReason, expected.endReason);
  if (expected.detail !== undefined) assert.equal(record.detail, expected.detail);
  if (typeof expected.sees === 'number') {
    assert.deepEqual([...received.bytes], [21, 3, 3, 0, 2, 2, expected.sees]);
    assert.equal(received.end, 'end');
  } else {
    assert.deepEqual([...received.bytes], []);
    assert.equal(received.end, expected.sees);
  }
  assert.equal(backend.sockets.length, 0, 'nothing may reach the backend');
  assert.equal(record.bytesFromClient, 0);
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const hello = (serverName: string | null): Uint8Array => buildClientHello({ serverName });

export function describeRefusals(engine: EngineName): void {
  test('answers an unknown name with unrecognized_name', t =>
    expectRefusal(t, { engine }, hello('other.example.com'), { sees: 112, endReason: 'unknown-name' }));

  test('answers a missing name with unrecognized_name', t =>
    expectRefusal(t, { engine }, hello(null), { sees: 112, endReason: 'no-sni' }));

  test('takes an IP literal for no name', t =>
    expectRefusal(t, { engine }, hello('127.0.0.1'), { sees: 112, endReason: 'no-sni' }));

  test('answers a name with a NUL with illegal_parameter', t =>
    expectRefusal(t, { engine }, hello('known.example.com\0.evil.com'), {
      sees: 47,
      endReason: 'hello-malformed',
    }));

  test('answers a hello whose lengths disagree with decode_error', t => {
    const broken = Uint8Array.from(hello(NAME));
    broken[43] = 255;
    return expectRefusal(t, { engine }, broken, { sees: 50, endReason: 'hello-malformed' });
  });

  test('answers an oversized record with record_overflow', t =>
    expectRefusal(t, { engine }, Uint8Array.of(22, 3, 1, 0x40, 1, 1), {
      sees: 22,
      endReason: 'hello-malformed',
    }));

  test('refuses a hello by its announced length', t =>
    expectRefusal(t, { engine }, Uint8Array.of(22, 3, 1, 0x40, 0, 1, 1, 0, 1), {
      sees: 47,
      endReason: 'hello-too-large',
    }));

  test('closes plain HTTP on its first bytes', t =>
    expectRefusal(t, { engine }, Buffer.from('GET / HTTP/1.1\r\nhost: known.example.com\r\n\r\n'), {
      sees: 'end',
      endReason: 'not-tls',
      detail: 'http',
    }));

  test('closes at the hello deadline, however the hello drips', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.com', timeouts: { hello: '200ms' } });
    const client = await connectRaw(t, proxy.port);
    const bytes = hello(NAME);
    let sent = 0;
    const drip = setInterval(() => client.write(bytes.subarray(sent, ++sent)), 20);
    t.after(() => clearInterval(drip));
    const received = await readToEnd(client);
    clearInterval(drip);
    client.end();
    assert.equal(received.bytes.length, 0);
    assert.equal((await proxy.nextEnd()).endReason, 'hello-timeout');
  });

  test('closes a silent client at the hello deadline', t =>
    expectRefusal(t, { engine, timeouts: { hello: '100ms' } }, null, {
      sees: 'end',
      endReason: 'hello-timeout',
    }));

  test('resets where the policy says so', t =>
    expectRefusal(t, { engine, policies: { unknownName: 'reset' } }, hello('other.example.com'), {
      sees: 'ECONNRESET',
      endReason: 'unknown-name',
    }));

  test('keeps its policies apart', t =>
    expectRefusal(
      t,
      {
        engine,
        policies: { noSni: 'access_denied', unknownName: 'reset', malformed: 'close', notTls: 'reset' },
      },
      hello(null),
      { sees: 49, endReason: 'no-sni' },
    ));

  test('gives the answer of a route that rejects', t =>
    expectRefusal(t, { engine, routes: [{ match: NAME, reject: 'access_denied' }] }, hello(NAME), {
      sees: 49,
      endReason: 'denied',
    }));

  test('tells a client that sent more than the hello, too', t =>
    expectRefusal(t, { engine }, Buffer.concat([hello('other.example.com'), Buffer.alloc(60_000, 7)]), {
      sees: 112,
      endReason: 'unknown-name',
    }));

  test('ends a refused client that keeps sending', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.org' });
    const client = await connectRaw(t, proxy.port);
    client.resume();
    client.write(hello(NAME));
    const flood = setInterval(() => client.write(Buffer.alloc(65_536)), 1);
    t.after(() => clearInterval(flood));
    const record = await proxy.nextEnd();
    clearInterval(flood);
    assert.equal(record.endReason, 'unknown-name');
    assert.ok(record.totalMs < 3_000, `lingered for ${record.totalMs} ms`);
  });

  test('answers internal_error when nobody listens at the backend', async t =>
    expectRefusal(
      t,
      { engine, routes: [{ match: NAME, backend: `127.0.0.1:${await closedPort()}` }] },
      hello(NAME),
      { sees: 80, endReason: 'dial-refused' },
    ));

  test('answers internal_error when the backend cannot be reached', t =>
    expectRefusal(
      t,
      { engine, routes: [{ match: NAME, backend: `unix:${join(tmpdir(), 'sniway-no-such-socket')}` }] },
      hello(NAME),
      { sees: 80, endReason: 'dial-unreachable' },
    ));

  test('answers internal_error when the backend has no address', t =>
    expectRefusal(
      t,
      { engine, routes: [{ match: NAME, backend: 'no-such-host.invalid:443' }] },
      hello(NAME),
      {
        sees: 80,
        endReason: 'dns-failed',
      },
    ));

  test('refuses a loopback address behind a name the client chose', t =>
    expectRefusal(t, { engine, routes: [{ match: 'localhost', backend: '{sni}:443' }] }, hello('localhost'), {
      sees: 80,
      endReason: 'guard-refused',
    }));
}
