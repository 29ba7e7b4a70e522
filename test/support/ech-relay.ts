/** The least proxy that opens encrypted hellos: it shows what the parts of src/ech do to real peers. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { EchHandshake } from '../../src/ech/ech-handshake.ts';
import type { EchStep } from '../../src/ech/ech-handshake.ts';
import { EchOpener } from '../../src/ech/ech-opener.ts';
import type { EchKey } from '../../src/ech/ech-opener.ts';
import { HelloReader } from '../../src/wire/hello-reader.ts';
import { encodeAlert } from '../../src/wire/tls-alert.ts';

export interface EchRelay {
  readonly port: number;
  /** What became of each connection's hello, and of its handshake. */
  readonly seen: { outcome: string; name: string | null; handshake: EchHandshake | null }[];
}

export async function startEchRelay(
  t: TestContext,
  keys: readonly EchKey[],
  backendPort: number,
): Promise<EchRelay> {
  const opener = new EchOpener(keys);
  const seen: EchRelay['seen'] = [];
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const backend = connect(backendPort, '127.0.0.1');
    for (const socket of [client, backend]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('close', () => backend.end());
    backend.on('close', () => client.end());
    relayHello(opener, { client, backend, seen });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

function relayHello(
  opener: EchOpener,
  { client, backend, seen }: { client: Socket; backend: Socket; seen: EchRelay['seen'] },
): void {
  const reader = new HelloReader();
  let stream = Buffer.alloc(0);
  let handshake: EchHandshake | null = null;
  let isRelaying = false;
  const apply = ({ toBackend, illegal }: EchStep): void => {
    for (const part of toBackend) backend.write(part);
    if (illegal !== null) client.end(encodeAlert(illegal.alert));
  };
  backend.on('data', bytes => {
    if (handshake !== null) apply(handshake.fromBackend(bytes));
    client.write(bytes);
  });
  client.on('data', bytes => {
    if (isRelaying) {
      if (handshake === null) backend.write(bytes);
      else apply(handshake.fromClient(bytes));
      return;
    }
    stream = Buffer.concat([stream, bytes]);
    const result = reader.read(stream);
    if (result.kind !== 'complete') return;
    isRelaying = true;
    const opening = opener.open(result.hello, stream.readUInt16BE(1));
    const rest = stream.subarray(result.consumed);
    if (opening.kind === 'accepted') {
      handshake = new EchHandshake(opening);
      backend.write(opening.records);
      if (rest.length > 0) apply(handshake.fromClient(rest));
    } else {
      backend.write(stream);
    }
    const name = opening.kind === 'accepted' ? opening.hello.serverName : result.hello.serverName;
    seen.push({ outcome: opening.kind, name, handshake });
  });
}
