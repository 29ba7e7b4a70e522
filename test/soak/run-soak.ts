/** Starts a proxy and its load, each in a process of its own, and compares the proxy before and after. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PIPES_IDLE_MS } from '../../src/limits.ts';
import { commandFile } from '../support/project.ts';
import { SOAK_NAME } from './flow.ts';
import type { LoadReport } from './load.ts';

export interface SoakOptions {
  readonly seconds: number;
  readonly engine: 'portable' | 'linux';
  readonly seed: number;
}

export interface SoakReport extends LoadReport {
  /** Connections by end reason, as the access log has them. */
  readonly endReasons: Readonly<Record<string, number>>;
  readonly descriptors: { readonly before: number; readonly most: number; readonly after: number };
  readonly pipes: { readonly before: number; readonly most: number; readonly after: number };
  /** Resident memory once warm (a quarter of the time), at the end of the load, and after it; bytes. */
  readonly memory: { readonly warm: number; readonly end: number; readonly after: number };
  /** What is wrong; empty if nothing is. */
  readonly problems: readonly string[];
}

/** What memory may grow by between the warm proxy and the end: V8 takes some and gives it back late. */
const MEMORY_GROWTH_MAX = 64 * 1024 * 1024;
const SETTLE_MS = PIPES_IDLE_MS + 10_000;
const loadFile = join(dirname(fileURLToPath(import.meta.url)), 'load.js');

interface Files {
  readonly descriptors: number;
  readonly pipes: number;
}

/** Ends with its last process, whatever happens. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const load = spawn(process.execPath, [loadFile], { stdio: ['pipe', 'pipe', 'inherit'] });
  const loadLines = createInterface({ input: load.stdout });
  const children: ChildProcess[] = [load];
  try {
    const [line] = (await once(loadLines, 'line')) as [string];
    const route = `${SOAK_NAME}=127.0.0.1:${line.split(' ')[1]}`;
    const args = ['-l', '127.0.0.1:0', '--engine', options.engine, '--log-format', 'json', '-r', route];
    const sniway = spawn(process.execPath, [commandFile, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(sniway);
    const endReasons: Record<string, number> = {};
    createInterface({ input: sniway.stdout }).on('line', text => {
      const { endReason } = JSON.parse(text) as { endReason: string };
      endReasons[endReason] = (endReasons[endReason] ?? 0) + 1;
    });
    const told: string[] = [];
    const port = await listening(sniway, told);
    const report = await measure(sniway.pid ?? 0, options, async () => {
      load.stdin.write(`${port} ${options.seconds} ${options.seed}\n`);
      const [text] = (await once(loadLines, 'line')) as [string];
      return JSON.parse(text) as LoadReport;
    });
    const faults = endReasons['internal-error'] ?? 0;
    const problems = [
      ...report.problems,
      ...(faults > 0 ? [`${faults} connections ended as internal-error`] : []),
      ...told.filter(text => /error|warn|died/.test(text)),
    ];
    return { ...report, endReasons, problems };
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

function listening(sniway: ChildProcess, told: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    sniway.once('exit', () => reject(new Error(`sniway ended: ${told.join('\n')}`)));
    createInterface({ input: sniway.stderr! }).on('line', text => {
      told.push(text);
      const port = /listening on \S+:([0-9]+)$/.exec(text)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

async function measure(
  pid: number,
  { seconds }: SoakOptions,
  run: () => Promise<LoadReport>,
): Promise<Omit<SoakReport, 'endReasons'>> {
  const before = filesOf(pid);
  let most = before;
  let warm = 0;
  const startedAt = performance.now();
  const watch = setInterval(() => {
    const now = filesOf(pid);
    most = {
      descriptors: Math.max(most.descriptors, now.descriptors),
      pipes: Math.max(most.pipes, now.pipes),
    };
    if (warm === 0 && performance.now() - startedAt > (seconds * 1_000) / 4) warm = residentBytes(pid);
  }, 50);
  const load = await run().finally(() => clearInterval(watch));
  const end = residentBytes(pid);
  const after = await settled(pid, before);
  const memory = { warm, end, after: residentBytes(pid) };
  const grown = memory.after - warm;
  const problems = [
    ...load.failures,
    ...(after.descriptors > before.descriptors
      ? [`${after.descriptors - before.descriptors} descriptors are left`]
      : []),
    ...(after.pipes > before.pipes ? [`${after.pipes - before.pipes} ends of pipes are left`] : []),
    ...(grown > MEMORY_GROWTH_MAX ? [`memory grew by ${grown} bytes`] : []),
  ];
  return {
    ...load,
    descriptors: { before: before.descriptors, most: most.descriptors, after: after.descriptors },
    pipes: { before: before.pipes, most: most.pipes, after: after.pipes },
    memory,
    problems,
  };
}

/** What is open when it is no more than before, or when the time for that is over. */
async function settled(pid: number, before: Files): Promise<Files> {
  const until = performance.now() + SETTLE_MS;
  for (;;) {
    const now = filesOf(pid);
    if (now.descriptors <= before.descriptors && now.pipes <= before.pipes) return now;
    if (performance.now() > until) return now;
    await sleep(100);
  }
}

function filesOf(pid: number): Files {
  const folder = `/proc/${pid}/fd`;
  const names = readdirSync(folder);
  const isPipe = (name: string): boolean => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith('pipe:');
    } catch {
      // Closed since it was listed.
      return false;
    }
  };
  return { descriptors: names.length, pipes: names.filter(isPipe).length };
}

function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}
