/**
 * The load of a soak, a process of its own: clients and backends of random connections, which check every byte they
 * get. Prints `backend PORT`, reads `PORT SECONDS SEED` from its input, and prints what it did as JSON.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Random } from '../fuzz/random.ts';
import { Flow, ID_LENGTH, ID_OFFSET } from './flow.ts';
import type { FlowKind } from './flow.ts';

/** Connections under way at once. */
const LANES = 48;
const FAILURES_SHOWN_MAX = 10;

export interface LoadReport {
  readonly flows: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly failures: readonly string[];
}

const waiting = new Map<string, Flow>();

/** A backend learns from the hello whose it is: the session identifier names the flow. */
function serve(socket: Socket): void {
  const early: Buffer[] = [];
  socket.on('error', () => undefined);
  const onData = (chunk: Buffer): void => {
    early.push(chunk);
    const bytes = Buffer.concat(early);
    if (bytes.length < ID_OFFSET + ID_LENGTH) return;
    socket.off('data', onData);
    const id = bytes.toString('hex', ID_OFFSET, ID_OFFSET + ID_LENGTH);
    const flow = waiting.get(id);
    waiting.delete(id);
    if (flow === undefined) socket.destroy();
    else flow.accepted(socket, bytes);
  };
  socket.on('data', onData);
  // A client that is gone before its hello has come through leaves a backend that nobody takes.
  socket.once('end', () => {
    if (socket.listenerCount('data') > 0 && early.length === 0) socket.destroy();
  });
}

function kindFor(random: Random): FlowKind {
  const kinds = ['whole', 'whole', 'whole', 'slow', 'reset', 'reset', 'leave', 'garbage', 'unknown'] as const;
  return random.once(40) ? 'bulk' : random.pick(kinds);
}

async function run(port: number, seconds: number, seed: number): Promise<LoadReport> {
  const random = new Random(seed);
  const until = performance.now() + seconds * 1_000;
  const flows: Record<string, number> = {};
  const failures: string[] = [];
  let bytes = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < until && failures.length < FAILURES_SHOWN_MAX) {
      const flow = new Flow(kindFor(random), random, port);
      waiting.set(flow.id, flow);
      try {
        await flow.run();
      } catch (error) {
        failures.push(`${flow.told}: ${String(error)}`);
      }
      waiting.delete(flow.id);
      flow.close();
      bytes += flow.bytes;
      flows[flow.kind] = (flows[flow.kind] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return { flows, bytes, failures };
}

const server = createServer({ allowHalfOpen: true }, serve);
server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 }, () => {
  process.stdout.write(`backend ${(server.address() as AddressInfo).port}\n`);
});
createInterface({ input: process.stdin }).once('line', line => {
  const [port = 0, seconds = 0, seed = 0] = line.split(' ').map(Number);
  void run(port, seconds, seed).then(report => {
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
  });
});
