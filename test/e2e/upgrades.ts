/** A running proxy that is replaced by a new process, as its operator and its clients see it. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import {
  connectRaw,
  eventually,
  eventuallyRefused,
  readBytes,
  readToEnd,
  startBackend,
  startEchoBackend,
} from '../support/peers.ts';
import type { Backend } from '../support/peers.ts';
import { start } from '../support/programs.ts';
import { LOAD_NAME, SteadyLoad } from '../support/steady-load.ts';
import { descriptorsOf, isRunning, memoryOf, startUpgradable } from '../support/upgradable.ts';
import type { Upgradable } from '../support/upgradable.ts';
import { freePorts } from '../support/ports.ts';

type EngineName = 'linux' | 'portable';

const HELLO = buildClientHello({ serverName: LOAD_NAME });
/** At full size: SNIWAY_UPGRADES=10 SNIWAY_UPGRADE_RATE=2000 SNIWAY_UPGRADE_STREAMS=500. */
const UPGRADES = Number(process.env['SNIWAY_UPGRADES'] ?? 3);
const RATE = Number(process.env['SNIWAY_UPGRADE_RATE'] ?? 200);
const STREAMS = Number(process.env['SNIWAY_UPGRADE_STREAMS'] ?? 20);
const echoFile = fileURLToPath(new URL('../support/echo-program.js', import.meta.url));
const MEMORY_SPREAD_MAX = 64 * 1024 * 1024;

const configOf = (engine: string, backend: Backend, more = ''): string =>
  `engine: ${engine}\nroutes:\n  - match: ${LOAD_NAME}\n    backend: ${backend.address}\n${more}`;

/** Whether somebody relays to the backend there. */
async function echoes(t: TestContext, to: number | { path: string }): Promise<void> {
  const client = await connectRaw(t, to);
  client.end(HELLO);
  assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
}

export function describeUpgrades(engine: EngineName): void {
  const needsKernel = {
    skip: engine === 'portable' || loadKernel().ok ? false : 'the engine cannot run here',
  };
  const other: EngineName = engine === 'linux' && loadKernel().ok ? 'portable' : 'linux';

  describe(`upgrades (${engine} engine)`, needsKernel, () => {
    test('refuse and drop nothing under load, and leave nothing behind', async t => {
      const backend = start(t, [process.execPath, echoFile]);
      await eventually('the backend listens', () => backend.stdout().endsWith('\n'), 30_000);
      const address = `127.0.0.1:${backend.stdout().trim().split(' ')[1]}`;
      const args = ['-l', '127.0.0.1:0', '--engine', engine, '-r', `${LOAD_NAME}=${address}`];
      // A machine that is too slow for the load is no loss.
      const patience = ['--hello-timeout', '60s', '--dial-timeout', '60s', '--drain', '10m'];
      const proxy = await startUpgradable(t, [...args, ...patience, '--log-format', 'none']);
      const load = new SteadyLoad({ port: proxy.port, rate: RATE, streams: STREAMS });
      const memory: number[] = [];
      const shareOfStreams = Math.ceil(STREAMS / 4);
      for (let count = 0; count < UPGRADES; count++) {
        await load.renewStreams(shareOfStreams);
        await proxy.upgraded(t);
        memory.push(memoryOf(proxy.pid ?? 0));
      }
      const report = await load.stop();
      t.diagnostic(
        `${UPGRADES} upgrades, ${report.short} connections (${report.rate}/s), ${report.streamed} streams, ` +
          `${report.bytes} bytes, memory ${memory.map(bytes => Math.round(bytes / 2 ** 20)).join(', ')} MiB`,
      );
      assert.deepEqual(report.failures, []);
      assert.ok(report.short > 0 && report.streamed >= STREAMS);
      const last = proxy.pid ?? 0;
      await eventually('the old ones are gone', () =>
        proxy.pids.every(pid => pid === last || !isRunning(pid)),
      );
      // One that nobody uses, as a measure: those before had the same.
      await proxy.upgraded(t);
      const idle = descriptorsOf(proxy.pid ?? 0);
      await proxy.upgraded(t);
      assert.equal(descriptorsOf(proxy.pid ?? 0), idle);
      assert.ok(Math.max(...memory) - Math.min(...memory) < MEMORY_SPREAD_MAX, memory.join());
    });

    test('leave a connection where it is, and say what holds the old process open', async t => {
      const backend = await startBackend(t);
      const args = ['-l', '127.0.0.1:0', '--engine', engine, '-r', `${LOAD_NAME}=${backend.address}`];
      const proxy = await startUpgradable(t, [...args, '--drain', '1s']);
      const client = await connectRaw(t, proxy.port);
      client.write(HELLO);
      const accepted = await backend.next();
      await readBytes(accepted, HELLO.length);
      await proxy.upgraded(t);
      accepted.write('still here');
      assert.equal((await readBytes(client, 10)).toString(), 'still here');
      await eventually('it says so', () => /1 connection is open still/.test(proxy.stderr));
      const where = `127\\.0\\.0\\.1:${client.localPort} \\(${LOAD_NAME}\\) for [0-9]+s in=${HELLO.length} out=10`;
      assert.match(proxy.stderr, new RegExp(`the oldest: ${where}`));
      assert.match(proxy.stderr, /upgraded: draining 1 connection for up to 1s/);
      assert.equal(await proxy.firstExit, 3);
      assert.notEqual(proxy.pid, proxy.pids[0]);
    });

    test('end the old process with 0 once its connections have ended', async t => {
      const backend = await startEchoBackend(t);
      const args = ['-l', '127.0.0.1:0', '--engine', engine, '-r', `${LOAD_NAME}=${backend.address}`];
      const proxy = await startUpgradable(t, args);
      const client = await connectRaw(t, proxy.port);
      client.write(HELLO);
      await readBytes(client, HELLO.length);
      await proxy.upgraded(t);
      client.end();
      await readToEnd(client);
      assert.equal(await proxy.firstExit, 0);
      const last = proxy.pid ?? 0;
      proxy.signal('SIGTERM');
      await eventually('the new one has ended', () => !isRunning(last));
      assert.equal(existsSync(proxy.pidFile), false, 'its pid file is gone with it');
      assert.equal(existsSync(`${proxy.pidFile}.answer`), false);
    });

    test('that fail change nothing, say why, and can be tried again', async t => {
      const backend = await startEchoBackend(t);
      const good = `listen: 127.0.0.1:0\n${configOf(engine, backend)}`;
      const proxy = await startWithFile(t, good);
      const { pid } = proxy;
      proxy.write('sniway.yaml', good.replace('backend:', 'backnd:'));
      const wrong = await proxy.upgrade(t);
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, new RegExp(`process ${pid} goes on as before: .*exit code 2`));
      assert.match(wrong.stderr, /sniway\.yaml:5:5 {2}error {2}.*did you mean "backend"/);
      assert.match(proxy.stderr, /no upgrade, going on as before/);
      assert.equal(proxy.pid, pid);
      await echoes(t, proxy.port);
      proxy.write('sniway.yaml', good);
      await proxy.upgraded(t);
      assert.notEqual(proxy.pid, pid);
      await echoes(t, proxy.port);
    });

    test('that crash change nothing, and two at once are one too many', async t => {
      const backend = await startEchoBackend(t);
      const config = JSON.stringify({
        listen: '127.0.0.1:0',
        engine,
        routes: [{ match: LOAD_NAME, backend: backend.address }],
      });
      const program = (then: string): string => `${then}\nexport default ${config};\n`;
      const wait = `import { existsSync } from 'node:fs';
        while (!existsSync('go')) await new Promise(resolve => setTimeout(resolve, 10));`;
      const proxy = await startWithFile(t, program(''), 'sniway.mjs');
      const { pid } = proxy;
      proxy.write('sniway.mjs', program("process.kill(process.pid, 'SIGSEGV');"));
      assert.match((await proxy.upgrade(t)).stderr, /ended by SIGSEGV before it was ready/);
      assert.equal(proxy.pid, pid);
      proxy.write('sniway.mjs', program(wait));
      const first = proxy.upgrade(t);
      await eventually('it begins', () => proxy.stderr.split('starting a new process').length === 3);
      proxy.signal('SIGUSR2');
      await eventually('it is refused', () => proxy.stderr.includes('one is under way already'));
      await echoes(t, proxy.port);
      proxy.write('go', '');
      assert.equal((await first).code, 0);
      await echoes(t, proxy.port);
    });

    test('take an end for an answer: SIGTERM ends the new process, too', async t => {
      const backend = await startEchoBackend(t);
      const config = `export default ${JSON.stringify({ listen: '127.0.0.1:0', engine, routes: [{ match: LOAD_NAME, backend: backend.address }] })};`;
      const proxy = await startWithFile(t, config, 'sniway.mjs');
      proxy.write(
        'sniway.mjs',
        "import { writeFileSync } from 'node:fs'; writeFileSync('new', String(process.pid)); await new Promise(r => setTimeout(r, 60_000)); export default {};",
      );
      proxy.signal('SIGUSR2');
      await eventually('the new one runs', () => existsSync(`${proxy.folder}/new`));
      proxy.signal('SIGTERM');
      assert.equal(await proxy.firstExit, 0);
      await eventuallyRefused(proxy.port);
    });

    test('keep the port of one that the kernel chose, also with more and with fewer workers', async t => {
      const backend = await startEchoBackend(t);
      const config = (workers: number): string =>
        `listen: 127.0.0.1:0\nworkers: ${workers}\n${configOf(engine, backend)}`;
      const proxy = await startWithFile(t, config(2));
      const load = new SteadyLoad({ port: proxy.port, rate: 100, streams: 2 });
      for (const workers of [1, 3, 2]) {
        proxy.write('sniway.yaml', config(workers));
        await proxy.upgraded(t);
        await load.renewStreams(2);
      }
      const { failures, short } = await load.stop();
      assert.deepEqual(failures, []);
      assert.ok(short > 0);
    });

    test('may change the engine', async t => {
      const backend = await startEchoBackend(t);
      const config = (name: string): string =>
        `listen: [127.0.0.1:0, "unix:{folder}/s.sock"]\nworkers: 2\n${configOf(name, backend)}`;
      const proxy = await startWithFile(t, config(engine));
      const load = new SteadyLoad({ port: proxy.port, rate: 100, streams: 2 });
      for (const name of [other, engine, other]) {
        proxy.write('sniway.yaml', config(name));
        await proxy.upgraded(t);
        await load.renewStreams(2);
        await echoes(t, { path: `${proxy.folder}/s.sock` });
      }
      assert.deepEqual((await load.stop()).failures, []);
      const places = [...proxy.stderr.matchAll(/listening on (unix:.*)$/gm)].map(match => match[1]);
      assert.deepEqual(new Set(places), new Set([`unix:${proxy.folder}/s.sock`]));
    });

    test('leave the file of a Unix-domain socket until the last process ends', async t => {
      const backend = await startEchoBackend(t);
      const args = ['-l', 'unix:{folder}/s.sock', '--engine', engine, '--admin', 'unix:{folder}/a.sock'];
      const proxy = await startUpgradable(t, [...args, '-r', `${LOAD_NAME}=${backend.address}`]);
      const path = `${proxy.folder}/s.sock`;
      const admin = `${proxy.folder}/a.sock`;
      await proxy.upgraded(t);
      assert.equal(await proxy.firstExit, 0);
      assert.ok(lstatSync(path).isSocket() && lstatSync(admin).isSocket());
      await echoes(t, { path });
      const last = proxy.pid ?? 0;
      proxy.signal('SIGTERM');
      await eventually('the new one has ended', () => !isRunning(last));
      assert.equal(existsSync(path), false);
      assert.equal(existsSync(admin), false);
    });

    test('remove the file of a Unix-domain socket that the new configuration has no listener for', async t => {
      const backend = await startEchoBackend(t);
      const config = (more: string): string => `listen: [127.0.0.1:0${more}]\n${configOf(engine, backend)}`;
      const proxy = await startWithFile(t, config(', "unix:{folder}/s.sock"'));
      await echoes(t, { path: `${proxy.folder}/s.sock` });
      proxy.write('sniway.yaml', config(''));
      await proxy.upgraded(t);
      assert.equal(existsSync(`${proxy.folder}/s.sock`), false);
      await echoes(t, proxy.port);
    });

    test('take up and give up listeners as the new configuration has them', async t => {
      const backend = await startEchoBackend(t);
      const [kept, gone, fresh] = await freePorts(3);
      const config = (...ports: (number | undefined)[]): string =>
        `listen: [${ports.map(port => `127.0.0.1:${port}`).join(', ')}]\n${configOf(engine, backend)}`;
      const proxy = await startWithFile(t, config(gone, kept));
      proxy.write('sniway.yaml', config(kept, fresh));
      await proxy.upgraded(t);
      await echoes(t, kept ?? 0);
      await echoes(t, fresh ?? 0);
      await eventuallyRefused(gone ?? 0);
      assert.match(proxy.stderr, new RegExp(`127\\.0\\.0\\.1:${gone} is not listened on any more`));
    });

    test('that cannot open a new listener leave those there are as they were', async t => {
      const backend = await startEchoBackend(t);
      const taken = await startBackend(t);
      const config = (...more: string[]): string =>
        `listen: [${['"unix:{folder}/s.sock"', '127.0.0.1:0', ...more].join(', ')}]\n${configOf(engine, backend)}`;
      const proxy = await startWithFile(t, config());
      const port = Number(/listening on 127\.0\.0\.1:([0-9]+)/.exec(proxy.stderr)?.[1]);
      const load = new SteadyLoad({ port, rate: 50, streams: 1 });
      proxy.write('sniway.yaml', config(taken.address));
      assert.match((await proxy.upgrade(t)).stderr, /cannot listen on \S+: EADDRINUSE/);
      proxy.write('sniway.yaml', `admin: { listen: "${taken.address}" }\n${config()}`);
      assert.match((await proxy.upgrade(t)).stderr, /admin server: cannot listen on \S+: EADDRINUSE/);
      assert.deepEqual((await load.stop()).failures, []);
      assert.ok(lstatSync(`${proxy.folder}/s.sock`).isSocket());
      await echoes(t, { path: `${proxy.folder}/s.sock` });
    });

    test('hand the admin server on', async t => {
      const args = ['-l', '127.0.0.1:0', '--engine', engine, '--admin', '127.0.0.1:0', '-s', 'example.com'];
      const proxy = await startUpgradable(t, args);
      const url = /metrics and health at (\S+)/.exec(proxy.stderr)?.[1] ?? '';
      for (let count = 0; count < 2; count++) {
        await proxy.upgraded(t);
        const answer = await fetch(`${url}/readyz`);
        assert.equal(`${answer.status} ${await answer.text()}`, '200 ready\n');
      }
      assert.equal(new Set([...proxy.stderr.matchAll(/health at (\S+)/g)].map(match => match[1])).size, 1);
    });
  });
}

/** With a configuration file in a folder of its own, which `{folder}` stands for. */
function startWithFile(t: TestContext, text: string, name = 'sniway.yaml'): Promise<Upgradable> {
  const args = ['-c', `{folder}/${name}`, '--log-format', 'none'];
  return startUpgradable(t, args, { files: { [name]: text } });
}
