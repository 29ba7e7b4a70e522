/**
 * One measurement, a process of its own: makes the load its settings name, prints the result as JSON on stdout.
 *
 *     node load.js '{"load":"connections","port":8443,...}'
 */
import { writeSync } from 'node:fs';
import * as flows from './flows.ts';
import type { FlowContext, Totals } from './flows.ts';
import { Histogram } from './histogram.ts';
import { busySeconds, cpuSeconds, processTree, residentBytes } from './processes.ts';
import { Reactor } from './reactor.ts';
import type { Target } from './reactor.ts';
import { COUNT_BYTES, PING_BYTES, helloFor } from './wire.ts';
import type { Mode } from './wire.ts';
import * as C from '../../src/engine/linux/syscalls/constants.ts';

export type LoadName =
  'connections' | 'crowded' | 'download' | 'upload' | 'round-trip' | 'beside-bulk' | 'idle';

export interface LoadSettings {
  readonly load: LoadName;
  /** Of the proxy, or of the backend itself. */
  readonly port: number;
  /** For connections that are held: the same proxy, or the other port of the backend itself. */
  readonly holdPort: number;
  readonly backendPort: number;
  /** ClientHellos to send, base64: for the load, and for the connections that are held. */
  readonly hello: string;
  readonly holdHello: string;
  /** Hellos for the load in place of that one, by what they ask for; base64. */
  readonly ownHellos: Partial<Record<Mode, string>>;
  readonly cpu: number;
  readonly proxyCpu: number;
  readonly backendPid: number;
  /** Root of the process tree whose processor time and memory count; 0 for none. */
  readonly pid: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Flows at once; for `idle` and `crowded` see `held`. */
  readonly flows: number;
  /** Connections held open beside the load. */
  readonly held: number;
  /** Whether bulk bytes are copied out of the kernel; else dropped there. */
  readonly copy: boolean;
}

/** Sums over the measured window; 0 where a load has no such figure. */
export interface LoadResult {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly connections: number;
  readonly bytes: number;
  readonly roundTrips: number;
  readonly failures: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly bytesPerHeldConnection: number;
  /** Share (0 to 1) of both processors' time that went to programs outside the bench. */
  readonly disturbance: number;
}

/** Connections that are being opened at once while many are to be held. */
const OPENING_AT_ONCE = 64;
const OPENING_TIMEOUT_MS = 60_000;
/** Connections opened before memory is looked at, so that one-time allocations do not count. */
const FIRST_HELD = 200;

const settings = JSON.parse(process.argv[2] ?? '{}') as LoadSettings;
const reactor = new Reactor();
reactor.pin(settings.cpu);
const totals: Totals = { connections: 0, bytes: 0, roundTrips: 0, failures: 0 };
const latencies = new Histogram();
const pids = settings.pid === 0 ? [] : processTree(settings.pid);
const target = reactor.target(settings.port);

function contextFor(mode: Mode, at: Target = target, hello = settings.hello): FlowContext {
  const own = at === target ? settings.ownHellos[mode] : undefined;
  const plain = helloFor(Buffer.from(hello, 'base64'), mode);
  const bytes = reactor.constant(own === undefined ? plain : Buffer.from(own, 'base64'));
  return { reactor, target: at, source: null, hello: bytes, totals };
}

/** Opens `count` connections that keep still. */
function hold(count: number): void {
  // From an address of their own, so that the load beside them finds free ports at once.
  const source = reactor.target(0, '127.0.0.2');
  const context = { ...contextFor('hold', reactor.target(settings.holdPort), settings.holdHello), source };
  const held: flows.HoldFlow[] = [];
  let done = 0;
  const openNext = (): void => {
    if (held.length === count) return;
    const flow = new flows.HoldFlow(context, () => {
      done++;
      openNext();
    });
    held.push(flow);
    flow.start();
  };
  for (let index = 0; index < OPENING_AT_ONCE; index++) openNext();
  reactor.run(performance.now() + OPENING_TIMEOUT_MS, () => done === count);
  if (done < count) throw new Error(`only ${done} of ${count} connections could be held`);
}

/** Asks the backend how much it has read of uploads. */
function uploadedBytes(): number {
  const context = contextFor('count', reactor.target(settings.backendPort));
  const fd = reactor.dial(context.target);
  const { kernel, scratch } = reactor;
  let answered = false;
  const ask = (): void => {
    kernel.send(fd, context.hello.address, context.hello.length, C.MSG_NOSIGNAL);
    reactor.rewatch(fd, C.EPOLLIN);
  };
  let asked = false;
  reactor.watch(fd, C.EPOLLOUT, {
    ready() {
      if (asked) answered = kernel.recv(fd, scratch.address, COUNT_BYTES, 0) === COUNT_BYTES;
      else ask();
      asked = true;
    },
  });
  reactor.run(performance.now() + 5000, () => answered);
  if (!answered) throw new Error('the backend does not say what it has read');
  const count = Number(scratch.view.getBigUint64(scratch.offset, true));
  reactor.drop(fd);
  return count;
}

function startPings(count: number): void {
  const context = contextFor('echo');
  const ping = reactor.constant(Buffer.alloc(PING_BYTES, 'p'));
  for (let index = 0; index < count; index++) new flows.PingFlow(context, ping, latencies).start();
}

function startFlows(): void {
  const count = settings.flows;
  const many = (create: () => { start(): void }): void => {
    for (let index = 0; index < count; index++) create().start();
  };
  switch (settings.load) {
    case 'crowded':
    case 'connections': {
      const context = contextFor('answer');
      return many(() => new flows.VisitFlow(context));
    }
    case 'download': {
      const context = contextFor('download');
      const flags = flows.bulkSinkFlags(settings.copy);
      return many(() => new flows.DownloadFlow(context, flags));
    }
    case 'beside-bulk': {
      startPings(1);
      const context = contextFor('download');
      const flags = flows.bulkSinkFlags(settings.copy);
      return many(() => new flows.DownloadFlow(context, flags));
    }
    case 'upload': {
      const context = contextFor('upload');
      return many(() => new flows.UploadFlow(context));
    }
    case 'round-trip':
      return startPings(count);
    case 'idle':
      return undefined;
  }
}

const cpus = [settings.cpu, settings.proxyCpu];
const ours = [process.pid, settings.backendPid];

const read = (): Totals & { atMs: number; cpu: number; uploaded: number; foreign: number } => ({
  ...totals,
  uploaded: settings.load === 'upload' ? uploadedBytes() : 0,
  atMs: performance.now(),
  cpu: cpuSeconds(pids),
  foreign: busySeconds(cpus) - cpuSeconds([...pids, ...ours]),
});

function measure(): LoadResult {
  let bytesPerHeldConnection = 0;
  if (settings.held > 0) {
    hold(FIRST_HELD);
    const before = residentBytes(pids);
    hold(settings.held - FIRST_HELD);
    bytesPerHeldConnection = (residentBytes(pids) - before) / (settings.held - FIRST_HELD);
  }
  startFlows();
  reactor.run(performance.now() + settings.warmupSeconds * 1000);
  latencies.clear();
  const start = read();
  reactor.run(performance.now() + settings.seconds * 1000);
  const end = read();
  return {
    seconds: (end.atMs - start.atMs) / 1000,
    cpuSeconds: end.cpu - start.cpu,
    connections: end.connections - start.connections,
    bytes: end.bytes + end.uploaded - start.bytes - start.uploaded,
    roundTrips: end.roundTrips - start.roundTrips,
    failures: end.failures - start.failures,
    p50Us: latencies.quantileUs(0.5),
    p99Us: latencies.quantileUs(0.99),
    bytesPerHeldConnection,
    disturbance:
      settings.seconds === 0 ? 0 : (end.foreign - start.foreign) / (settings.seconds * cpus.length),
  };
}

writeSync(1, `${JSON.stringify(measure())}\n`);
