/** Access lines that nobody takes: connections go on, what is lost is counted, and memory stays where it is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { LOG_BUFFER_BYTES_MAX } from '../../src/limits.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readToEnd, startEchoBackend } from '../support/peers.ts';
import { startSniway } from '../support/sniway-process.ts';
import type { SniwayProcess } from '../support/sniway-process.ts';

const NAME = 'www.example.com';
/** Its access line is as long as they get, so that few of them fill every buffer. */
const WORDY = buildClientHello({ serverName: NAME, alpnProtocols: ['\x01'.repeat(255)] });
const AT_ONCE = 50;
/** Connections after the first line was dropped. */
const FURTHER = 1_000;
/** Far more than it takes to fill a pipe and the buffer before it. */
const CONNECTIONS_MAX = 10_000;
/** Beside the buffer: what two garbage collections may leave between them. */
const SLACK_BYTES = 64 * 1024 * 1024;

const engines = [
  { engine: 'portable', skip: process.platform === 'linux' ? false : 'needs Linux' },
  { engine: 'linux', skip: loadKernel().ok ? false : 'the linux engine cannot run here' },
] as const;

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Each gets back what it has sent. */
async function relayMany(t: TestContext, port: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        const client = await connectRaw(t, port);
        client.end(WORDY);
        assert.deepEqual(Buffer.from((await readToEnd(client)).bytes), Buffer.from(WORDY));
      }),
    );
  }
}

/** A metric without labels, as the admin server tells it. */
async function metricOf(sniway: SniwayProcess, name: string): Promise<number> {
  const url = /metrics and health at (\S+)/.exec(sniway.stderr())?.[1] ?? '';
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function relayUntilDropped(t: TestContext, sniway: SniwayProcess): Promise<number> {
  for (let done = AT_ONCE; done <= CONNECTIONS_MAX; done += AT_ONCE) {
    await relayMany(t, sniway.port, AT_ONCE);
    if ((await metricOf(sniway, 'sniway_log_lines_dropped_total')) > 0) return done;
  }
  throw new Error('nothing was dropped');
}

/** Asks again, at the pace of the asking, until it holds. */
async function soon(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) if (await holds()) return;
  throw new Error(`not soon: ${what}`);
}

/** What is in a pipe now. */
function drain(pipe: number): string {
  const chunk = Buffer.alloc(64 * 1024);
  let text = '';
  for (;;) {
    try {
      text += chunk.toString('latin1', 0, readSync(pipe, chunk));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return text;
      throw error;
    }
  }
}

for (const { engine, skip } of engines) {
  describe(`sniway run on the ${engine} engine, whose stdout is a pipe that nobody reads`, { skip }, () => {
    test('goes on, counts what it drops, and takes lines again when somebody reads', async t => {
      const echo = await startEchoBackend(t);
      const fifo = join(temporaryFolder(t), 'fifo');
      execFileSync('mkfifo', [fifo]);
      // Open for reading, so that there is a reader, which does not read yet.
      const pipe = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
      t.after(() => closeSync(pipe));
      const prefix = ['sh', '-c', 'exec "$@" >"$0"', fifo];
      const args = ['--engine', engine, '--log-format', 'json', '--admin', '127.0.0.1:0'];
      const sniway = await startSniway(t, ['-r', `${NAME}=${echo.address}`, ...args], { prefix });

      const first = await relayUntilDropped(t, sniway);
      const fullBytes = await metricOf(sniway, 'process_resident_memory_bytes');
      await relayMany(t, sniway.port, FURTHER);
      const grownBytes = (await metricOf(sniway, 'process_resident_memory_bytes')) - fullBytes;
      assert.ok(grownBytes < LOG_BUFFER_BYTES_MAX + SLACK_BYTES, `${grownBytes} bytes more`);
      assert.equal(await metricOf(sniway, 'sniway_records_dropped_total'), 0);

      let text = '';
      let dropped = 0;
      const isTold = async (count: number): Promise<boolean> => {
        text += drain(pipe);
        dropped = await metricOf(sniway, 'sniway_log_lines_dropped_total');
        return text.split('\n').length - 1 + dropped === count;
      };
      await soon('every line is read or counted as dropped', () => isTold(first + FURTHER));
      assert.ok(dropped > FURTHER - AT_ONCE, `only ${dropped} lines were dropped`);
      const lost = dropped;
      await relayMany(t, sniway.port, AT_ONCE);
      await soon('new lines are read', () => isTold(first + FURTHER + AT_ONCE));
      assert.equal(dropped, lost);
      for (const line of text.split('\n').slice(0, -1)) {
        assert.equal((JSON.parse(line) as Record<string, unknown>)['endReason'], 'done');
      }
      sniway.kill('SIGTERM');
      const { code, stderr } = await sniway.finished;
      assert.equal(code, 0);
      assert.match(stderr, new RegExp(`${lost} access lines were dropped: stdout was too slow`));
    });
  });
}

/** A file system of a few pages; null, and the test skipped, where none can be made. */
function makeSmallDisk(t: TestContext): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'sniway-test', folder], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(folder);
    t.skip(`no file system of its own: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
  t.after(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  return folder;
}

test('sniway --log-file says when its disk is full, goes on, and writes again when there is room', async t => {
  const disk = makeSmallDisk(t);
  if (disk === null) return;
  const echo = await startEchoBackend(t);
  const file = join(disk, 'access.log');
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(56 * 1024));
  const sniway = await startSniway(t, ['-r', `${NAME}=${echo.address}`, '--log-file', file]);
  await relayMany(t, sniway.port, 200);
  await eventually('it says so', () => sniway.stderr().includes('access log: ENOSPC'));
  await relayMany(t, sniway.port, AT_ONCE);
  assert.equal(sniway.stderr().match(/ENOSPC/g)?.length, 1, sniway.stderr());
  rmSync(ballast);
  await soon('there are further lines', async () => {
    const length = readFileSync(file).length;
    await relayMany(t, sniway.port, AT_ONCE);
    return readFileSync(file).length > length;
  });
  sniway.kill('SIGTERM');
  assert.equal((await sniway.finished).code, 0);
});
