/** PROXY headers in front of the hello: whose are believed, and what becomes of those that are wrong. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ConnectionEnded, ProxyInConfig, SniwayConfig } from '../../../src/index.ts';
import { encodeV1, encodeV2 } from '../../../src/wire/proxy-encoder.ts';
import type { ConnectionEnd } from '../../../src/wire/proxy-types.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import {
  connectRaw,
  eventually,
  readBytes,
  readToEnd,
  startBackend,
  writeSegment,
} from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'known.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const ENDS: readonly [ConnectionEnd, ConnectionEnd] = [
  { kind: 'tcp', address: '192.0.2.7', port: 50_123, family: 4 },
  { kind: 'tcp', address: '198.51.100.1', port: 443, family: 4 },
];
const CLIENT = { address: '192.0.2.7', port: 50_123 };
const V1 = encodeV1(ENDS);
const V2 = encodeV2(ENDS, [{ type: 2, value: Buffer.from(NAME) }], true);
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
const UNIX_SOURCE = encodeV2(
  [
    { kind: 'unix', path: '/a' },
    { kind: 'unix', path: '/b' },
  ],
  [],
  false,
);
const FROM_HERE: ProxyInConfig = { from: '127.0.0.0/8' };

interface Rig {
  readonly proxy: TestProxy;
  readonly backend: Backend;
  readonly connect: () => Promise<Socket>;
}

async function startRig(
  t: TestContext,
  engine: EngineName,
  proxyProtocol: ProxyInConfig | undefined,
  config: Partial<SniwayConfig> = {},
): Promise<Rig> {
  const backend = await startBackend(t);
  const listen = [{ address: '127.0.0.1:0', proxyProtocol }];
  const routes = [{ match: NAME, backend: backend.address }];
  const proxy = await startProxy(t, { engine, listen, routes, ...config });
  return { proxy, backend, connect: () => connectRaw(t, proxy.port) };
}

/** The connection reaches its backend with its hello and nothing before it; gives the record of its end. */
async function expectRelay(rig: Rig, client: Socket): Promise<ConnectionEnded> {
  const server = await rig.backend.next();
  assert.deepEqual([...(await readBytes(server, HELLO.length))], [...HELLO]);
  server.end();
  client.end();
  const record = await rig.proxy.nextEnd();
  assert.equal(record.endReason, 'done');
  assert.equal(record.bytesFromClient, HELLO.length);
  return record;
}

interface Refused {
  readonly endReason: string;
  readonly detail: string | null;
}

async function expectRefusal(rig: Rig, bytes: Uint8Array, expected: Refused): Promise<ConnectionEnded> {
  const client = await rig.connect();
  client.write(bytes);
  const received = await readToEnd(client);
  client.end();
  const record = await rig.proxy.nextEnd();
  assert.deepEqual({ endReason: record.endReason, detail: record.detail }, expected);
  assert.deepEqual([...received.bytes], []);
  assert.equal(rig.backend.sockets.length, 0, 'nothing may reach the backend');
  return record;
}

function describeBelieved(engine: EngineName): void {
  for (const [what, header] of [
    ['version 1', V1],
    ['version 2', V2],
  ] as const) {
    test(`takes the client's address from a header of ${what}, in one piece with the hello`, async t => {
      const rig = await startRig(t, engine, FROM_HERE);
      const client = await rig.connect();
      const port = client.localPort;
      client.write(Buffer.concat([header, HELLO]));
      const record = await expectRelay(rig, client);
      assert.deepEqual(record.client, CLIENT);
      assert.deepEqual(record.peer, { address: '127.0.0.1', port });
    });

    test(`takes a header of ${what} that comes byte by byte, and a hello that comes later`, async t => {
      const rig = await startRig(t, engine, FROM_HERE);
      const client = await rig.connect();
      for (const byte of header) await writeSegment(client, Uint8Array.of(byte));
      await writeSegment(client, HELLO.subarray(0, 7));
      await writeSegment(client, HELLO.subarray(7));
      assert.deepEqual((await expectRelay(rig, client)).client, CLIENT);
    });
  }

  test('passes on what comes behind header and hello, all of it', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    const client = await rig.connect();
    const more = Buffer.alloc(300_000, 'm');
    client.write(Buffer.concat([V2, HELLO, more]));
    const server = await rig.backend.next();
    const received = await readBytes(server, HELLO.length + more.length);
    assert.ok(received.equals(Buffer.concat([HELLO, more])));
  });

  test('keeps the address of a peer whose header names no client', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    for (const header of [LOCAL, Buffer.from('PROXY UNKNOWN 192.0.2.1 x\r\n'), encodeV2(null, [], false)]) {
      const client = await rig.connect();
      const port = client.localPort;
      client.write(Buffer.concat([header, HELLO]));
      const record = await expectRelay(rig, client);
      assert.deepEqual([record.client, record.peer], [{ address: '127.0.0.1', port }, null]);
    }
  });

  test('takes IPv6 clients, IPv4-mapped ones as IPv4, and those of Unix-domain sockets', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    const cases: readonly (readonly [header: Uint8Array, address: string, port: number])[] = [
      [Buffer.from('PROXY TCP6 2001:DB8:0::1 ::1 5 6\r\n'), '2001:db8::1', 5],
      [Buffer.from('PROXY TCP6 ::ffff:192.0.2.9 ::1 5 6\r\n'), '192.0.2.9', 5],
      [UNIX_SOURCE, 'unix', 0],
    ];
    for (const [header, address, port] of cases) {
      const client = await rig.connect();
      client.write(Buffer.concat([header, HELLO]));
      assert.deepEqual((await expectRelay(rig, client)).client, { address, port });
    }
  });

  test('expects headers on IPv6 and Unix-domain listeners too', async t => {
    const path = join(tmpdir(), `sniway-proxy-in-${process.pid}-${engine}.sock`);
    const rig = await startRig(t, engine, undefined, {
      listen: [
        { address: '[::1]:0', proxyProtocol: { from: ['10.0.0.0/8', '::1'] } },
        { address: `unix:${path}`, proxyProtocol: {} },
      ],
    });
    const peers: unknown[] = [];
    for (const to of [{ host: '::1', port: rig.proxy.port }, { path }]) {
      const client = await connectRaw(t, to);
      client.write(Buffer.concat([V1, HELLO]));
      const record = await expectRelay(rig, client);
      assert.deepEqual(record.client, CLIENT);
      peers.push(record.peer?.address);
    }
    assert.deepEqual(peers, ['::1', 'unix']);
  });
}

function describeDistrusted(engine: EngineName): void {
  const notTls: Refused = { endReason: 'not-tls', detail: 'proxy' };
  const elsewhere: ProxyInConfig = { from: ['10.0.0.0/8', '::1', 'unix'] };

  test('refuses a header where none is expected, or from a peer that is not trusted', async t => {
    for (const expected of [undefined, elsewhere]) {
      const rig = await startRig(t, engine, expected);
      for (const header of [V1, V2, LOCAL]) {
        const record = await expectRefusal(rig, Buffer.concat([header, HELLO]), notTls);
        assert.equal(record.client.address, '127.0.0.1');
        assert.equal(record.peer, null);
      }
    }
  });

  test('serves a peer that is not trusted as the client it is', async t => {
    const rig = await startRig(t, engine, elsewhere);
    const client = await rig.connect();
    client.write(HELLO);
    const record = await expectRelay(rig, client);
    assert.deepEqual([record.client.address, record.peer], ['127.0.0.1', null]);
  });

  test('refuses a trusted peer that sends no header, unless none is required', async t => {
    const strict = await startRig(t, engine, FROM_HERE);
    await expectRefusal(strict, HELLO, { endReason: 'proxy-malformed', detail: 'no-proxy-header' });
    const lax = await startRig(t, engine, { ...FROM_HERE, required: false });
    const direct = await lax.connect();
    direct.write(HELLO);
    assert.equal((await expectRelay(lax, direct)).peer, null);
    const named = await lax.connect();
    for (const byte of V2) await writeSegment(named, Uint8Array.of(byte));
    named.write(HELLO);
    assert.deepEqual((await expectRelay(lax, named)).client, CLIENT);
    await expectRefusalAfterRelays(lax, Buffer.from('PROXY nonsense\r\n'), 'bad-proxy-line');
  });
}

/** As `expectRefusal`, where other connections have reached the backend before. */
async function expectRefusalAfterRelays(rig: Rig, bytes: Uint8Array, detail: string): Promise<void> {
  const before = rig.backend.sockets.length;
  const client = await rig.connect();
  client.write(bytes);
  await readToEnd(client);
  client.end();
  const record = await rig.proxy.nextEnd();
  assert.deepEqual([record.endReason, record.detail], ['proxy-malformed', detail]);
  assert.equal(rig.backend.sockets.length, before);
}

function describeWrong(engine: EngineName): void {
  test('refuses every malformed header, and nothing of it reaches a backend', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    const broken = Uint8Array.from(V2);
    broken[20] = 9;
    const cases: readonly (readonly [header: Uint8Array, detail: string])[] = [
      [Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 01 443\r\n'), 'bad-proxy-line'],
      [Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`), 'bad-proxy-line'],
      [Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 1 443\n'), 'bad-proxy-line'],
      [Buffer.from('GET / HTTP/1.1\r\n'), 'no-proxy-header'],
      [Buffer.from('0d0a0d0a000d0a515549540a31110000', 'hex'), 'bad-proxy-version'],
      [Buffer.from('0d0a0d0a000d0a515549540a22110000', 'hex'), 'bad-proxy-command'],
      [Buffer.from('0d0a0d0a000d0a515549540a21910000', 'hex'), 'bad-proxy-family'],
      [Buffer.from('0d0a0d0a000d0a515549540a21110000', 'hex'), 'bad-proxy-length'],
      [Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex'), 'proxy-header-too-large'],
      [broken, 'bad-proxy-checksum'],
    ];
    for (const [header, detail] of cases) {
      await expectRefusal(rig, Buffer.concat([header, HELLO]), { endReason: 'proxy-malformed', detail });
    }
    assert.equal(rig.proxy.ended.length, cases.length);
  });

  test('refuses a second header, which is no hello', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    const record = await expectRefusal(rig, Buffer.concat([V1, V2, HELLO]), {
      endReason: 'not-tls',
      detail: 'proxy',
    });
    assert.deepEqual(record.client, CLIENT);
  });

  test('ends a peer whose header does not come in time, dripping or silent', async t => {
    const rig = await startRig(t, engine, { ...FROM_HERE, timeout: '150ms' });
    for (const bytes of [new Uint8Array(0), V1.subarray(0, 20), V2.subarray(0, V2.length - 1)]) {
      const startedAt = performance.now();
      await expectRefusal(rig, bytes, { endReason: 'proxy-timeout', detail: null });
      const took = performance.now() - startedAt;
      assert.ok(took >= 140 && took < 3_000, `${took} ms`);
    }
    const drip = await rig.connect();
    const sending = (async () => {
      for (const byte of V2) {
        await new Promise(resolve => setTimeout(resolve, 20));
        if (drip.writableEnded || drip.destroyed) return;
        drip.write(Uint8Array.of(byte));
      }
    })();
    await readToEnd(drip);
    drip.end();
    assert.equal((await rig.proxy.nextEnd()).endReason, 'proxy-timeout');
    await sending;
  });

  test('gives the hello its own time behind a header', async t => {
    const timeouts = { hello: '400ms' } as const;
    const rig = await startRig(t, engine, { ...FROM_HERE, timeout: '200ms' }, { timeouts });
    const startedAt = performance.now();
    const record = await expectRefusal(rig, V2, { endReason: 'hello-timeout', detail: null });
    assert.ok(performance.now() - startedAt >= 390);
    assert.deepEqual(record.client, CLIENT);
    assert.equal(record.peer?.address, '127.0.0.1');
  });

  test('takes a peer that leaves before its header is complete for gone', async t => {
    const rig = await startRig(t, engine, FROM_HERE);
    for (const bytes of [new Uint8Array(0), V1.subarray(0, 9), V2.subarray(0, V2.length - 1), LOCAL, V1]) {
      const client = await rig.connect();
      if (bytes.length > 0) await writeSegment(client, bytes);
      client.end();
      assert.equal((await rig.proxy.nextEnd()).endReason, 'client-gone');
    }
    const reset = await rig.connect();
    await writeSegment(reset, V1.subarray(0, 9));
    await eventually('accepted', () => rig.proxy.opened() === 6);
    reset.resetAndDestroy();
    assert.equal((await rig.proxy.nextEnd()).endReason, 'client-gone');
    await eventually('closed', () => rig.proxy.proxy.connectionCount === 0);
    assert.equal(rig.backend.sockets.length, 0);
  });
}

export function describeProxyIn(engine: EngineName): void {
  describeBelieved(engine);
  describeDistrusted(engine);
  describeWrong(engine);
}
