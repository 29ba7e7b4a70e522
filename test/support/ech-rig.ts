/** Proxies with keys for Encrypted ClientHello, their backend, and what clients send. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { EchOpener } from '../../src/ech/ech-opener.ts';
import type { ConnectionEnded, RouteConfig, SniwayConfig } from '../../src/index.ts';
import type { EngineName } from '../engine/conformance.ts';
import { EchClient, PUBLIC_NAME, createTestKey, encodeInner } from './ech-client.ts';
import type { TestKey } from './ech-client.ts';
import { makeKeyFolder } from './ech-keys.ts';
import { RETRY_MARK, buildRetryRequest, buildServerHello } from './ech-server.ts';
import { unwrapRecords, wrapMessage, wrapRecord, wrapRecords } from './hello-builder.ts';
import type { HelloParts } from './hello-builder.ts';
import { readHello } from './hello-facts.ts';
import { readBytes, readToEnd, startBackend } from './peers.ts';
import type { Backend } from './peers.ts';
import { startProxy } from './proxies.ts';
import type { TestProxy } from './proxies.ts';

export const SECRET = 'secret.example';
export const CCS = wrapRecord(Uint8Array.of(1), 20);
export const EARLY_DATA = wrapRecord(new Uint8Array(300).fill(0xdd), 23);
export const SERVER_HELLO = wrapRecord(buildServerHello(new Uint8Array(32).fill(1)));
export const RETRY_REQUEST = buildRetryRequest(0x1301, [RETRY_MARK]);
export const RETRY = wrapRecord(RETRY_REQUEST);

export interface Rig {
  readonly key: TestKey;
  readonly folder: string;
  readonly proxy: TestProxy;
  readonly backend: Backend;
  readonly config: Partial<SniwayConfig>;
}

export interface RigParts {
  readonly ech?: Partial<SniwayConfig['ech']>;
  readonly route?: Partial<RouteConfig>;
  /** Beside the one for the secret name; they lead to the same backend unless they say otherwise. */
  readonly routes?: readonly RouteConfig[];
  readonly config?: Partial<SniwayConfig>;
  readonly host?: string;
}

export async function startRig(t: TestContext, engine: EngineName, parts: RigParts = {}): Promise<Rig> {
  const key = createTestKey();
  const folder = makeKeyFolder(t, key);
  const backend = await startBackend(t);
  const address = `${parts.host ?? '127.0.0.1'}:${backend.port}`;
  const config = {
    engine,
    routes: [
      { name: 'secret', match: SECRET, backend: address, ...parts.route },
      ...(parts.routes ?? []).map(route => ({ backend: address, ...route })),
    ],
    ech: { keys: folder, ...parts.ech },
    ...parts.config,
  };
  return { key, folder, backend, config, proxy: await startProxy(t, config) };
}

export interface Sealed {
  readonly client: EchClient;
  /** The outer hello, as it is sent. */
  readonly outer: Uint8Array;
  /** The inner hello as a handshake message, and in records. */
  readonly message: Uint8Array;
  readonly inner: Uint8Array;
}

/** A first hello, and what a backend gets for it. */
export function seal(key: TestKey, inner: HelloParts = {}, outer: HelloParts = {}): Sealed {
  const client = new EchClient(key);
  const sent = wrapRecords(wrapMessage(client.seal(encodeInner(inner), outer)));
  const opened = new EchOpener([key]).open(readHello(sent), 0x0301);
  assert.ok(opened.kind === 'accepted');
  return { client, outer: sent, inner: opened.records, message: unwrapRecords(opened.records) };
}

export function sealSecond(client: EchClient, inner: HelloParts = {}): Uint8Array {
  return wrapRecords(wrapMessage(client.seal(encodeInner(inner))));
}

export async function expectBytes(socket: Socket, bytes: Uint8Array): Promise<void> {
  assert.deepEqual(await readBytes(socket, bytes.length), Buffer.from(bytes));
}

/** Both sides say something, and end. */
export async function finish(client: Socket, server: Socket, { proxy }: Rig): Promise<ConnectionEnded> {
  client.write('to the backend');
  assert.equal((await readBytes(server, 14)).toString(), 'to the backend');
  server.write('to the client');
  assert.equal((await readBytes(client, 13)).toString(), 'to the client');
  server.end();
  client.end();
  const record = await proxy.nextEnd();
  assert.equal(record.endReason, 'done');
  return record;
}

export async function expectAlert(client: Socket, description: number): Promise<void> {
  const { bytes, end } = await readToEnd(client);
  assert.deepEqual(
    [bytes.toString('hex'), end],
    [`1503030002${Buffer.of(2, description).toString('hex')}`, 'end'],
  );
}

export function told({ ech, serverName, outerName, echConfigId, echRetried, echBackend }: ConnectionEnded) {
  return { ech, serverName, outerName, echConfigId, echRetried, echBackend };
}

export const ACCEPTED = {
  ech: 'accepted',
  serverName: SECRET,
  outerName: PUBLIC_NAME,
  echConfigId: 7,
  echRetried: false,
  echBackend: 'confirmed',
} as const;
