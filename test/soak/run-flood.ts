/** Honest clients at 127.0.0.1, and a flood of silent connections from 127.0.0.2; proxy and flooder are other processes. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { PENDING_HELLOS_PER_CLIENT } from '../../src/limits.ts';
import { buildClientHello } from '../support/hello-builder.ts';

export interface FloodResult {
  readonly engine: string;
  readonly connections: number;
  /** Silent connections that the proxy let live. */
  readonly held: number;
  /** Milliseconds from connect to the backend's first byte, median and 99th percentile. */
  readonly quietMs: readonly [number, number];
  /** While the silent ones arrive. */
  readonly floodMs: readonly [number, number];
  /** Once they all have come. */
  readonly heldMs: readonly [number, number];
  /** Resident memory of the proxy in MiB: before, during and after each of two floods. */
  readonly memoryMiB: readonly number[];
}

const NAME = 'honest.example.com';
const SETTLE_MS = 10_000;

export async function runFlood(
  engine: 'portable' | 'linux',
  { size, probes }: { readonly size: number; readonly probes: number },
): Promise<FloodResult> {
  const backend = createServer(socket => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('hello'));
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port: backendPort } = backend.address() as AddressInfo;
  const proxy = startProgram('flood-proxy.js', [engine, String(backendPort)]);
  const [port] = (await once(proxy, 'message')) as [number];
  const memoryMiB: number[] = [];
  const noteMemory = (): void => void memoryMiB.push(residentMiB(proxy.pid!));
  try {
    await probe(port, probes);
    const quietMs = await probe(port, probes);
    noteMemory();
    const first = await flood(port, { size, probes, noteMemory });
    await flood(port, { size, probes, noteMemory });
    return { engine, connections: size, quietMs, ...first, memoryMiB };
  } finally {
    proxy.kill();
    await once(proxy, 'exit');
    backend.close();
  }
}

interface Flooding {
  readonly size: number;
  readonly probes: number;
  readonly noteMemory: () => void;
}

/** One flood from its beginning to its end. */
async function flood(port: number, { size, probes, noteMemory }: Flooding) {
  const flooder = startProgram('flood-source.js', [String(port), String(size)]);
  const ask = async (): Promise<number> => {
    const [{ held }] = (await once(flooder, 'message')) as [{ held: number }];
    return held;
  };
  try {
    const opened = ask();
    const floodMs = await probe(port, probes);
    let held = await opened;
    // The kernel may hold silent clients back for a second before the proxy sees them.
    const untilMs = performance.now() + SETTLE_MS;
    while (held > PENDING_HELLOS_PER_CLIENT && performance.now() < untilMs) {
      await probe(port, 10);
      flooder.send('held');
      held = await ask();
    }
    noteMemory();
    return { floodMs, held, heldMs: await probe(port, probes) };
  } finally {
    flooder.disconnect();
    await once(flooder, 'exit');
    await probe(port, probes);
    noteMemory();
  }
}

function startProgram(name: string, parameters: readonly string[]): ChildProcess {
  return fork(new URL(name, import.meta.url), parameters);
}

/** One client after the other; the median and the 99th percentile of their times. */
async function probe(port: number, count: number): Promise<readonly [number, number]> {
  const hello = buildClientHello({ serverName: NAME });
  const times: number[] = [];
  for (let round = 0; round < count; round++) {
    const startMs = performance.now();
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.write(hello);
    const [first] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [unknown];
    if (!Buffer.isBuffer(first)) throw new Error('an honest client was not served');
    times.push(performance.now() - startMs);
    socket.destroy();
  }
  times.sort((left, right) => left - right);
  const at = (share: number): number => Math.round(100 * times[Math.floor((count - 1) * share)]!) / 100;
  return [at(0.5), at(0.99)];
}

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}
