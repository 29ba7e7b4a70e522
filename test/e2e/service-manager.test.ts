/** Sniway under a service manager: what it tells, the sockets it is given, and its units. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { makeFolder } from '../support/folders.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { NotifySocket } from '../support/notify-socket.ts';
import { connectRaw, eventually, eventuallyRefused, readToEnd, startEchoBackend } from '../support/peers.ts';
import { needs, run, start } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';
import { isRunning, startUpgradable } from '../support/upgradable.ts';
import { freePort } from '../support/ports.ts';

const NAME = 'service.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const ENGINES = ['linux', 'portable'] as const;
/** The tests receive datagrams by the system calls of the linux engine. */
const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

async function echoes(t: TestContext, to: number | { path: string }): Promise<void> {
  const client = await connectRaw(t, to);
  client.end(HELLO);
  assert.equal((await readToEnd(client)).bytes.length, HELLO.length);
}

describe('the service manager', needsKernel, () => {
  for (const engine of ENGINES) {
    test(`is told when it is ready, upgrades, fails to and ends (${engine} engine)`, async t => {
      const folder = makeFolder(t, {});
      const manager = new NotifySocket(t, join(folder, 'notify'));
      const config = `listen: 127.0.0.1:0\nengine: ${engine}\nsuffixes: example.com\n`;
      const proxy = await startUpgradable(t, ['-c', '{folder}/sniway.yaml'], {
        files: { 'sniway.yaml': config },
        env: { NOTIFY_SOCKET: join(folder, 'notify') },
      });
      const ready = await manager.heard('READY=1');
      assert.equal(ready, `READY=1\nSTATUS=listening on 127.0.0.1:${proxy.port}`);
      proxy.write('sniway.yaml', 'nonsense: true\n');
      manager.forget();
      assert.equal((await proxy.upgrade(t)).code, 1);
      const reloading = await manager.heard('RELOADING=1');
      assert.match(reloading, /^MONOTONIC_USEC=[0-9]+$/m);
      assert.match(
        await manager.heard('READY=1'),
        /^STATUS=upgrade failed: the new process ended with exit/m,
      );
      proxy.write('sniway.yaml', config);
      manager.forget();
      await proxy.upgraded(t);
      const upgraded = await manager.heard('READY=1');
      assert.match(upgraded, new RegExp(`^MAINPID=${proxy.pid}$`, 'm'));
      manager.forget();
      proxy.signal('SIGTERM');
      assert.match(await manager.heard('STOPPING=1'), /^STATUS=draining$/m);
      const told = manager.messages.filter(text => text.includes('STOPPING'));
      assert.equal(told.length, 1, 'the process that was upgraded has told nothing more');
    });
  }

  test('hears that it is alive as often as it wants to, before and after an upgrade', async t => {
    const manager = new NotifySocket(t, `\0sniway-test-${process.pid}`);
    const proxy = await startUpgradable(t, ['-l', '127.0.0.1:0', '-s', 'example.com'], {
      env: { NOTIFY_SOCKET: `@sniway-test-${process.pid}`, WATCHDOG_USEC: '100000' },
    });
    await manager.heard('WATCHDOG=1');
    const first = proxy.pid ?? 0;
    await proxy.upgraded(t);
    await eventually('the first one has gone', () => !isRunning(first));
    await manager.heard(/^MAINPID=/);
    manager.forget();
    await manager.heard('WATCHDOG=1');
  });

  test('is told by systemd-notify where no system call can be made', needs('systemd-notify'), async t => {
    const folder = makeFolder(t, { 'package.json': '{ "type": "module" }' });
    const installed = join(folder, 'node_modules', 'sniway');
    mkdirSync(join(installed, 'dist'), { recursive: true });
    cpSync(join(projectRoot, 'package.json'), join(installed, 'package.json'));
    cpSync(join(projectRoot, 'dist', 'src'), join(installed, 'dist', 'src'), { recursive: true });
    const { dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    // All but the optional one.
    for (const name of Object.keys(dependencies)) {
      symlinkSync(join(projectRoot, 'node_modules', name), join(folder, 'node_modules', name));
    }
    const manager = new NotifySocket(t, join(folder, 'notify'));
    const proxy = await startUpgradable(t, ['-l', '127.0.0.1:0', '-s', 'example.com'], {
      main: join(installed, 'dist', 'src', 'cli', 'main.js'),
      env: { NOTIFY_SOCKET: join(folder, 'notify') },
    });
    assert.match(proxy.stderr, /portable engine \(the linux engine cannot run: .*koffi/);
    assert.match(await manager.heard('READY=1'), /^STATUS=listening on 127\.0\.0\.1:[0-9]+$/m);
  });

  test('that is not there is told of, once, and nothing else happens', async t => {
    const proxy = await startUpgradable(t, ['-l', '127.0.0.1:0', '-s', 'example.com'], {
      env: { NOTIFY_SOCKET: '/no/such/socket', WATCHDOG_USEC: '20000' },
    });
    await eventually('it says so', () => proxy.stderr.includes('cannot be told at /no/such/socket: ENOENT'));
    await proxy.upgraded(t);
  });
});

describe('socket activation', () => {
  const activate = needs('systemd-socket-activate');
  for (const engine of ENGINES) {
    const options = engine === 'linux' && needsKernel.skip !== false ? needsKernel : activate;

    test(`gives listeners their sockets by address and by name (${engine} engine)`, options, async t => {
      const backend = await startEchoBackend(t);
      const [byAddress, byName, foreign] = [await freePort(), await freePort(), await freePort()];
      const path = join(makeFolder(t, {}), 's.sock');
      const listen = [byAddress, byName, foreign].flatMap(port => ['-l', `127.0.0.1:${port}`]);
      const prefix = ['systemd-socket-activate', ...listen, '-l', path, '--fdname=one:two:three:four'];
      const args = ['-l', `127.0.0.1:${byAddress}`, '-l', 'fd:two', '-l', `unix:${path}`, '--engine', engine];
      const starting = startUpgradable(t, [...args, '-r', `${NAME}=${backend.address}`], { prefix });
      // It is started by its first client, which waits for it.
      await eventually('the manager listens', () => existsSync(path));
      await echoes(t, byAddress);
      const proxy = await starting;
      await eventually('it says what it cannot use', () => proxy.stderr.includes(`127.0.0.1:${foreign}`));
      assert.match(proxy.stderr, /'three'\) was handed over, but no listener takes it: add a listener for/);
      await eventuallyRefused(foreign);
      for (let count = 0; count < 2; count++) {
        await echoes(t, byAddress);
        await echoes(t, byName);
        await echoes(t, { path });
        await proxy.upgraded(t);
      }
      assert.equal(proxy.stderr.split('handed over').length, 2);
      const last = proxy.pid ?? 0;
      proxy.signal('SIGTERM');
      await eventually('it has ended', () => !isRunning(last));
      assert.ok(existsSync(path), 'the file of a socket that is not ours stays');
    });
  }

  test('on another address than a listener is told of when that cannot be opened', activate, async t => {
    const port = await freePort();
    const args = ['-l', `0.0.0.0:${port}`, '--', process.execPath, commandFile];
    const flags = ['-l', `127.0.0.1:${port}`, '-s', 'example.com'];
    const proxy = start(t, ['systemd-socket-activate', ...args, ...flags]);
    await eventually('the manager listens', () => proxy.stderr().includes('Listening on'));
    await connectRaw(t, port);
    const { code, stderr } = await proxy.finished;
    assert.equal(code, 1);
    assert.match(stderr, /cannot listen on 127\.0\.0\.1:[0-9]+: EADDRINUSE/);
    assert.match(stderr, /warn: the socket 0\.0\.0\.0:[0-9]+ \('unknown'\) was handed over, but no listener/);
  });

  test('of another process is none of ours', async t => {
    const proxy = await startUpgradable(t, ['-l', '127.0.0.1:0', '-s', 'example.com'], {
      env: { LISTEN_PID: '1', LISTEN_FDS: '3', SNIWAY_HANDOVER_FD: '5' },
    });
    assert.doesNotMatch(proxy.stderr, /handed over/);
  });

  test('without a socket of that name is an error that says so', async t => {
    const args = ['-l', 'fd:https', '-s', 'example.com'];
    const { code, stderr } = await run(t, [process.execPath, commandFile, ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /cannot listen on fd:https: EBADF \(no socket/);
  });
});

describe('the first process of a container', () => {
  const inNamespace = needs('unshare');
  const options = process.getuid?.() === 0 ? inNamespace : { skip: 'needs root' };

  test('is not upgraded, since everything there ends with it', options, async t => {
    const folder = makeFolder(t, {});
    const pidFile = join(folder, 'pid');
    const args = ['-l', '127.0.0.1:0', '-s', 'example.com', '--pid-file', pidFile];
    const outer = ['unshare', '--pid', '--fork', '--kill-child'] as const;
    const proxy = start(t, [...outer, process.execPath, commandFile, ...args]);
    await eventually('it runs', () => existsSync(pidFile), 30_000);
    assert.equal(readFileSync(pidFile, 'utf8'), '1\n');
    const [child = ''] = readFileSync(`/proc/${proxy.pid}/task/${proxy.pid}/children`, 'utf8').split(' ');
    process.kill(Number(child), 'SIGUSR2');
    await eventually('it says so', () => proxy.stderr().includes('no upgrade: this is the first process'));
    process.kill(Number(child), 'SIGTERM');
    assert.equal((await proxy.finished).code, 0);
  });
});

describe('sniway systemd', () => {
  const units = async (t: TestContext, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(t, [process.execPath, commandFile, 'systemd', ...args]);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  test('prints units that systemd finds nothing wrong with', needs('systemd-analyze'), async t => {
    const folder = makeFolder(t, {
      'sniway.service': await units(t, 'service'),
      'sniway.socket': await units(t, 'socket'),
    });
    const paths = [join(folder, 'sniway.service'), join(folder, 'sniway.socket')];
    const { code, stdout, stderr } = await run(t, ['systemd-analyze', 'verify', ...paths]);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
  });

  test('hardens the service as far as that goes', needs('systemd-analyze'), async t => {
    const folder = makeFolder(t, { 'sniway.service': await units(t, 'service') });
    const path = join(folder, 'sniway.service');
    const { stdout } = await run(t, ['systemd-analyze', 'security', '--offline=true', '--no-pager', path]);
    const level = Number(/exposure level for sniway.service: ([0-9.]+)/.exec(stdout)?.[1] ?? 10);
    assert.ok(level < 3, stdout);
  });

  test('takes listeners and drain time from the configuration', async t => {
    const folder = makeFolder(t, {
      'sniway 1%.yaml':
        'listen: [443, "[::1]:8443", unix:/run/sniway/s.sock]\nsuffixes: example.com\ntimeouts: { drain: 90s }\n',
    });
    const text = await units(t, '-c', join(folder, 'sniway 1%.yaml'));
    assert.deepEqual(text.match(/(?<=ListenStream=).*/g), ['443', '[::1]:8443', '/run/sniway/s.sock']);
    assert.match(text, /^TimeoutStopSec=100$/m);
    assert.ok(text.includes(`-c "${folder}/sniway 1%%.yaml"`), text);
  });

  test('names the units there are', async t => {
    const { code, stderr } = await run(t, [process.execPath, commandFile, 'systemd', 'timer']);
    assert.equal(code, 2);
    assert.match(stderr, /no unit 'timer'; write service or socket/);
  });
});
