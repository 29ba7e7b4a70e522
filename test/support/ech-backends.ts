/** TLS servers of other people, with a certificate for one name: some support Encrypted ClientHello, most do not. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeFolder } from './folders.ts';
import { freePort } from './ports.ts';
import { start } from './programs.ts';
import { createTrustedAuthority } from './tls-backends.ts';

export const SECRET = 'secret.example';
const START_TIMEOUT_MS = 10_000;

/** How each is started: on this port, with these files of a certificate and its key. */
const COMMANDS = {
  'bssl-tool': (port: number, cert: string, key: string) => [
    'server',
    '-accept',
    String(port),
    '-loop',
    '-key',
    key,
    '-cert',
    cert,
  ],
  openssl: (port: number, cert: string, key: string) => [
    's_server',
    '-accept',
    `127.0.0.1:${port}`,
    '-key',
    key,
    '-cert',
    cert,
  ],
  'gnutls-serv': (port: number, cert: string, key: string) => [
    '--port',
    String(port),
    '--x509keyfile',
    key,
    '--x509certfile',
    cert,
  ],
} as const;

export type EchBackendProgram = keyof typeof COMMANDS;

/** Its port, once it listens. */
export async function startEchBackend(
  t: TestContext,
  program: EchBackendProgram,
  ...flags: readonly string[]
): Promise<number> {
  const authority = await createTrustedAuthority(t);
  const { cert, key } = await authority.issue([SECRET]);
  const folder = makeFolder(t, { 'cert.pem': cert, 'key.pem': key });
  const port = await freePort();
  const args = COMMANDS[program](port, join(folder, 'cert.pem'), join(folder, 'key.pem'));
  const server = start(t, [program, ...args, ...flags]);
  // BoringSSL's takes one connection after the other, and relays its own input to each until that has ended.
  if (program === 'bssl-tool') server.endInput();
  const untilMs = performance.now() + START_TIMEOUT_MS;
  while (!(await takesConnections(port))) {
    if (performance.now() > untilMs) assert.fail(`${program} does not listen: ${server.stderr()}`);
  }
  return port;
}

function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise(resolve => {
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
