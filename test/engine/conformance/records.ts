/** What the record of a connection tells of its client's hello. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import type { ConnectionEnded, SniwayConfig } from '../../../src/index.ts';
import { buildClientHello, fragmentRecords } from '../../support/hello-builder.ts';
import type { ExtensionParts, HelloParts } from '../../support/hello-builder.ts';
import { readHello } from '../../support/hello-facts.ts';
import { connectRaw, readBytes, startBackend } from '../../support/peers.ts';
import { needs, start } from '../../support/programs.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'hello.example.com';
const ECH_OUTER = Uint8Array.of(0, 0, 1, 0, 1, 7, 0, 0, 0, 2, 0xaa, 0xbb);
const ECH_INNER = Uint8Array.of(1);
const ech = (data: Uint8Array): ExtensionParts[] => [{ type: 0xfe0d, data }];

/** The record of a refused client that has sent these bytes. */
async function recordOf(
  t: TestContext,
  config: Partial<SniwayConfig>,
  bytes: Uint8Array,
): Promise<ConnectionEnded> {
  const proxy = await startProxy(t, { suffixes: 'example.org', ...config });
  const client = await connectRaw(t, proxy.port);
  client.resume();
  client.end(bytes);
  return await proxy.nextEnd();
}

/** Lets a program connect to a backend through the proxy, and checks its fingerprints against its own bytes there. */
async function expectFingerprints(
  t: TestContext,
  engine: EngineName,
  { command, ja4 }: { readonly command: readonly [string, ...string[]]; readonly ja4: RegExp },
): Promise<void> {
  const backend = await startBackend(t);
  const routes = [{ match: NAME, backend: backend.address }];
  const proxy = await startProxy(t, { engine, fingerprints: true, routes });
  const [program, ...args] = command;
  start(t, [program, ...args.map(arg => arg.replace('{port}', String(proxy.port)))]);
  const accepted = await backend.next();
  const header = await readBytes(accepted, 5);
  const payload = await readBytes(accepted, header.readUInt16BE(3));
  accepted.destroy();
  const hello = readHello(Uint8Array.from([...header, ...payload]));
  const record = await proxy.nextEnd();
  assert.match(record.ja4 ?? '', ja4);
  assert.deepEqual([record.ja3, record.ja4], [hello.ja3, hello.ja4]);
}

export function describeRecords(engine: EngineName): void {
  const hello = (parts: HelloParts = {}): Uint8Array => buildClientHello({ serverName: NAME, ...parts });

  test('takes down the versions a client offers, the highest first', async t => {
    const supportedVersions = [0x2a2a, 0x0303, 0x7f1c, 0x0304];
    const record = await recordOf(t, { engine }, hello({ supportedVersions }));
    assert.deepEqual(record.tlsVersions, ['1.3', '1.2']);
    const old = await recordOf(t, { engine }, hello({ supportedVersions: [], legacyVersion: 0x0302 }));
    assert.deepEqual(old.tlsVersions, ['1.1']);
    const none = await recordOf(t, { engine }, hello({ supportedVersions: [0x0a0a, 0x7f1c] }));
    assert.deepEqual(none.tlsVersions, []);
  });

  test('takes down whether Encrypted ClientHello is offered', async t => {
    assert.equal((await recordOf(t, { engine }, hello())).ech, 'none');
    assert.equal((await recordOf(t, { engine }, hello({ extensions: ech(ECH_OUTER) }))).ech, 'offered');
    assert.equal((await recordOf(t, { engine }, hello({ extensions: ech(ECH_INNER) }))).ech, 'inner');
  });

  test('hands out records that share one shape: V8 spends many times as much on those that do not', async t => {
    const proxy = await startProxy(t, { engine, suffixes: 'example.org' });
    const records: ConnectionEnded[] = [];
    for (let count = 0; count < 30; count++) {
      const client = await connectRaw(t, proxy.port);
      client.resume();
      client.end(hello());
      records.push(await proxy.nextEnd());
    }
    setFlagsFromString('--allow-natives-syntax');
    const haveSameShape = runInThisContext('(one, other) => %HaveSameMap(one, other)') as (
      one: object,
      other: object,
    ) => boolean;
    // The first ones are from before V8 has settled.
    assert.equal(haveSameShape(records.at(-1)!, records.at(-2)!), true);
    assert.equal(haveSameShape(records.at(-1)!, {}), false);
  });

  test('takes nothing of a hello down where none was read', async t => {
    const record = await recordOf(t, { engine, fingerprints: true }, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const { tlsVersions, ech: offer, ja3, ja4 } = record;
    assert.deepEqual(
      { tlsVersions, offer, ja3, ja4 },
      { tlsVersions: [], offer: null, ja3: null, ja4: null },
    );
  });

  test('tells fingerprints only where they are asked for', async t => {
    const bytes = hello({ alpnProtocols: ['h2'] });
    const without = await recordOf(t, { engine }, bytes);
    assert.deepEqual([without.ja3, without.ja4], [null, null]);
    const { ja3, ja4 } = readHello(bytes);
    const asked = await recordOf(t, { engine, fingerprints: true }, bytes);
    assert.deepEqual([asked.ja3, asked.ja4], [ja3, ja4]);
  });

  test('tells the same fingerprints of a hello in many records', async t => {
    const bytes = hello({ alpnProtocols: ['h2'] });
    const record = await recordOf(t, { engine, fingerprints: true }, fragmentRecords(bytes, 7));
    assert.equal(record.ja4, readHello(bytes).ja4);
  });

  test('tells the fingerprints of openssl s_client', needs('openssl'), t => {
    const options = ['-servername', NAME, '-alpn', 'h2,http/1.1', '-tls1_3'];
    const command = ['openssl', 's_client', '-connect', '127.0.0.1:{port}', ...options] as const;
    return expectFingerprints(t, engine, {
      command: [...command],
      ja4: /^t13d\d{4}h2_[0-9a-f]{12}_[0-9a-f]{12}$/,
    });
  });

  test('tells the fingerprints of curl', needs('curl'), t => {
    const to = ['--connect-to', '::127.0.0.1:{port}', '--http1.1', `https://${NAME}/`];
    const command = ['curl', '--silent', '--insecure', '--noproxy', '*', '--tls-max', '1.2', ...to] as const;
    return expectFingerprints(t, engine, {
      command: [...command],
      ja4: /^t12d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/,
    });
  });
}
