/** BoringSSL's tool, as a peer that encrypts hellos and makes keys for that. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeFolder } from './folders.ts';
import { freePort } from './ports.ts';
import { run, start } from './programs.ts';
import type { Finished } from './programs.ts';

export const BORINGSSL = 'bssl-tool';

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
  const server = start(t, [BORINGSSL, 'server', '-accept', String(port), '-loop', ...flags]);
  server.endInput();
  for (let attempt = 0; attempt < 400; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise<boolean>(resolve => {
      socket.on('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
    socket.destroy();
    if (isUp) return port;
  }
  assert.fail(`the server does not listen: ${server.stderr()}`);
}

/** Its client, that asks for `secret.example`; the server ends the connection, once it has answered. */
export function boringClient(t: TestContext, port: number, ...flags: string[]): Promise<Finished> {
  const command = [
    BORINGSSL,
    'client',
    '-connect',
    `127.0.0.1:${port}`,
    '-server-name',
    'secret.example',
  ] as const;
  const client = start(t, [...command, ...flags]);
  client.write('GET / HTTP/1.0\r\n\r\n');
  return client.finished;
}
