/** A running proxy that reads its configuration again, as its operator and its clients see it. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { connectRaw, eventually, readToEnd, startEchoBackend } from '../support/peers.ts';
import { run, start } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { LOAD_NAME, SteadyLoad } from '../support/steady-load.ts';
import { descriptorsOf, memoryOf, startUpgradable } from '../support/upgradable.ts';
import type { Upgradable } from '../support/upgradable.ts';
import type { EngineName } from '../engine/conformance.ts';
import { freePorts } from '../support/ports.ts';

/** At full size: SNIWAY_RELOADS=200 SNIWAY_RELOAD_RATE=2000 SNIWAY_RELOAD_STREAMS=500. */
const RELOADS = Number(process.env['SNIWAY_RELOADS'] ?? 20);
const RATE = Number(process.env['SNIWAY_RELOAD_RATE'] ?? 200);
const STREAMS = Number(process.env['SNIWAY_RELOAD_STREAMS'] ?? 20);
const MEMORY_GROWTH_MAX = 48 * 1024 * 1024;
const echoFile = fileURLToPath(new URL('../support/echo-program.js', import.meta.url));

async function reload(t: TestContext, { pidFile }: Upgradable): Promise<Finished> {
  return await run(t, [process.execPath, commandFile, 'reload', '--pid-file', pidFile]);
}

/** Whether a name gets to the echo backend. */
async function answers(t: TestContext, port: number, name: string): Promise<boolean> {
  const client = await connectRaw(t, port);
  const hello = buildClientHello({ serverName: name });
  client.end(hello);
  return (await readToEnd(client)).bytes.length === hello.length;
}

export function describeReloadedCommand(engine: EngineName): void {
  const needsKernel = {
    skip: engine === 'portable' || loadKernel().ok ? false : 'the engine cannot run here',
  };
  describe(`reloads (${engine} engine)`, needsKernel, () => {
    test('refuse and drop nothing under load, and leave nothing behind', async t => {
      const backend = start(t, [process.execPath, echoFile]);
      await eventually('the backend listens', () => backend.stdout().endsWith('\n'), 30_000);
      const address = `127.0.0.1:${backend.stdout().trim().split(' ')[1]}`;
      const [port = 0, second = 0] = await freePorts(2);
      // Each differs from the one before it in a route, a backend with counters, a limit and a listener.
      const config = (round: number): string =>
        [
          `engine: ${engine}`,
          `listen: [127.0.0.1:${port}${round % 2 === 0 ? '' : `, 127.0.0.1:${second}`}]`,
          'timeouts: { hello: 60s, dial: 60s }',
          'routes:',
          ...(round % 3 === 0
            ? []
            : [
                `  - { name: r${round}, match: r${round}.example.com, backends: [${address}] , health: tcp }`,
              ]),
          `  - { name: load, match: ${LOAD_NAME}, backends: [{ address: "${address}", maxConnections: 100000 }], limits: { connections: ${90_000 + round} } }`,
        ].join('\n');
      const args = ['-c', '{folder}/sniway.yaml', '--log-format', 'none'];
      const proxy = await startUpgradable(t, args, { files: { 'sniway.yaml': config(0) } });
      const load = new SteadyLoad({ port, rate: RATE, streams: STREAMS });
      const pid = proxy.pid ?? 0;
      const memory: number[] = [];
      for (let round = 1; round <= RELOADS; round++) {
        proxy.write('sniway.yaml', config(round));
        proxy.signal('SIGHUP');
        await eventually(
          'it is reloaded',
          () => proxy.stderr.split('sniway: reloaded:').length === round + 1,
          30_000,
        );
        memory.push(memoryOf(pid));
        if (round % 10 === 0) await load.renewStreams(Math.ceil(STREAMS / 10));
      }
      const report = await load.stop();
      t.diagnostic(
        `${RELOADS} reloads, ${report.short} connections (${report.rate}/s), ${report.streamed} streams, ${report.bytes} bytes`,
      );
      assert.deepEqual(report.failures, []);
      assert.ok(report.short > 0 && report.streamed >= STREAMS);
      assert.doesNotMatch(proxy.stderr, /error|warn/);
      // The first half has warmed everything up.
      const early = Math.max(...memory.slice(0, RELOADS / 2));
      const late = Math.max(...memory.slice(RELOADS / 2));
      t.diagnostic(
        `memory ${Math.round(early / 2 ** 20)} MiB in the first half, ${Math.round(late / 2 ** 20)} in the second`,
      );
      assert.ok(late - early < MEMORY_GROWTH_MAX, `${early} ${late}`);
      const settle = async (round: number): Promise<number> => {
        proxy.write('sniway.yaml', config(round));
        assert.equal((await reload(t, proxy)).code, 0);
        return descriptorsOf(pid);
      };
      await eventually('no connection is left', () => descriptorsOf(pid) < 100, 30_000);
      const before = await settle(0);
      await settle(1);
      assert.equal(await settle(0), before);
    });

    test('say what has changed, and what a wrong file is wrong in, which changes nothing', async t => {
      const backend = await startEchoBackend(t);
      const good = `engine: ${engine}\nlisten: 127.0.0.1:0\nroutes:\n  - match: a.example.com\n    backend: ${backend.address}\n`;
      const proxy = await startUpgradable(t, ['-c', '{folder}/sniway.yaml'], {
        files: { 'sniway.yaml': good },
      });
      proxy.write(
        'sniway.yaml',
        `${good}  - { name: b, match: b.example.com, backend: "${backend.address}" }\n`,
      );
      const changed = await reload(t, proxy);
      assert.deepEqual([changed.code, changed.stdout], [0, 'reloaded: 1 new route (b)\n']);
      assert.ok(await answers(t, proxy.port, 'b.example.com'));
      proxy.write('sniway.yaml', good.replace('backend:', 'backnd:'));
      const wrong = await reload(t, proxy);
      assert.equal(wrong.code, 2);
      assert.match(
        wrong.stderr,
        /goes on as before: .*sniway\.yaml:5:5 {2}error {2}.*did you mean "backend"/,
      );
      assert.match(proxy.stderr, /error: no reload, going on as before:\n.*sniway\.yaml:5:5/);
      assert.ok(await answers(t, proxy.port, 'b.example.com'));
      proxy.write('sniway.yaml', `${good}timeouts: { dial: 3s }\nworkers: 7\n`);
      const settings = await reload(t, proxy);
      const told =
        /removed route \(b\); other timeouts(?:; workers as before until sniway is started anew)?\n/;
      assert.match(settings.stdout, told);
      assert.equal((await reload(t, proxy)).stdout.includes('removed'), false);
    });

    test('come by themselves with --watch, when a file of the configuration has changed', async t => {
      const backend = await startEchoBackend(t);
      const text = `engine: ${engine}\nlisten: 127.0.0.1:0\ninclude: routes\n`;
      const route = (name: string): string =>
        `- { match: ${name}.example.com, backend: "${backend.address}" }\n`;
      const proxy = await startUpgradable(t, ['-c', '{folder}/sniway.yaml', '--watch'], {
        files: { 'sniway.yaml': text, 'routes/a.yaml': route('a') },
      });
      proxy.write('routes/b.yaml', route('b'));
      await eventually(
        'a new file is read',
        () => /reloaded: 1 new route \(b\.example\.com\)/.test(proxy.stderr),
        20_000,
      );
      assert.ok(await answers(t, proxy.port, 'b.example.com'));
      // As editors and configuration managers do it.
      const next = proxy.write('next', route('c'));
      renameSync(next, `${proxy.folder}/routes/a.yaml`);
      await eventually(
        'a replaced one, too',
        () => /new route \(c\.example\.com\); 1 removed/.test(proxy.stderr),
        20_000,
      );
      proxy.write('routes/b.yaml', 'nonsense');
      await eventually('an error is told', () => /no reload, going on as before/.test(proxy.stderr), 20_000);
      assert.ok(await answers(t, proxy.port, 'b.example.com'));
      rmSync(`${proxy.folder}/routes/b.yaml`);
      await eventually('mended', () => /removed route \(b\.example\.com\)/.test(proxy.stderr), 20_000);
    });
  });
}
