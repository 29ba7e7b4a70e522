/** ClientHellos as real clients send them, caught by a backend that never answers. */
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { readBytes, startBackend } from './peers.ts';
import { start } from './programs.ts';

/** The first TLS record of a client; `startClient` lets it connect to a port of 127.0.0.1 and resolves at its end. */
async function captureHello(
  t: TestContext,
  startClient: (port: number) => Promise<string>,
): Promise<Uint8Array> {
  const backend = await startBackend(t);
  const failed = startClient(backend.port).then(end => {
    throw new Error(`the client did not connect: ${end}`);
  });
  const socket = await Promise.race([backend.next(), failed]);
  const header = await readBytes(socket, 5);
  const payload = await readBytes(socket, header.readUInt16BE(3));
  backend.close();
  return Uint8Array.from([...header, ...payload]);
}

/** The hello of a program; `{port}` in its arguments becomes the port. */
export async function captureProgramHello(
  t: TestContext,
  command: readonly [string, ...string[]],
): Promise<Uint8Array> {
  return await captureHello(t, async port => {
    const [program, ...args] = command;
    const client = start(t, [program, ...args.map(arg => arg.replace('{port}', String(port)))]);
    return (await client.finished).stderr;
  });
}

/** The hello of Node's own TLS client. */
export async function captureNodeHello(t: TestContext, options: ConnectionOptions): Promise<Uint8Array> {
  return await captureHello(t, port => {
    const client = connect({ host: '127.0.0.1', port, ...options });
    t.after(() => client.destroy());
    return new Promise(resolve => {
      // Its handshake never ends well.
      client.on('error', error => resolve(error.message));
      client.on('close', () => resolve('closed'));
    });
  });
}
