/** Log lines to a socket that other processes have, too: under a service manager, all of a service share one. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../support/folders.ts';
import { eventually } from '../support/peers.ts';
import { projectRoot } from '../support/project.ts';

const module = join(projectRoot, 'dist', 'src', 'observability', 'line-sink.js');
/** More than a socket holds. */
const SCRIPT = `
  const { createLineSink } = await import(${JSON.stringify(module)});
  const sink = createLineSink({ fd: 1, onError: () => {} });
  sink.write('first');
  process.stdin.once('data', () => {
    for (let count = 0; count < 20; count++) setTimeout(() => sink.write('x'.repeat(100_000)), 5 * count);
    setTimeout(() => process.stderr.write('alive'), 200);
  });
`;

test('a socket that another process has made wait holds nobody up when its reader stops', async t => {
  const path = join(makeFolder(t, {}), 's.sock');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  const mine = connect(path);
  t.after(() => mine.destroy());
  const [reader] = (await once(server, 'connection')) as [Socket];
  t.after(() => reader.destroy());
  const handle = (mine as unknown as { _handle: { fd: number; setBlocking(blocks: boolean): number } })
    ._handle;
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['pipe', handle.fd, 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  reader.resume();
  const [line] = (await once(reader, 'data')) as [Buffer];
  assert.equal(line.toString(), 'first\n');
  reader.pause();
  assert.equal(handle.setBlocking(true), 0);
  child.stdin?.write('go');
  await eventually('it goes on', () => said === 'alive', 10_000);
});
