/** Keys are replaced while clients come and go, some of them between their first and their second hello. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { EngineName } from '../engine/conformance.ts';
import { EchClient, createTestKey, encodeInner } from '../support/ech-client.ts';
import type { TestKey } from '../support/ech-client.ts';
import { makeKeyFolder, writeKey } from '../support/ech-keys.ts';
import { buildAcceptingHello, buildRetryRequest } from '../support/ech-server.ts';
import { unwrapRecords, wrapMessage, wrapRecord, wrapRecords } from '../support/hello-builder.ts';
import { readHello } from '../support/hello-facts.ts';
import { connectRaw, readBytes } from '../support/peers.ts';
import { startProxy } from '../support/proxies.ts';

/** At full size: SNIWAY_ECH_ROTATIONS=250. */
const ROTATIONS = Number(process.env['SNIWAY_ECH_ROTATIONS'] ?? 12);
const CLIENTS = 12;
/** Old keys that stay for those who have just read the record. */
const KEPT = 2;
const TEXT = Buffer.from('through the new keys');
const RECORD_HEADER_BYTES = 5;

export function describeRotation(engine: EngineName): void {
  test(`${engine} engine: no connection fails while keys are replaced`, { timeout: 120_000 }, async t => {
    const backend = await startRetryingBackend(t);
    let published = createTestKey({ configId: 0 });
    const folder = makeKeyFolder(t, published);
    const config = {
      engine,
      listen: '127.0.0.1:0',
      routes: [
        { name: 'hidden', match: '*.example', backend: `127.0.0.1:${backend}`, ech: 'required' as const },
      ],
      ech: { keys: folder },
    };
    const { proxy, port, ended } = await startProxy(t, config);
    const rotations = new EventEmitter().setMaxListeners(0);
    const traffic = { isOver: false, done: 0, acrossRotations: 0 };

    /** One client after the other; every second one waits for the next rotation before its second hello. */
    const comeAndGo = async (number: number): Promise<void> => {
      for (let count = 0; !traffic.isOver; count++) {
        const isRetried = (count + number) % 2 === 0;
        const waits = isRetried && count % 3 === 0;
        await connectOnce(t, {
          port,
          key: published,
          isRetried,
          between: () => (waits && !traffic.isOver ? once(rotations, 'done') : null),
        });
        traffic.done++;
        if (waits) traffic.acrossRotations++;
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, number) => comeAndGo(number));
    for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
      const before = traffic.done;
      const next = createTestKey({ configId: rotation % 256 });
      writeKey(folder, next);
      if (rotation > KEPT) rmSync(join(folder, `${(rotation - KEPT - 1) % 256}.ech`));
      const { settings } = await proxy.reload(config);
      assert.deepEqual(settings, ['ech']);
      published = next;
      rotations.emit('done');
      // Every rotation meets traffic.
      while (traffic.done < before + CLIENTS) await Promise.race([...clients, once(proxy, 'ended')]);
    }
    traffic.isOver = true;
    rotations.emit('done');
    await Promise.all(clients);
    while (ended.length < traffic.done) await once(proxy, 'ended');
    assert.ok(
      traffic.acrossRotations >= ROTATIONS,
      `${traffic.acrossRotations} connections lasted over a rotation`,
    );
    const wrong = ended.filter(({ ech, endReason, echBackend }) => {
      return ech !== 'accepted' || endReason !== 'done' || echBackend !== 'confirmed';
    });
    assert.deepEqual(wrong, []);
    assert.equal(proxy.connectionCount, 0);
  });
}

interface Visit {
  readonly port: number;
  readonly key: TestKey;
  readonly isRetried: boolean;
  /** Waited for before the second hello. */
  readonly between: () => Promise<unknown> | null;
}

async function connectOnce(t: TestContext, { port, key, isRetried, between }: Visit): Promise<void> {
  const client = await connectRaw(t, port);
  const sealer = new EchClient(key);
  const inner = encodeInner({ serverName: isRetried ? 'retried.example' : 'direct.example' });
  const seal = (): Uint8Array => wrapRecords(wrapMessage(sealer.seal(inner)));
  client.write(seal());
  await readMessage(client);
  if (isRetried) {
    await between();
    client.write(seal());
    await readMessage(client);
  }
  client.write(TEXT);
  assert.deepEqual(await readBytes(client, TEXT.length), TEXT);
  client.end();
  client.resume();
  await once(client, 'close');
}

async function readMessage(socket: Socket): Promise<Buffer> {
  const header = await readBytes(socket, RECORD_HEADER_BYTES);
  return Buffer.concat([header, await readBytes(socket, header.readUInt16BE(3))]);
}

/** Knows inner hellos, asks some clients for a second one, then sends back what it gets. */
async function startRetryingBackend(t: TestContext): Promise<number> {
  const serve = async (socket: Socket): Promise<void> => {
    const first = await readMessage(socket);
    const hello = unwrapRecords(first);
    if (readHello(first).serverName === 'direct.example') {
      socket.write(wrapRecord(buildAcceptingHello(hello, null)));
    } else {
      const request = buildRetryRequest();
      socket.write(wrapRecord(request));
      const second = unwrapRecords(await readMessage(socket));
      socket.write(wrapRecord(buildAcceptingHello(hello, { request, hello: second })));
    }
    socket.pipe(socket);
  };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    serve(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
