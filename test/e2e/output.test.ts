/** The command's output meets readers that are slow, gone or full. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { connectRaw, eventually, readToEnd } from '../support/peers.ts';
import { run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';

const onlyLinux = { skip: process.platform === 'linux' ? false : 'needs Linux' };
const FULL = '/dev/full';
const needsFull = { skip: existsSync(FULL) ? false : `needs ${FULL}` };

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly stderr: () => string;
}

async function startWithOutput(t: TestContext, stdout: number | 'pipe'): Promise<Started> {
  const stdio: StdioOptions = ['ignore', stdout, 'pipe'];
  const args = [commandFile, '-l', '127.0.0.1:0', '-s', 'example.com', '--log-format', 'json'];
  const child = spawn(process.execPath, args, { stdio });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.on('data', chunk => (stderr += String(chunk)));
  await eventually('it listens', () => stderr.includes('listening'), 10_000);
  return { child, port: Number(/listening on \S+:([0-9]+)/.exec(stderr)?.[1]), stderr: () => stderr };
}

/** More access lines than any pipe or socket holds. */
async function makeLines(t: TestContext, port: number): Promise<void> {
  for (let round = 0; round < 60; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await connectRaw(t, port);
        client.end('GET / HTTP/1.1\r\n\r\n');
        await readToEnd(client);
      }),
    );
  }
}

async function expectEndInTime({ child, stderr }: Started): Promise<void> {
  const ended = once(child, 'exit') as Promise<[number | null]>;
  child.kill('SIGTERM');
  const started = performance.now();
  const [code] = await ended;
  assert.equal(code, 0, stderr());
  assert.ok(performance.now() - started < 8_000, 'it waited for its reader');
  assert.match(stderr(), /access lines were dropped/);
}

describe('sniway, whose access log', () => {
  test('is a pipe that nobody reads, still ends when asked to', onlyLinux, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    // Open for reading too, so that there is a reader, which does not read.
    const held = openSync(path, constants.O_RDWR);
    t.after(() => closeSync(held));
    const started = await startWithOutput(t, held);
    await makeLines(t, started.port);
    await expectEndInTime(started);
  });

  test('is a socket that nobody reads, still ends when asked to', onlyLinux, async t => {
    const started = await startWithOutput(t, 'pipe');
    await makeLines(t, started.port);
    await expectEndInTime(started);
  });

  test('is a full disk, says so once and goes on', needsFull, async t => {
    const full = openSync(FULL, 'w');
    t.after(() => closeSync(full));
    const { child, port, stderr } = await startWithOutput(t, full);
    await makeLines(t, port);
    await eventually('it says so', () => stderr().includes('ENOSPC'));
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.equal(stderr().match(/ENOSPC/g)?.length, 1, stderr());
  });
});

describe('sniway, printing', () => {
  for (const words of ['schema', '--help', 'help', '--version']) {
    test(`${words} | true is no fault`, async t => {
      const command = `"$0" "$1" ${words} | true; exit 0`;
      const { stderr } = await run(t, ['sh', '-c', command, process.execPath, commandFile]);
      assert.equal(stderr, '');
    });

    test(`${words} to a full disk ends with 1 and one line`, needsFull, async t => {
      const command = `"$0" "$1" ${words} > ${FULL}`;
      const { code, stderr } = await run(t, ['sh', '-c', command, process.execPath, commandFile]);
      assert.equal(code, 1);
      assert.match(stderr, /^sniway: error: cannot write to stdout: ENOSPC.*\n$/);
    });
  }

  test('a complaint that cannot be written does not change the exit code', needsFull, async t => {
    const command = `"$0" "$1" --no-such-flag 2> ${FULL}`;
    assert.equal((await run(t, ['sh', '-c', command, process.execPath, commandFile])).code, 2);
  });
});
