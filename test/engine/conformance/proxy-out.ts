/** PROXY headers that backends are sent: what is in them, and that nothing else is changed by them. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { RouteConfig, SniwayConfig } from '../../../src/index.ts';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { encodeV2 } from '../../../src/wire/proxy-encoder.ts';
import { readProxyHeader } from '../../../src/wire/proxy-header.ts';
import type { ProxyHeader } from '../../../src/wire/proxy-header.ts';
import type { ConnectionEnd } from '../../../src/wire/proxy-types.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, readBytes, startBackend } from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import { RawListener } from '../../support/raw-sockets.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'known.example.com';
const HELLO = buildClientHello({ serverName: NAME, alpnProtocols: ['h2', 'http/1.1'] });
const ALPN = '\0\x0c\x02h2\x08http/1.1';

interface Rig {
  readonly proxy: TestProxy;
  readonly backend: Backend;
}

type Sent = Pick<RouteConfig, 'proxyProtocol' | 'tlvs'>;

async function startRig(
  t: TestContext,
  sent: Sent,
  config: Partial<SniwayConfig> & { engine: EngineName },
  host = '127.0.0.1',
): Promise<Rig> {
  const backend = await startBackend(t);
  const routes = [{ match: NAME, backend: `${host}:${backend.port}`, ...sent }];
  return { backend, proxy: await startProxy(t, { routes, ...config }) };
}

interface Arrived {
  readonly header: ProxyHeader;
  readonly server: Socket;
  readonly tlvs: Readonly<Record<number, string>>;
}

/** Reads the header that a backend gets; what follows it is left. */
async function readHeader(backend: Backend): Promise<Arrived> {
  const server = await backend.next();
  let bytes = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, await readBytes(server, 1)]);
    const header = readProxyHeader(bytes);
    assert.ok(header.kind !== 'invalid', `${bytes.toString('hex')} is no header`);
    if (header.kind === 'incomplete') continue;
    assert.equal(header.consumed, bytes.length);
    const tlvs = header.tlvs.map(({ type, value }) => [type, Buffer.from(value).toString('latin1')] as const);
    return { header, server, tlvs: Object.fromEntries(tlvs) };
  }
}

/** A whole connection with answers both ways; gives what its backend was told, and the record of its end. */
async function roundTrip({ proxy, backend }: Rig, client: Socket, first: Uint8Array = HELLO) {
  client.write(first);
  const arrived = await readHeader(backend);
  const { server } = arrived;
  assert.deepEqual([...(await readBytes(server, HELLO.length))], [...HELLO]);
  client.write('to the backend');
  assert.equal((await readBytes(server, 14)).toString(), 'to the backend');
  server.write('to the client');
  assert.equal((await readBytes(client, 13)).toString(), 'to the client');
  server.end();
  client.end();
  const record = await proxy.nextEnd();
  assert.equal(record.endReason, 'done');
  assert.deepEqual([record.bytesFromClient, record.bytesFromBackend], [HELLO.length + 14, 13]);
  return { ...arrived, record };
}

function tcp(address: string, port: number): ConnectionEnd {
  return { kind: 'tcp', address, port, family: address.includes(':') ? 6 : 4 };
}

export function describeProxyOut(engine: EngineName): void {
  // A name is dialled by another way than an address: its addresses race.
  for (const host of ['127.0.0.1', 'localhost']) {
    test(`tells ${host} the client's address in version 1, and sends the hello as it came`, async t => {
      const rig = await startRig(t, { proxyProtocol: 'v1' }, { engine }, host);
      const client = await connectRaw(t, rig.proxy.port);
      const ends = {
        source: tcp('127.0.0.1', client.localPort ?? 0),
        destination: tcp('127.0.0.1', rig.proxy.port),
      };
      const { header } = await roundTrip(rig, client);
      assert.deepEqual([header.version, header.ends], [1, ends]);
    });

    test(`tells ${host} everything in version 2 by one switch`, async t => {
      const rig = await startRig(t, { proxyProtocol: 'v2', tlvs: true }, { engine }, host);
      const client = await connectRaw(t, rig.proxy.port);
      const source = tcp('127.0.0.1', client.localPort ?? 0);
      const { header, tlvs, record } = await roundTrip(rig, client);
      assert.equal(header.version, 2);
      assert.deepEqual(header.ends, { source, destination: tcp('127.0.0.1', rig.proxy.port) });
      const { 3: checksum, 5: uniqueId = '', ...others } = tlvs;
      assert.deepEqual(others, { 1: ALPN, 2: NAME });
      assert.equal(checksum?.length, 4);
      assert.match(uniqueId, /^[0-9a-f]{16}-[0-9]+$/);
      assert.equal(uniqueId.split('-')[1], String(record.id));
    });
  }

  test('sends version 2 without TLVs, or with those that are chosen', async t => {
    const bare = await startRig(t, { proxyProtocol: 'v2' }, { engine });
    assert.deepEqual((await roundTrip(bare, await connectRaw(t, bare.proxy.port))).tlvs, {});
    const custom = [
      { type: 0xe0, value: 'eu-west' },
      { type: '0xE1', hex: '00ff' },
    ];
    const tlvs = { alpn: false, uniqueId: false, crc32c: false, custom };
    const chosen = await startRig(t, { proxyProtocol: 'v2', tlvs }, { engine });
    assert.deepEqual((await roundTrip(chosen, await connectRaw(t, chosen.proxy.port))).tlvs, {
      2: NAME,
      [0xe0]: 'eu-west',
      [0xe1]: '\0\xff',
    });
  });

  test('gives each connection another identifier, in this run and in the next', async t => {
    const seen = new Set<string>();
    for (let run = 0; run < 2; run++) {
      const rig = await startRig(t, { proxyProtocol: 'v2', tlvs: true }, { engine, workers: 2 });
      for (let count = 0; count < 8; count++) {
        const { tlvs } = await roundTrip(rig, await connectRaw(t, rig.proxy.port));
        seen.add(tlvs[5] ?? '');
      }
    }
    assert.equal(seen.size, 16);
  });

  test('passes on what another proxy has told: addresses, destination, identifier', async t => {
    const listen = [{ address: '127.0.0.1:0', proxyProtocol: { from: '127.0.0.1' } }];
    const ends = [tcp('2001:db8::7', 50_123), tcp('2001:db8::1', 443)] as const;
    const told = encodeV2(ends, [{ type: 5, value: Buffer.from('from\xffabove', 'latin1') }], false);
    for (const proxyProtocol of ['v1', 'v2'] as const) {
      const tlvs = proxyProtocol === 'v2';
      const rig = await startRig(t, { proxyProtocol, tlvs }, { engine, listen });
      const client = await connectRaw(t, rig.proxy.port);
      const arrived = await roundTrip(rig, client, Buffer.concat([told, HELLO]));
      assert.deepEqual(arrived.header.ends, { source: ends[0], destination: ends[1] });
      assert.equal(arrived.tlvs[5], tlvs ? 'from\xffabove' : undefined);
      assert.deepEqual(arrived.record.client, { address: '2001:db8::7', port: 50_123 });
    }
  });

  test('tells its own addresses of a connection that another proxy has made for itself', async t => {
    const listen = [{ address: '127.0.0.1:0', proxyProtocol: { from: '127.0.0.1' } }];
    const rig = await startRig(t, { proxyProtocol: 'v2' }, { engine, listen });
    const client = await connectRaw(t, rig.proxy.port);
    const source = tcp('127.0.0.1', client.localPort ?? 0);
    const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
    const { header } = await roundTrip(rig, client, Buffer.concat([local, HELLO]));
    assert.deepEqual(header.ends, { source, destination: tcp('127.0.0.1', rig.proxy.port) });
  });

  test('tells IPv6 addresses, and IPv4 ones that came to an IPv6 listener as IPv4', async t => {
    const rig = await startRig(t, { proxyProtocol: 'v2' }, { engine, listen: ['[::]:0'] });
    for (const host of ['::1', '127.0.0.1']) {
      const client = await connectRaw(t, { host, port: rig.proxy.port });
      const source = tcp(host, client.localPort ?? 0);
      const { header } = await roundTrip(rig, client);
      assert.deepEqual(header.ends, { source, destination: tcp(host, rig.proxy.port) });
    }
  });

  test('tells of a client of a Unix-domain socket what either version has words for', async t => {
    const path = join(tmpdir(), `sniway-proxy-out-${process.pid}-${engine}.sock`);
    const listen = [`unix:${path}`];
    const binary = await startRig(t, { proxyProtocol: 'v2', tlvs: true }, { engine, listen });
    const arrived = await roundTrip(binary, await connectRaw(t, { path }));
    assert.deepEqual(arrived.header.ends, {
      source: { kind: 'unix', path: '' },
      destination: { kind: 'unix', path },
    });
    assert.equal(arrived.tlvs[2], NAME);
    await binary.proxy.proxy.kill();
    const text = await startRig(t, { proxyProtocol: 'v1' }, { engine, listen });
    assert.equal((await roundTrip(text, await connectRaw(t, { path }))).header.ends, null);
  });

  test('sends each backend a header of its own, before the hello at each attempt', async t => {
    const lossy = await startBackend(t);
    const backend = await startBackend(t);
    const backends = [
      { address: lossy.address, proxyProtocol: 'v1' },
      { address: backend.address, backup: true, tlvs: true, proxyProtocol: 'v2' },
    ] as const;
    const proxy = await startProxy(t, { engine, routes: [{ match: NAME, backends, retry: 1 }] });
    const losing = readHeader(lossy).then(async ({ server, header }) => {
      assert.deepEqual([...(await readBytes(server, HELLO.length))], [...HELLO]);
      server.resetAndDestroy();
      return header;
    });
    const client = await connectRaw(t, proxy.port);
    const { header, tlvs, record } = await roundTrip({ proxy, backend }, client);
    const lost = await losing;
    assert.deepEqual([lost.version, header.version], [1, 2]);
    assert.deepEqual(lost.ends, header.ends);
    assert.equal(tlvs[2], NAME);
    assert.equal(record.attempts, 2);
  });

  test('sends header and hello in one segment, on trial too', { skip: !loadKernel().ok }, async t => {
    const listener = new RawListener(t);
    const addresses = [`127.0.0.1:${listener.port}`, `localhost:${listener.port}`];
    const other = { address: '127.0.0.1:1', backup: true };
    for (const backends of [...addresses.map(address => [address]), [addresses[0]!, other]]) {
      const routes = [{ match: NAME, backends, proxyProtocol: 'v2', tlvs: true } as const];
      const proxy = await startProxy(t, { engine, routes });
      const client = await connectRaw(t, proxy.port);
      client.write(HELLO);
      const server = await listener.accept();
      await server.arrival();
      const first = server.receiveNow();
      assert.ok(typeof first !== 'string');
      const header = readProxyHeader(first);
      assert.ok(header.kind === 'complete');
      assert.equal(first.length, header.consumed + HELLO.length);
      assert.equal(server.dataSegments(), 1);
      server.close();
      client.destroy();
    }
  });

  test('sends a header, hello and whatever came with it, however long', async t => {
    const rig = await startRig(t, { proxyProtocol: 'v2', tlvs: true }, { engine }, 'localhost');
    const client = await connectRaw(t, rig.proxy.port);
    const more = Buffer.alloc(1_000_000, 'm');
    client.write(Buffer.concat([HELLO, more]));
    const { server } = await readHeader(rig.backend);
    const received = await readBytes(server, HELLO.length + more.length);
    assert.ok(received.equals(Buffer.concat([HELLO, more])));
    server.end();
    client.end();
    assert.equal((await rig.proxy.nextEnd()).bytesFromClient, HELLO.length + more.length);
  });
}
