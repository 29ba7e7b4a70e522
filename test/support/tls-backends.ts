/** Real TLS servers under names of their own, each with a certificate of its own. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createServer } from 'node:tls';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { createAuthority } from '../../examples/demo/certificate.ts';
import type { Authority } from '../../examples/demo/certificate.ts';

export interface TlsBackend {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface TrustedAuthority extends Authority {
  /** The authority's certificate as a file, for programs. */
  readonly caFile: string;
  /** A folder of the test's own, removed at its end. */
  readonly folder: string;
}

export async function createTrustedAuthority(t: TestContext): Promise<TrustedAuthority> {
  const authority = await createAuthority();
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, authority.ca);
  return { ...authority, caFile, folder };
}

/** Starts a TLS server for one name; `serve` gets each connection after its handshake. */
export async function startTlsBackend(
  t: TestContext,
  authority: Authority,
  { name, serve, tls = {} }: { name: string; serve: (socket: TLSSocket) => void; tls?: TlsOptions },
): Promise<TlsBackend> {
  const server = createServer({ ...(await authority.issue([name])), allowHalfOpen: true, ...tls }, socket => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { name, port, address: `127.0.0.1:${port}` };
}

/** Answers a minimal HTTP/1.1 request with the backend's name and closes. */
export function serveName(name: string): (socket: TLSSocket) => void {
  return socket => {
    socket.once('data', () => {
      const body = `hello from ${name}, alpn ${String(socket.alpnProtocol)}, ${socket.getProtocol()}\n`;
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
  };
}
