/** What refused clients get to see. */
import type { TestContext } from 'node:test';
import { connectRaw, readToEnd } from './peers.ts';
import type { TestProxy } from './proxies.ts';

export const ACCESS_DENIED = 49;
export const INTERNAL_ERROR = 80;

/** An alert with this description, as a client gets it. */
export function alert(description: number): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, description]);
}

/** Sends a hello and answers what comes until the end. */
export async function askFor(t: TestContext, proxy: TestProxy, hello: Uint8Array): Promise<Buffer> {
  const client = await connectRaw(t, proxy.port);
  client.write(hello);
  const { bytes } = await readToEnd(client);
  client.end();
  return bytes;
}
