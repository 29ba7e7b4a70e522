/** Encrypted ClientHello, byte by byte: what backends get, what clients see, and what is told of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { EchOpener } from '../../../src/ech/ech-opener.ts';
import type { ConnectionEnded, RouteConfig, SniwayConfig } from '../../../src/index.ts';
import { readProxyHeader } from '../../../src/wire/proxy-header.ts';
import { ALERTS } from '../../../src/wire/tls-alert.ts';
import { EchClient, INNER_MARK, PUBLIC_NAME, createTestKey, encodeInner } from '../../support/ech-client.ts';
import type { TestKey } from '../../support/ech-client.ts';
import { makeKeyFolder, writeKey } from '../../support/ech-keys.ts';
import { buildAcceptingHello, buildRetryRequest, buildServerHello } from '../../support/ech-server.ts';
import {
  buildClientHello,
  fragmentRecords,
  unwrapRecords,
  wrapMessage,
  wrapRecord,
  wrapRecords,
} from '../../support/hello-builder.ts';
import type { HelloParts } from '../../support/hello-builder.ts';
import { readHello } from '../../support/hello-facts.ts';
import { connectRaw, readBytes, readToEnd, startBackend, writeSegment } from '../../support/peers.ts';
import type { Backend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const SECRET = 'secret.example';
const CCS = wrapRecord(Uint8Array.of(1), 20);
const EARLY_DATA = wrapRecord(new Uint8Array(300).fill(0xdd), 23);
const SERVER_HELLO = wrapRecord(buildServerHello(new Uint8Array(32).fill(1)));
const RETRY = wrapRecord(buildRetryRequest());
const MIB = 1024 * 1024;

interface Rig {
  readonly key: TestKey;
  readonly folder: string;
  readonly proxy: TestProxy;
  readonly backend: Backend;
  readonly config: Partial<SniwayConfig>;
}

interface RigParts {
  readonly ech?: Partial<SniwayConfig['ech']>;
  readonly route?: Partial<RouteConfig>;
  /** Beside the one for the secret name; they lead to the same backend unless they say otherwise. */
  readonly routes?: readonly RouteConfig[];
  readonly config?: Partial<SniwayConfig>;
  readonly host?: string;
}

async function startRig(t: TestContext, engine: EngineName, parts: RigParts = {}): Promise<Rig> {
  const key = createTestKey();
  const folder = makeKeyFolder(t, key);
  const backend = await startBackend(t);
  const address = `${parts.host ?? '127.0.0.1'}:${backend.port}`;
  const config = {
    engine,
    routes: [
      { name: 'secret', match: SECRET, backend: address, ...parts.route },
      ...(parts.routes ?? []).map(route => ({ backend: address, ...route })),
    ],
    ech: { keys: folder, ...parts.ech },
    ...parts.config,
  };
  return { key, folder, backend, config, proxy: await startProxy(t, config) };
}

interface Sealed {
  readonly client: EchClient;
  /** The outer hello, as it is sent. */
  readonly outer: Uint8Array;
  /** The inner hello as a handshake message, and in records. */
  readonly message: Uint8Array;
  readonly inner: Uint8Array;
}

/** A first hello, and what a backend gets for it. */
function seal(key: TestKey, inner: HelloParts = {}, outer: HelloParts = {}): Sealed {
  const client = new EchClient(key);
  const sent = wrapRecords(wrapMessage(client.seal(encodeInner(inner), outer)));
  const opened = new EchOpener([key]).open(readHello(sent), 0x0301);
  assert.ok(opened.kind === 'accepted');
  return { client, outer: sent, inner: opened.records, message: unwrapRecords(opened.records) };
}

function second(client: EchClient, inner: HelloParts = {}): Uint8Array {
  return wrapRecords(wrapMessage(client.seal(encodeInner(inner))));
}

async function expectBytes(socket: Socket, bytes: Uint8Array): Promise<void> {
  assert.deepEqual(await readBytes(socket, bytes.length), Buffer.from(bytes));
}

/** Both sides say something, and end. */
async function finish(client: Socket, server: Socket, { proxy }: Rig): Promise<ConnectionEnded> {
  client.write('to the backend');
  assert.equal((await readBytes(server, 14)).toString(), 'to the backend');
  server.write('to the client');
  assert.equal((await readBytes(client, 13)).toString(), 'to the client');
  server.end();
  client.end();
  const record = await proxy.nextEnd();
  assert.equal(record.endReason, 'done');
  return record;
}

async function expectAlert(client: Socket, description: number): Promise<void> {
  const { bytes, end } = await readToEnd(client);
  assert.deepEqual(
    [bytes.toString('hex'), end],
    [`1503030002${Buffer.of(2, description).toString('hex')}`, 'end'],
  );
}

function told({ ech, serverName, outerName, echConfigId, echRetried, echBackend }: ConnectionEnded) {
  return { ech, serverName, outerName, echConfigId, echRetried, echBackend };
}

const ACCEPTED = {
  ech: 'accepted',
  serverName: SECRET,
  outerName: PUBLIC_NAME,
  echConfigId: 7,
  echRetried: false,
  echBackend: 'confirmed',
} as const;

export function describeEch(engine: EngineName): void {
  describe('Encrypted ClientHello that is accepted', () => {
    // A name is dialled by another way than an address.
    for (const host of ['127.0.0.1', 'localhost']) {
      test(`reaches ${host} as the inner hello, and what follows it as it came`, async t => {
        const rig = await startRig(t, engine, { host });
        const { outer, inner, message } = seal(rig.key);
        const client = await connectRaw(t, rig.proxy.port);
        client.write(Buffer.concat([outer, CCS, EARLY_DATA]));
        const server = await rig.backend.next();
        await expectBytes(server, Buffer.concat([inner, CCS, EARLY_DATA]));
        const answer = wrapRecord(buildAcceptingHello(message, null));
        server.write(answer);
        await expectBytes(client, answer);
        const record = await finish(client, server, rig);
        assert.deepEqual(told(record), ACCEPTED);
        assert.deepEqual(
          [record.route, record.bytesFromClient],
          ['secret', inner.length + CCS.length + EARLY_DATA.length + 14],
        );
      });
    }

    test('may come in small records and single bytes', async t => {
      const rig = await startRig(t, engine);
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      const pieces = Buffer.concat([fragmentRecords(outer, 40), CCS]);
      for (const byte of pieces) await writeSegment(client, Uint8Array.of(byte));
      const server = await rig.backend.next();
      await expectBytes(server, Buffer.concat([inner, CCS]));
      server.write(SERVER_HELLO);
      await expectBytes(client, SERVER_HELLO);
      await finish(client, server, rig);
    });

    test('goes on as any other connection, with megabytes both ways', async t => {
      const rig = await startRig(t, engine);
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(SERVER_HELLO);
      await expectBytes(client, SERVER_HELLO);
      const [up, down] = [randomBytes(8 * MIB), randomBytes(8 * MIB)];
      client.write(up);
      server.write(down);
      const [gotUp, gotDown] = await Promise.all([
        readBytes(server, up.length),
        readBytes(client, down.length),
      ]);
      assert.ok(gotUp.equals(up) && gotDown.equals(down));
      const record = await finish(client, server, rig);
      assert.equal(record.bytesFromClient, inner.length + up.length + 14);
    });

    test('is sent anew to another backend where the first one closes', async t => {
      const first = await startBackend(t);
      const second = await startBackend(t);
      const backends = [first, second].map(({ port }) => `127.0.0.1:${port}`);
      const rig = await startRig(t, engine, { route: { backend: undefined, backends } });
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(Buffer.concat([outer, CCS]));
      const lost = await first.next();
      await expectBytes(lost, Buffer.concat([inner, CCS]));
      lost.end();
      const server = await second.next();
      await expectBytes(server, Buffer.concat([inner, CCS]));
      server.write(SERVER_HELLO);
      await expectBytes(client, SERVER_HELLO);
      const record = await finish(client, server, rig);
      assert.deepEqual([record.attempts, record.echBackend], [2, 'unconfirmed']);
    });

    test('comes behind a PROXY header, which names the inner name', async t => {
      const route = { proxyProtocol: 'v2', tlvs: true } as const;
      const rig = await startRig(t, engine, { route });
      const { outer, inner } = seal(rig.key, { alpnProtocols: ['h2'] }, { alpnProtocols: ['http/1.1'] });
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      let bytes = Buffer.alloc(0);
      let header = readProxyHeader(bytes);
      while (header.kind === 'incomplete') {
        bytes = Buffer.concat([bytes, await readBytes(server, 1)]);
        header = readProxyHeader(bytes);
      }
      assert.ok(header.kind !== 'invalid');
      const tlvs = new Map(
        header.tlvs.map(({ type, value }) => [type, Buffer.from(value).toString('latin1')]),
      );
      assert.deepEqual([tlvs.get(1), tlvs.get(2)], ['\0\x03\x02h2', SECRET]);
      await expectBytes(server, inner);
      client.end();
      server.end();
      assert.deepEqual((await rig.proxy.nextEnd()).alpnProtocols, ['h2']);
    });

    test('keeps its inner name out of records where it is not to be told', async t => {
      const rig = await startRig(t, engine, { ech: { logInnerName: false } });
      const { outer, inner } = seal(rig.key, { alpnProtocols: ['h2'] }, { alpnProtocols: ['http/1.1'] });
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      client.end();
      server.end();
      const record = await rig.proxy.nextEnd();
      assert.equal(JSON.stringify(record).includes(SECRET), false);
      assert.deepEqual(
        [record.serverName, record.alpnProtocols, record.route],
        [PUBLIC_NAME, ['http/1.1'], 'secret'],
      );
    });
  });

  describe('a HelloRetryRequest behind an encrypted hello', () => {
    test('is answered by a second hello, which is opened too', async t => {
      const rig = await startRig(t, engine);
      const { client: sealer, outer, inner, message } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const again = { supportedGroups: [23] };
      const sent = Buffer.concat([CCS, fragmentRecords(second(sealer, again), 60)]);
      for (let at = 0; at < sent.length; at += 37) await writeSegment(client, sent.subarray(at, at + 37));
      await expectBytes(server, CCS);
      const hello = wrapMessage(encodeInner(again));
      // The session of the outer hello stands in for its own, which is empty.
      const header = await readBytes(server, 5);
      const inner2 = await readBytes(server, header.readUInt16BE(3));
      assert.equal(inner2.length, hello.length + 32);
      const answer = wrapRecord(
        buildAcceptingHello(message, { request: buildRetryRequest(), hello: inner2 }),
      );
      server.write(answer);
      await expectBytes(client, answer);
      const record = await finish(client, server, rig);
      assert.deepEqual(told(record), { ...ACCEPTED, echRetried: true });
    });

    test('ends with an alert where the second hello cannot be opened, and ends its backend', async t => {
      const rig = await startRig(t, engine);
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const ended = readToEnd(server);
      const other = new EchClient(rig.key);
      client.write(wrapRecords(wrapMessage(other.seal(encodeInner(), {}, { enc: new Uint8Array(0) }))));
      await expectAlert(client, ALERTS.decrypt_error);
      assert.equal((await ended).bytes.length, 0);
      client.end();
      const { endReason, detail, ech } = await rig.proxy.nextEnd();
      assert.deepEqual([endReason, detail, ech], ['hello-malformed', 'retry-not-opened', 'accepted']);
      assert.equal(rig.proxy.proxy.connectionCount, 0);
    });

    test('is not waited for longer than for a first hello', async t => {
      const rig = await startRig(t, engine, { config: { timeouts: { hello: '300ms' } } });
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const ended = readToEnd(server);
      const { end } = await readToEnd(client);
      client.end();
      assert.deepEqual([end, (await rig.proxy.nextEnd()).endReason], ['end', 'hello-timeout']);
      assert.equal((await ended).bytes.length, 0);
    });

    test('gets through a reload that drops the key in its middle', async t => {
      const rig = await startRig(t, engine);
      const { client: sealer, outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      rmSync(join(rig.folder, '7.ech'));
      writeKey(rig.folder, createTestKey({ configId: 8 }));
      const { settings } = await rig.proxy.proxy.reload({ listen: '127.0.0.1:0', ...rig.config });
      assert.deepEqual(settings, ['ech']);
      client.write(second(sealer));
      const header = await readBytes(server, 5);
      assert.equal(header.readUInt16BE(3), inner.length - 5);
      await readBytes(server, inner.length - 5);
      await finish(client, server, rig);
      // The old key is gone for new connections.
      const late = await connectRaw(t, rig.proxy.port);
      late.write(seal(rig.key).outer);
      await expectAlert(late, ALERTS.unrecognized_name);
      late.end();
      const record = await rig.proxy.nextEnd();
      assert.deepEqual(
        [record.ech, record.serverName, record.endReason],
        ['undecryptable', PUBLIC_NAME, 'unknown-name'],
      );
    });

    test('has no say over a client that sends its second hello too early', async t => {
      const rig = await startRig(t, engine);
      const { client: sealer, outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(Buffer.concat([outer, second(sealer)]));
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const header = await readBytes(server, 5);
      await readBytes(server, header.readUInt16BE(3));
      await finish(client, server, rig);
    });
  });

  describe('Encrypted ClientHello that is not opened', () => {
    test('goes where its outer name leads, as it came, whatever key it pretends to have', async t => {
      const rig = await startRig(t, engine, { routes: [{ match: 'site.example' }] });
      const sent = seal(createTestKey(), {}, { serverName: 'site.example' }).outer;
      const client = await connectRaw(t, rig.proxy.port);
      client.write(sent);
      const server = await rig.backend.next();
      await expectBytes(server, sent);
      const record = await finish(client, server, rig);
      const expected = {
        ...ACCEPTED,
        ech: 'not-ours',
        serverName: 'site.example',
        outerName: null,
        echBackend: null,
      };
      assert.deepEqual(told(record), expected);
    });

    test('goes to the fallback where its outer name is a public name', async t => {
      const fallback = await startBackend(t);
      const routes = [{ name: 'fallback', match: 'unused.example', backend: `127.0.0.1:${fallback.port}` }];
      const rig = await startRig(t, engine, { routes, ech: { fallback: 'fallback' } });
      const sent = seal(createTestKey()).outer;
      const client = await connectRaw(t, rig.proxy.port);
      client.write(sent);
      const server = await fallback.next();
      await expectBytes(server, sent);
      const record = await finish(client, server, rig);
      assert.deepEqual(
        [record.ech, record.route, record.serverName],
        ['undecryptable', 'fallback', PUBLIC_NAME],
      );
    });

    test('is refused with the alert that fits where it breaks the rules', async t => {
      const rig = await startRig(t, engine);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(buildClientHello({ serverName: SECRET, extensions: [INNER_MARK] }));
      await expectAlert(client, ALERTS.illegal_parameter);
      client.end();
      const { ech, endReason, detail } = await rig.proxy.nextEnd();
      assert.deepEqual([ech, endReason, detail], ['illegal', 'hello-malformed', 'ech-inner-in-clear']);
    });
  });

  describe('the ech of routes', () => {
    test('required answers a name only through Encrypted ClientHello', async t => {
      const rig = await startRig(t, engine, { route: { ech: 'required' } });
      const plain = await connectRaw(t, rig.proxy.port);
      plain.write(buildClientHello({ serverName: SECRET }));
      await expectAlert(plain, ALERTS.unrecognized_name);
      plain.end();
      const refused = await rig.proxy.nextEnd();
      assert.deepEqual(
        [refused.endReason, refused.detail, refused.route],
        ['unknown-name', 'ech: required', null],
      );
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      await expectBytes(await rig.backend.next(), inner);
    });

    test('off answers it only in clear', async t => {
      const rig = await startRig(t, engine, { route: { ech: 'off' } });
      const client = await connectRaw(t, rig.proxy.port);
      client.write(seal(rig.key).outer);
      await expectAlert(client, ALERTS.unrecognized_name);
      client.end();
      assert.equal((await rig.proxy.nextEnd()).detail, 'ech: off');
      const plain = await connectRaw(t, rig.proxy.port);
      const hello = buildClientHello({ serverName: SECRET });
      plain.write(hello);
      await expectBytes(await rig.backend.next(), hello);
    });
  });

  describe('an inner name that no route takes', () => {
    for (const serverName of ['other.example', null]) {
      test(`gets an alert, whatever others get: ${serverName}`, async t => {
        const config = { policies: { unknownName: 'reset', noSni: 'reset' } } as const;
        const rig = await startRig(t, engine, { config, routes: [{ match: PUBLIC_NAME }] });
        const client = await connectRaw(t, rig.proxy.port);
        client.write(seal(rig.key, { serverName }).outer);
        await expectAlert(client, ALERTS.unrecognized_name);
        client.end();
        const { ech, endReason } = await rig.proxy.nextEnd();
        assert.deepEqual([ech, endReason], ['accepted', serverName === null ? 'no-sni' : 'unknown-name']);
      });

      test(`goes to the route for such: ${serverName}`, async t => {
        const rig = await startRig(t, engine, { ech: { unknownInner: 'secret' } });
        const { outer, inner } = seal(rig.key, { serverName });
        const client = await connectRaw(t, rig.proxy.port);
        client.write(outer);
        const server = await rig.backend.next();
        await expectBytes(server, inner);
        client.end();
        server.end();
        const record = await rig.proxy.nextEnd();
        assert.deepEqual([record.route, record.serverName], ['secret', serverName]);
      });
    }
  });

  describe('a backend that does not know inner hellos', () => {
    for (const [verifyBackend, count] of [
      ['warn', 1],
      ['off', 0],
    ] as const) {
      test(`is told of ${count === 1 ? 'once' : 'never'} with verifyBackend: ${verifyBackend}`, async t => {
        const rig = await startRig(t, engine, { ech: { verifyBackend } });
        for (let index = 0; index < 3; index++) {
          const client = await connectRaw(t, rig.proxy.port);
          client.write(seal(rig.key).outer);
          const server = await rig.backend.next();
          server.write(SERVER_HELLO);
          await expectBytes(client, SERVER_HELLO);
          client.end();
          server.end();
          assert.equal((await rig.proxy.nextEnd()).echBackend, 'unconfirmed');
        }
        const told = rig.proxy.notices.filter(({ message }) =>
          message.includes('does not support Encrypted'),
        );
        assert.equal(told.length, count);
        if (count === 1)
          assert.ok(told[0]!.message.includes(`127.0.0.1:${rig.backend.port} of route 'secret'`));
      });
    }
  });
}
