/** Encrypted ClientHello that is opened: what backends get, and what follows the hello. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { HelloInfo } from '../../../src/index.ts';
import { readProxyHeader } from '../../../src/wire/proxy-header.ts';
import { ALERTS } from '../../../src/wire/tls-alert.ts';
import { EchClient, PUBLIC_NAME, createTestKey, encodeInner } from '../../support/ech-client.ts';
import { writeKey } from '../../support/ech-keys.ts';
import {
  finish,
  seal,
  told,
  ACCEPTED,
  CCS,
  EARLY_DATA,
  RETRY,
  RETRY_REQUEST,
  SECRET,
  SERVER_HELLO,
  expectAlert,
  expectBytes,
  sealSecond,
  startRig,
} from '../../support/ech-rig.ts';
import { buildAcceptingHello } from '../../support/ech-server.ts';
import { fragmentRecords, wrapMessage, wrapRecord, wrapRecords } from '../../support/hello-builder.ts';
import { connectRaw, readBytes, readToEnd, startBackend, writeSegment } from '../../support/peers.ts';
import type { EngineName } from '../conformance.ts';

const MIB = 1024 * 1024;

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

    test('may be the last that a client sends, and is answered', async t => {
      const rig = await startRig(t, engine);
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.end(Buffer.concat([outer, CCS]));
      const server = await rig.backend.next();
      const { bytes } = await readToEnd(server);
      assert.deepEqual(bytes, Buffer.concat([inner, CCS]));
      server.end(Buffer.concat([SERVER_HELLO, EARLY_DATA]));
      await expectBytes(client, Buffer.concat([SERVER_HELLO, EARLY_DATA]));
      assert.equal((await rig.proxy.nextEnd()).endReason, 'done');
    });

    test('is told of to functions of users by its inner name, with the outer one beside it', async t => {
      const calls: unknown[] = [];
      const backend = await startBackend(t);
      const decide = ({ serverName, outerName, ech }: HelloInfo): string => {
        calls.push({ serverName, outerName, ech });
        return backend.address;
      };
      const rig = await startRig(t, engine, { route: { backend: undefined, decide } });
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(Buffer.concat([outer, CCS]));
      const server = await backend.next();
      await expectBytes(server, Buffer.concat([inner, CCS]));
      assert.deepEqual(calls, [{ serverName: SECRET, outerName: PUBLIC_NAME, ech: 'accepted' }]);
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
      const sent = Buffer.concat([CCS, fragmentRecords(sealSecond(sealer, again), 60)]);
      for (let at = 0; at < sent.length; at += 37) await writeSegment(client, sent.subarray(at, at + 37));
      await expectBytes(server, CCS);
      const hello = wrapMessage(encodeInner(again));
      // The session of the outer hello stands in for its own, which is empty.
      const header = await readBytes(server, 5);
      const inner2 = await readBytes(server, header.readUInt16BE(3));
      assert.equal(inner2.length, hello.length + 32);
      const answer = wrapRecord(buildAcceptingHello(message, { request: RETRY_REQUEST, hello: inner2 }));
      server.write(answer);
      await expectBytes(client, answer);
      const record = await finish(client, server, rig);
      assert.deepEqual(told(record), { ...ACCEPTED, echRetried: true });
    });

    test('may be answered in pieces by a client that is paced', async t => {
      const config = { limits: { bandwidth: '4MB/s' } } as const;
      const rig = await startRig(t, engine, { config });
      const { client: sealer, outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const sent = sealSecond(sealer);
      await writeSegment(client, sent.subarray(0, 20));
      await writeSegment(client, sent.subarray(20));
      await readBytes(server, inner.length);
      await finish(client, server, rig);
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
      client.write(sealSecond(sealer));
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
      client.write(Buffer.concat([outer, sealSecond(sealer)]));
      const server = await rig.backend.next();
      await expectBytes(server, inner);
      server.write(RETRY);
      await expectBytes(client, RETRY);
      const header = await readBytes(server, 5);
      await readBytes(server, header.readUInt16BE(3));
      await finish(client, server, rig);
    });
  });
}
