/** Relayed connections, and proxies that reload, for tests of what a reload does to them. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { SniwayConfig } from '../../src/index.ts';
import type { EngineName } from '../engine/conformance.ts';
import { buildClientHello } from './hello-builder.ts';
import { connectRaw, readBytes, readToEnd } from './peers.ts';
import type { Backend } from './peers.ts';
import { startProxy } from './proxies.ts';
import type { TestProxy } from './proxies.ts';
import { freePort } from './ports.ts';

export const NAME = 'reload.example.com';
export const HELLO = buildClientHello({ serverName: NAME });
export const ALERT_UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

export interface Pair {
  readonly client: Socket;
  readonly backend: Socket;
}

/** A relayed connection; the hello has come through. */
export async function relayed(t: TestContext, port: number, to: Backend): Promise<Pair> {
  const client = await connectRaw(t, port);
  client.write(HELLO);
  const backend = await to.next();
  await readBytes(backend, HELLO.length);
  return { client, backend };
}

/** Bytes go both ways. */
export async function assertAlive({ client, backend }: Pair): Promise<void> {
  client.write('there');
  assert.equal((await readBytes(backend, 5)).toString(), 'there');
  backend.write('back');
  assert.equal((await readBytes(client, 4)).toString(), 'back');
}

export function hangUp({ client, backend }: Pair): void {
  client.destroy();
  backend.destroy();
}

export async function refused(t: TestContext, port: number): Promise<Buffer> {
  const client = await connectRaw(t, port);
  client.write(HELLO);
  return (await readToEnd(client)).bytes;
}

/** The listener that it already has, under its real port: the same target in every configuration. */
export function configOf(engine: EngineName, port: number, rest: Partial<SniwayConfig>): SniwayConfig {
  return { engine, listen: `127.0.0.1:${port}`, ...rest };
}

export async function startAt(
  t: TestContext,
  engine: EngineName,
  rest: Partial<SniwayConfig>,
): Promise<
  TestProxy & { readonly reload: (rest: Partial<SniwayConfig>) => ReturnType<TestProxy['proxy']['reload']> }
> {
  const port = await freePort();
  const started = await startProxy(t, configOf(engine, port, rest));
  return { ...started, reload: next => started.proxy.reload(configOf(engine, port, next)) };
}
