/** BoringSSL's tool, as a peer that encrypts hellos and makes keys for that, and as a server that knows inner hellos. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeFolder } from './folders.ts';
import { freePort } from './ports.ts';
import { run, start } from './programs.ts';
import type { Finished } from './programs.ts';

export const BORINGSSL = 'bssl-tool';
/** The server answers a request; without it, it ends a connection once its own input has ended. */
export const WEB = '-www';

const CONNECTS_MAX = 400;

export interface BoringKey {
  readonly configFile: string;
  readonly listFile: string;
  /** 32 bytes. */
  readonly keyFile: string;
}

export async function generateEch(t: TestContext, { configId = 7 } = {}): Promise<BoringKey> {
  const folder = makeFolder(t, {});
  const [configFile, listFile, keyFile] = ['config', 'list', 'key'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const outputs = [
    '-out-ech-config-list',
    listFile,
    '-out-ech-config',
    configFile,
    '-out-private-key',
    keyFile,
  ];
  const fields = ['-public-name', 'public.example', '-config-id', String(configId), '-max-name-length', '32'];
  const { code, stderr } = await run(t, [BORINGSSL, 'generate-ech', ...outputs, ...fields]);
  assert.equal(code, 0, stderr);
  return { configFile, listFile, keyFile };
}

/** Its server, which takes one connection after the other; the port, once one is taken. */
export async function startBoringServer(t: TestContext, ...flags: string[]): Promise<number> {
  const port = await freePort();
  start(t, [BORINGSSL, 'server', '-accept', String(port), '-loop', ...flags]).endInput();
  const probe = await connectSoon(port);
  probe.destroy();
  return port;
}

/**
 * A port with a server for each connection, so that none waits for another: browsers open more than they use. Tickets of
 * one mean nothing to the next.
 */
export async function startBoringServers(t: TestContext, ...flags: string[]): Promise<number> {
  const sockets = new Set<Socket>();
  const hold = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  };
  const serve = async (client: Socket): Promise<void> => {
    hold(client);
    const port = await freePort();
    start(t, [BORINGSSL, 'server', '-accept', String(port), ...flags]).endInput();
    const server = await connectSoon(port);
    hold(server);
    if (client.destroyed) return void server.destroy();
    client.pipe(server).pipe(client);
    client.on('close', () => server.destroy());
    server.on('close', () => {
      if (!server.readableEnded) client.destroy();
    });
  };
  const listener = createServer(client => {
    serve(client).catch(() => client.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

/** Flags for a server that knows a key, and tells clients of it that have an old one. */
export function keyFlags(t: TestContext, key: { config: Uint8Array; privateKey: Uint8Array }): string[] {
  const folder = makeFolder(t, {});
  const files = { key: join(folder, 'key'), config: join(folder, 'config') };
  writeFileSync(files.key, key.privateKey);
  writeFileSync(files.config, key.config);
  return ['-ech-key', files.key, '-ech-config', files.config];
}

/**
 * Its client, which asks a server for a page: by a port alone, for `secret.example`. The server ends the connection, since
 * a client whose input ends first misses its ticket.
 */
export function boringClient(
  t: TestContext,
  to: number | { readonly port: number; readonly name: string },
  ...flags: string[]
): Promise<Finished> {
  const { port, name } = typeof to === 'number' ? { port: to, name: 'secret.example' } : to;
  const command = [BORINGSSL, 'client', '-connect', `127.0.0.1:${port}`, '-server-name', name] as const;
  const client = start(t, [...command, ...flags]);
  client.write('GET / HTTP/1.0\r\n\r\n');
  return client.finished;
}

/** Connects to a server that is about to listen. */
async function connectSoon(port: number): Promise<Socket> {
  for (let attempt = 1; ; attempt++) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === CONNECTS_MAX) throw error;
      await new Promise(resolve => {
        setTimeout(resolve, 5);
      });
    }
  }
}
