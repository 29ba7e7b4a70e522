/** What is measured, and how the figures come out of a load's result. */
import type { LoadName, LoadResult, LoadSettings } from './load/load.ts';

export interface Metric {
  readonly title: string;
  readonly digits: number;
  /** Whether a smaller figure is the better one. */
  readonly lessIsBetter: boolean;
  /** NaN where the contender has no such figure. */
  readonly of: (result: LoadResult) => number;
}

export interface Case {
  readonly name: LoadName;
  readonly settings: Pick<LoadSettings, 'flows' | 'held'>;
  /** Whether each measurement gets a process that has done nothing yet. */
  readonly fresh: boolean;
  readonly metrics: readonly Metric[];
}

const perSecond: Metric = {
  title: 'conn/s',
  digits: 0,
  lessIsBetter: false,
  of: result => result.connections / result.seconds,
};
const cpuPerConnection: Metric = {
  title: 'CPU us/conn',
  digits: 1,
  lessIsBetter: true,
  of: ({ cpuSeconds, connections }) => (cpuSeconds === 0 ? Number.NaN : (cpuSeconds / connections) * 1e6),
};
const gigabytesPerSecond: Metric = {
  title: 'GB/s',
  digits: 2,
  lessIsBetter: false,
  of: result => result.bytes / 1e9 / result.seconds,
};
const cpuPerGigabyte: Metric = {
  title: 'CPU s/GB',
  digits: 3,
  lessIsBetter: true,
  of: ({ cpuSeconds, bytes }) => (cpuSeconds === 0 ? Number.NaN : cpuSeconds / (bytes / 1e9)),
};
const p50: Metric = { title: 'p50 us', digits: 1, lessIsBetter: true, of: result => result.p50Us };
const p99: Metric = { title: 'p99 us', digits: 1, lessIsBetter: true, of: result => result.p99Us };
const bytesPerHeld: Metric = {
  title: 'bytes/idle conn',
  digits: 0,
  lessIsBetter: true,
  of: result => (result.bytesPerHeldConnection === 0 ? Number.NaN : result.bytesPerHeldConnection),
};

/** Idle connections: what two descriptors each leave room for below a limit of 20,000 open files. */
const HELD = 8000;

export const CASES: readonly Case[] = [
  {
    name: 'connections',
    settings: { flows: 32, held: 0 },
    fresh: false,
    metrics: [perSecond, cpuPerConnection],
  },
  {
    name: 'crowded',
    settings: { flows: 32, held: HELD },
    fresh: true,
    metrics: [perSecond, cpuPerConnection],
  },
  {
    name: 'download',
    settings: { flows: 4, held: 0 },
    fresh: false,
    metrics: [gigabytesPerSecond, cpuPerGigabyte],
  },
  {
    name: 'upload',
    settings: { flows: 4, held: 0 },
    fresh: false,
    metrics: [gigabytesPerSecond, cpuPerGigabyte],
  },
  { name: 'round-trip', settings: { flows: 1, held: 0 }, fresh: false, metrics: [p50, p99] },
  // One client that types while four others download.
  {
    name: 'beside-bulk',
    settings: { flows: 4, held: 0 },
    fresh: false,
    metrics: [p50, p99, gigabytesPerSecond],
  },
  { name: 'idle', settings: { flows: 0, held: HELD }, fresh: true, metrics: [bytesPerHeld] },
];
