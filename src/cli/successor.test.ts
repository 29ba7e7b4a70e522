import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { run } from '../../test/support/programs.ts';
import { startSuccessor } from './successor.ts';
import type { SuccessorOptions, SuccessorOutcome } from './successor.ts';

const SAY = "const say = line => fs.writeSync(Number(process.env.SNIWAY_HANDOVER_FD), line + '\\n');";

/** Starts Node with a script in the place of the command. */
function startScript(script: string, options: Partial<SuccessorOptions> = {}): Promise<SuccessorOutcome> {
  const command = [process.execPath, '-e', `${SAY}${script}`];
  return startSuccessor({ sockets: [], abort: new AbortController().signal, command, ...options });
}

async function failureOf(script: string, options?: Partial<SuccessorOptions>): Promise<string> {
  const outcome = await startScript(script, options);
  assert.ok(!outcome.ok);
  return outcome.why;
}

describe('startSuccessor()', () => {
  test('resolves when the new process is ready, which goes on by itself', async () => {
    const outcome = await startScript(`say('READY=1'); setInterval(() => {}, 1000);`);
    assert.ok(outcome.ok);
    process.kill(outcome.pid, 'SIGKILL');
  });

  test('hands sockets over by the convention: named, listening, meant for this process alone', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const { port } = server.address() as AddressInfo;
    const why = await failureOf(
      `const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, WATCHDOG_PID } = process.env;
      const server = require('net').createServer().listen({ fd: 4 }, () => {
        const seen = [LISTEN_PID === String(process.pid), LISTEN_FDS, LISTEN_FDNAMES, server.address().port];
        say('FAILED=' + JSON.stringify(JSON.stringify(seen)));
        process.exit(5);
      });`,
      {
        sockets: [
          { fd, name: 'one' },
          { fd, name: 'two' },
        ],
      },
    );
    server.close();
    const seen = JSON.stringify([true, '2', 'one:two', port]);
    assert.equal(why, `the new process ended with exit code 5 before it was ready:\n${seen}`);
  });

  test('tells how a new process has ended that said nothing', async () => {
    assert.match(await failureOf('process.exit(7)'), /ended with exit code 7 before it was ready; its own/);
    assert.match(await failureOf("process.kill(process.pid, 'SIGABRT')"), /ended by SIGABRT/);
  });

  test('says so when no process can be started', async () => {
    const why = await failureOf('', { command: ['/no/such/program'] });
    assert.match(why, /ended with exit code 127/);
    assert.match(
      await failureOf('', { sockets: [{ fd: 1_000_000, name: 'none' }] }),
      /no new process can be started: .*EBADF|ended with/,
    );
  });

  test('says so where no descriptor is left, and harms nothing', async t => {
    const program = `import { closeSync, openSync } from 'node:fs';
      import { startSuccessor } from '${new URL('./successor.js', import.meta.url).href}';
      const fds = [];
      try { for (;;) fds.push(openSync('/dev/null')); } catch {}
      const { why } = await startSuccessor({ sockets: [], abort: new AbortController().signal });
      setImmediate(() => { fds.forEach(closeSync); console.log(why); });`;
    const limited = 'ulimit -n 100; exec "$0" --input-type=module -e "$1"';
    const { code, stdout, stderr } = await run(t, ['/bin/sh', '-c', limited, process.execPath, program]);
    assert.equal(stderr, '');
    assert.deepEqual([code, stdout], [0, 'no new process can be started: spawn /bin/sh EMFILE\n']);
  });

  test('ends a process that is not ready in time', async () => {
    const started = performance.now();
    const why = await failureOf('setInterval(() => {}, 1000)', { timeoutMs: 200 });
    assert.equal(why, 'the new process was not ready within 0.2s, and was ended');
    assert.ok(performance.now() - started < 20_000);
  });

  test('tells what a process has said that fails, and does not end in time', async () => {
    const why = await failureOf(`say('FAILED="EADDRINUSE"'); setInterval(() => {}, 1000);`, {
      timeoutMs: 2_000,
    });
    assert.equal(why, 'the new process was not ready within 2s, and was ended:\nEADDRINUSE');
  });

  test('ends it when the process that starts it ends, but not once it is ready', async () => {
    const abort = new AbortController();
    const outcome = startScript('setInterval(() => {}, 1000)', { abort: abort.signal });
    setImmediate(() => abort.abort());
    assert.deepEqual(await outcome, { ok: false, why: 'this process ends' });
    assert.equal(await failureOf(`say('READY=1');`, { abort: abort.signal }), 'this process ends');
    const late = new AbortController();
    const ready = await startScript(`say('READY=1'); setInterval(() => {}, 1000);`, { abort: late.signal });
    late.abort();
    assert.ok(ready.ok);
    process.kill(ready.pid, 0);
    process.kill(ready.pid, 'SIGKILL');
  });
});
