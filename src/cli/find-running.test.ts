import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeFolder } from '../../test/support/folders.ts';
import { CommandError } from './exit-codes.ts';
import { findRunning } from './find-running.ts';
import type { FindFlags } from './find-running.ts';
import { answerPath } from './pid-file.ts';

const onLinux = { skip: process.platform === 'linux' ? false : 'the kernel tells only on Linux' };

function refusalOf(flags: FindFlags): string {
  try {
    findRunning(flags);
  } catch (error) {
    assert.ok(error instanceof CommandError);
    return `${error.exitCode} ${error.message}`;
  }
  return 'found';
}

/** A process that looks like Sniway and does this; its pid file stands in the folder. */
async function pretend(t: TestContext, script: string): Promise<{ pid: number; pidFile: string }> {
  const folder = makeFolder(t, { 'package.json': '{ "type": "commonjs" }' });
  mkdirSync(join(folder, 'bin'));
  const pidFile = join(folder, 'pid');
  const path = join(folder, 'bin', 'sniway');
  writeFileSync(path, `${script}; setInterval(() => {}, 1000); console.log('runs');`);
  const child = spawn(process.execPath, [path, pidFile], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  writeFileSync(pidFile, `${child.pid}\n`);
  return { pid: child.pid ?? 0, pidFile };
}

const ANSWER = `process.on('SIGUSR2', () => require('fs').writeFileSync(process.argv[2] + '.answer',
  JSON.stringify({ signal: 'SIGUSR2', ok: false, text: 'no\\u001b[2J', pid: process.pid, at: process.hrtime.bigint().toString() })))`;

describe('findRunning()', () => {
  test('says what it needs', t => {
    assert.match(refusalOf({}), /^2 .*--pid-file PATH/);
    assert.match(refusalOf({ pid: '-1' }), /^2 .*'-1' is no process/);
    const pidFile = join(makeFolder(t, { wrong: 'pid: 7' }), 'wrong');
    assert.match(refusalOf({ pidFile: '/no/such/pid' }), /^1 .*no process stands in \/no\/such\/pid/);
    assert.match(refusalOf({ pidFile }), /^1 .*no process stands in/);
  });

  test('knows a process that is gone', async t => {
    const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    await once(child, 'exit');
    const pidFile = join(makeFolder(t, { pid: `${child.pid}\n` }), 'pid');
    assert.match(refusalOf({ pidFile }), /^1 .*no process [0-9]+ runs, though .* says so/);
  });

  test('sends no signal to another program, nor to one that would die of it', onLinux, async t => {
    const own = findRunning({ pid: String(process.pid) });
    await assert.rejects(own.ask('SIGUSR2', 1_000), /is no sniway/);
    const { pidFile } = await pretend(t, '');
    await assert.rejects(findRunning({ pidFile }).ask('SIGUSR2', 1_000), /takes no SIGUSR2/);
  });
});

describe('a request', onLinux, () => {
  test('is answered, not by what was there before', async t => {
    const { pid, pidFile } = await pretend(t, ANSWER);
    writeFileSync(answerPath(pidFile), JSON.stringify({ signal: 'SIGUSR2', ok: true, text: 'old' }));
    const answer = await findRunning({ pidFile }).ask('SIGUSR2', 10_000);
    assert.deepEqual([answer?.ok, answer?.text], [false, 'no\\x1b[2J'], 'nothing that a terminal obeys');
    assert.equal(await findRunning({ pid: String(pid) }).ask('SIGUSR2', 10_000), null);
  });

  test('says so when the process ends, or does not answer', async t => {
    const ending = await pretend(t, "process.on('SIGUSR2', () => process.exit())");
    await assert.rejects(
      findRunning({ pidFile: ending.pidFile }).ask('SIGUSR2', 10_000),
      /has ended before it answered/,
    );
    const silent = await pretend(t, "process.on('SIGUSR2', () => {})");
    await assert.rejects(
      findRunning({ pidFile: silent.pidFile }).ask('SIGUSR2', 200),
      /has not answered within 0.2s/,
    );
  });
});
