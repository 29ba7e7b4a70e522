/**
 * Open files exhausted on purpose: what is open goes on, nothing spins, nobody hangs, and accepting resumes by itself.
 *
 * The engines differ in one thing. When libuv runs out of descriptors it closes the clients that wait with a descriptor
 * it keeps back, and tells nobody: the portable engine has no record of them and no warning to give. Those it accepts
 * but has no descriptor left to dial for end as `limit` on both.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../support/peers.ts';
import type { Received } from '../support/peers.ts';
import { needs, run } from '../support/programs.ts';
import { startSniway } from '../support/sniway-process.ts';
import type { SniwayProcess } from '../support/sniway-process.ts';
import type { EngineName } from './conformance.ts';

const NAME = 'files.example.com';
const HELLO = buildClientHello({ serverName: NAME });
/** Descriptors a proxy may open beside those it has at its start; Node cannot even start with very few. */
const FILES_LEFT = 60;
const CLIENTS = 150;
/** Clock ticks of /proc/PID/stat in a second (proc(5); USER_HZ is 100 on every Linux that Node runs on). */
const TICKS = 100;

interface Relay {
  readonly client: Socket;
  readonly backend: Socket;
}

/** Seconds of processor time a process has used. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function pingPong({ client, backend }: Relay, text: string): Promise<void> {
  client.write(text);
  assert.equal((await readBytes(backend, text.length)).toString(), text);
  backend.write(text);
  assert.equal((await readBytes(client, text.length)).toString(), text);
}

async function exhaust(t: TestContext, engine: EngineName): Promise<SniwayProcess> {
  const server = await startBackend(t);
  const route = `${NAME}=${server.address}`;
  const args = ['--engine', engine, '--workers', '1', '--log-format', 'json', '-r', route];
  const sniway = await startSniway(t, args);
  const files = readdirSync(`/proc/${sniway.pid}/fd`).length + FILES_LEFT;
  const limited = await run(t, ['prlimit', '--pid', String(sniway.pid), `--nofile=${files}:${files}`]);
  assert.equal(limited.code, 0, limited.stderr);
  const relays: Relay[] = [];
  for (let count = 0; count < 5; count++) {
    const client = await connectRaw(t, sniway.port);
    client.write(HELLO);
    const backend = await server.next();
    await readBytes(backend, HELLO.length);
    relays.push({ client, backend });
  }
  const crowd: { client: Socket; received: Promise<Received> }[] = [];
  for (let count = 0; count < CLIENTS; count++) {
    const client = await connectRaw(t, sniway.port);
    crowd.push({ client, received: readToEnd(client) });
    client.write(HELLO);
  }
  const ends: string[] = [];
  for (const { received } of crowd) void received.then(({ end }) => ends.push(end));
  const served = (): number => server.sockets.length - relays.length;
  await eventually('each is relayed or refused', () => ends.length + served() >= CLIENTS, 20_000);
  const refused = ends.length;
  assert.ok(refused > CLIENTS / 2, `only ${refused} were refused`);
  t.diagnostic(`${served()} relayed, ${refused} refused with ${FILES_LEFT} descriptors`);
  if (engine === 'linux') assert.deepEqual(new Set(ends), new Set(['end']), 'an orderly end');

  for (const relay of relays) await pingPong(relay, 'while nothing is to be had');
  const before = cpuSeconds(sniway.pid);
  await sleep(1_000);
  const spent = cpuSeconds(sniway.pid) - before;
  assert.ok(spent < 0.2, `${spent} s of processor time in a second of doing nothing`);
  for (const relay of relays) await pingPong(relay, 'still');

  for (const { client } of crowd) client.destroy();
  for (const socket of server.sockets.slice(relays.length)) socket.destroy();
  await acceptsAgain(t, sniway, server.sockets);
  for (const relay of relays) await pingPong(relay, 'and after');
  return sniway;
}

/** Resolves when a client that comes anew gets through to the backend. */
async function acceptsAgain(
  t: TestContext,
  { port }: SniwayProcess,
  sockets: readonly Socket[],
): Promise<void> {
  const count = sockets.length;
  const until = performance.now() + 5_000;
  while (sockets.length === count) {
    assert.ok(performance.now() < until, 'nobody is let in again');
    const client = await connectRaw(t, port);
    client.resume();
    client.write(HELLO);
    await sleep(50);
  }
}

function reasonsOf(lines: readonly string[]): Map<string, number> {
  const reasons = new Map<string, number>();
  for (const line of lines) {
    const { endReason: end } = JSON.parse(line) as { endReason: string };
    reasons.set(end, (reasons.get(end) ?? 0) + 1);
  }
  return reasons;
}

const onLinux =
  process.platform === 'linux' ? needs('prlimit') : { skip: 'limits and /proc are those of Linux' };
const needsKernel = loadKernel().ok ? onLinux : { skip: 'the linux engine cannot run here' };

describe('without a file descriptor left', () => {
  test('the linux engine refuses in order, says so once, and accepts again', needsKernel, async t => {
    const sniway = await exhaust(t, 'linux');
    await eventually(
      'refusals are taken down',
      () => (reasonsOf(sniway.lines()).get('limit') ?? 0) > CLIENTS / 2,
    );
    const warnings = sniway.stderr().match(/^.*pauses: EMFILE.*$/gm) ?? [];
    assert.equal(warnings.length, 1, sniway.stderr());
    assert.match(warnings[0], /raise the limit of open files/);
  });

  test('the portable engine goes on and accepts again', onLinux, async t => {
    const sniway = await exhaust(t, 'portable');
    for (const reason of reasonsOf(sniway.lines()).keys())
      assert.match(reason, /^(limit|client-gone|client-reset|backend-gone|backend-reset|done)$/);
  });
});
