/** The proxy in a process of its own, silent connections from 127.0.0.2, and honest clients from 127.0.0.1. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { fork } from 'node:child_process';
import { PENDING_HELLOS_PER_CLIENT } from '../../src/limits.ts';
import { buildClientHello } from '../support/hello-builder.ts';

export interface FloodResult {
  readonly engine: string;
  readonly connections: number;
  /** Silent connections that the proxy let live. */
  readonly held: number;
  /** Milliseconds from connect to the backend's first byte, median and 99th percentile. */
  readonly quietMs: readonly [number, number];
  /** While the silent ones arrive; the one who floods is in the same process as the honest ones. */
  readonly floodMs: readonly [number, number];
  /** Once they all have come. */
  readonly heldMs: readonly [number, number];
  /** Resident memory of the proxy before, during and after, in MiB. */
  readonly memoryMiB: readonly [number, number, number];
}

const NAME = 'honest.example.com';
const FLOODER = '127.0.0.2';
const IN_FLIGHT = 100;
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
  const proxy = fork(new URL('flood-proxy.js', import.meta.url), [
    engine,
    String((backend.address() as AddressInfo).port),
  ]);
  const [port] = (await once(proxy, 'message')) as [number];
  const memory = (): number => residentMiB(proxy.pid!);
  const flood = new Set<Socket>();
  try {
    await probe(port, probes);
    const quietMs = await probe(port, probes);
    const before = memory();
    let opened = 0;
    const open = async (): Promise<void> => {
      while (opened++ < size) await openSilent(port, flood);
    };
    const flooding = Promise.all(Array.from({ length: IN_FLIGHT }, open));
    const floodMs = await probe(port, probes);
    await flooding;
    // The kernel may hold silent clients back for a second before the proxy sees them.
    const untilMs = performance.now() + SETTLE_MS;
    while (flood.size > PENDING_HELLOS_PER_CLIENT && performance.now() < untilMs) await probe(port, 10);
    const held = flood.size;
    const during = memory();
    const heldMs = await probe(port, probes);
    for (const socket of flood) socket.destroy();
    await probe(port, probes);
    const memoryMiB = [before, during, memory()] as const;
    return { engine, connections: size, held, quietMs, floodMs, heldMs, memoryMiB };
  } finally {
    for (const socket of flood) socket.destroy();
    proxy.kill();
    await once(proxy, 'exit');
    backend.close();
  }
}

async function openSilent(port: number, flood: Set<Socket>): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: FLOODER });
  socket.on('error', () => undefined);
  socket.once('end', () => socket.destroy());
  socket.once('close', () => flood.delete(socket));
  await once(socket, 'connect').catch(() => undefined);
  if (!socket.destroyed) flood.add(socket.resume());
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
