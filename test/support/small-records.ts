/** A relay in front of a proxy that cuts what clients say in clear into small records, as TLS lets anybody do. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { wrapRecords } from './hello-builder.ts';

const HANDSHAKE = 22;
const HEADER_BYTES = 5;
/** A hello comes in dozens of them. */
const RECORD_BYTES = 10;

/** Gives back its port. */
export async function startSmallRecords(t: TestContext, to: number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, client => {
    const proxy = connect({ port: to, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, proxy]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    proxy.pipe(client);
    let received = Buffer.alloc(0);
    client.on('data', chunk => {
      received = Buffer.concat([received, chunk]);
      for (;;) {
        const length = received.length < HEADER_BYTES ? 0 : HEADER_BYTES + received.readUInt16BE(3);
        if (length === 0 || received.length < length) return;
        const record = received.subarray(0, length);
        const isHandshake = record[0] === HANDSHAKE;
        proxy.write(isHandshake ? wrapRecords(record.subarray(HEADER_BYTES), RECORD_BYTES) : record);
        received = received.subarray(length);
      }
    });
    client.on('end', () => proxy.end());
    client.on('close', () => proxy.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
