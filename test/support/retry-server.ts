/** The least server around a responder: it writes the answer and waits for the client to go. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { RetryAnswer, RetryResponder } from '../../src/ech/retry-responder.ts';
import type { ClientHello } from '../../src/wire/client-hello.ts';
import { HelloReader } from '../../src/wire/hello-reader.ts';
import { encodeAlert } from '../../src/wire/tls-alert.ts';

export interface RetryServer {
  readonly port: number;
  readonly seen: readonly { readonly hello: ClientHello; readonly answer: RetryAnswer }[];
}

/** @param isBrief Whether its own side ends with the answer. */
export async function startRetryServer(
  t: TestContext,
  responder: RetryResponder,
  isBrief = false,
): Promise<RetryServer> {
  const seen: { hello: ClientHello; answer: RetryAnswer }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    const reader = new HelloReader();
    let stream = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      stream = Buffer.concat([stream, bytes]);
      const result = reader.read(stream);
      if (result.kind !== 'complete') return;
      socket.off('data', read);
      // What comes from here on is never looked at.
      socket.resume();
      socket.on('end', () => socket.end());
      const answer = responder.answer(result.hello);
      seen.push({ hello: result.hello, answer });
      if (answer?.kind === 'flight') socket.write(answer.bytes);
      if (answer?.kind === 'illegal') socket.write(encodeAlert(answer.alert));
      if (isBrief || answer?.kind !== 'flight') socket.end();
    };
    socket.on('data', read);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}
