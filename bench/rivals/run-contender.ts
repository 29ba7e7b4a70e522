/** Starts and stops a contender: pinned to one processor, ended by its process id, its folder removed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender, Route } from './contender.ts';

export interface Running {
  readonly port: number;
  /** For the second route: the same port, or without a proxy its backend itself. */
  readonly holdPort: number;
  /** Root of its process tree; 0 for no proxy. */
  readonly pid: number;
  stop(): Promise<void>;
}

export type Started =
  { readonly ok: true; readonly running: Running } | { readonly ok: false; readonly why: string };

export interface StartPlan {
  readonly routes: readonly [Route, Route];
  readonly cpu: number;
  /** The load's. */
  readonly otherCpu: number;
}

const READY_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 3_000;
/** Raises the limit of open files as far as the system lets it, then becomes the command. */
const WITH_MANY_FILES = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"';

export async function startContender(contender: Contender, plan: StartPlan): Promise<Started> {
  if (contender.prepare === null) {
    const [port, holdPort] = plan.routes.map(route => route.backendPort) as [number, number];
    return { ok: true, running: { port, holdPort, pid: 0, stop: async () => {} } };
  }
  const folder = mkdtempSync(join(tmpdir(), `sniway-bench-${contender.name}-`));
  const port = await freePort();
  const command = contender.prepare({ port, folder, ...plan });
  const cpus = contender.spread ? `${plan.cpu},${plan.otherCpu}` : String(plan.cpu);
  const child = spawn('taskset', ['-c', cpus, 'sh', '-c', WITH_MANY_FILES, 'sh', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const refusal = await waitUntilReady(child, port);
  if (refusal === null) return { ok: true, running: { port, holdPort: port, pid: child.pid!, stop } };
  await stop();
  const missing = /(\S+): (?:command )?not found/.exec(said);
  return {
    ok: false,
    why: missing === null ? `${refusal}: ${telling(said)}` : `${missing[1]} is not installed`,
  };
}

/** The line of a program's complaint that says most. */
function telling(said: string): string {
  const lines = said.split('\n').filter(line => line.trim() !== '');
  const line = lines.find(text => /^\S*error|alert|emerg|unable|cannot/i.test(text)) ?? lines.at(-1);
  return line?.trim().slice(0, 160) ?? 'it says nothing';
}

/** Null once the port accepts, else why not. */
async function waitUntilReady(child: ChildProcess, port: number): Promise<string | null> {
  let problem: string | null = null;
  child.once('error', error => (problem = error.message));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (problem !== null) return problem;
    if (child.exitCode !== null || child.signalCode !== null)
      return `ended with ${child.exitCode ?? child.signalCode}`;
    if (await accepts(port)) return null;
    await sleep(50);
  }
  return `does not listen after ${READY_TIMEOUT_MS} ms`;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
