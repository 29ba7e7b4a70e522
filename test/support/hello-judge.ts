/** What Node's own TLS server, that is OpenSSL, reads in a ClientHello: the oracle of the hello parser. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createSecureContext, createServer } from 'node:tls';
import { createAuthority } from '../../examples/demo/certificate.ts';

export interface Judgement {
  /** Names that SNICallback was called with; none if OpenSSL refused the hello, waits for more, or saw no name. */
  readonly names: readonly string[];
  /** Lists that ALPNCallback was called with. */
  readonly protocols: readonly (readonly string[])[];
}

export interface HelloJudge {
  /** Sends a stream, then the end of file, over a connection of its own; one call at a time. */
  judge(stream: Uint8Array): Promise<Judgement>;
}

/** Starts the server; it is closed at the end of the test. */
export async function startHelloJudge(t: TestContext): Promise<HelloJudge> {
  const authority = await createAuthority();
  const certificate = await authority.issue(['example.com']);
  const context = createSecureContext({ ...certificate, minVersion: 'TLSv1.2' });
  let names: string[] = [];
  let protocols: string[][] = [];
  const server = createServer({
    ...certificate,
    SNICallback(name, done) {
      names.push(name);
      done(null, context);
    },
    ALPNCallback(offer) {
      protocols.push([...offer.protocols]);
      return offer.protocols[0];
    },
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    async judge(stream) {
      names = [];
      protocols = [];
      const socket = connect({ port, host: '127.0.0.1' });
      sockets.add(socket);
      // A refusal may end in a reset.
      socket.on('error', () => undefined);
      socket.resume();
      const closed = new Promise(resolve => {
        socket.once('close', resolve);
      });
      socket.end(stream);
      await closed;
      sockets.delete(socket);
      return { names, protocols };
    },
  };
}
