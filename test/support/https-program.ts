/**
 * A web server in a process of its own, for whatever runs it: its arguments are the files of a certificate and its key.
 * It listens at two ports of 127.0.0.1 and prints `listening PORT PORT`; the second one knows one group alone, that few
 * clients guess, so that it asks for a second hello. Each page tells the name that was asked for, and the connection ends.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

const [certificate = '', key = ''] = process.argv.slice(2);

/** As BoringSSL's server words it. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { servername } = request.socket as TLSSocket & { readonly servername?: string | false };
  response.writeHead(200, { 'content-type': 'text/plain', connection: 'close' });
  response.end(`Client sent SNI: ${String(servername)}\n`);
}

async function listen(groups?: string): Promise<number> {
  const files = { cert: readFileSync(certificate), key: readFileSync(key) };
  const server = createServer({ ...files, ...(groups === undefined ? {} : { ecdhCurve: groups }) }, answer);
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

process.stdout.write(`listening ${await listen()} ${await listen('P-384')}\n`);
