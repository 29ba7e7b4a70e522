/** The main thread is the control plane: workers go on without it, and end with it. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import type { SniwayConfig } from '../../../src/index.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, startBackend, startEchoBackend } from '../../support/peers.ts';
import { run, start } from '../../support/programs.ts';
import type { Running } from '../../support/programs.ts';
import { projectRoot } from '../../support/project.ts';

const NAME = 'main.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const program = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'support', 'proxy-program.js');
const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

interface Program extends Running {
  readonly ports: readonly number[];
  /** Sends a command; resolves with the line that answers it. */
  ask(command: string, answer: RegExp): Promise<RegExpExecArray>;
}

async function startProgram(t: TestContext, configs: readonly SniwayConfig[]): Promise<Program> {
  const running = start(t, [process.execPath, program, JSON.stringify(configs)]);
  let read = 0;
  const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const match = (): RegExpExecArray | null => pattern.exec(running.stdout().slice(read));
    await eventually(`the program says ${String(pattern)}`, () => match() !== null, 20_000);
    const found = match()!;
    read += found.index + found[0].length;
    return found;
  };
  const [, ports = ''] = await said(/^ports (.*)$/m);
  return {
    ...running,
    ports: ports.split(' ').map(Number),
    ask: async (command, answer) => {
      running.write(`${command}\n`);
      return await said(answer);
    },
  };
}

function configFor(address: string): SniwayConfig {
  return { engine: 'linux', workers: 2, listen: '127.0.0.1:0', routes: [{ match: NAME, backend: address }] };
}

/** Says something every time it is answered, until told to stop; answers the longest wait and how many there were. */
async function keepTalking(
  t: TestContext,
  port: number,
  goesOn: () => boolean,
): Promise<{ longestMs: number; count: number }> {
  const client = await connectRaw(t, port);
  client.write(HELLO);
  await readBytes(client, HELLO.length);
  let longestMs = 0;
  let count = 0;
  for (; goesOn(); count++) {
    const askedAt = performance.now();
    client.write('ping');
    await readBytes(client, 4);
    longestMs = Math.max(longestMs, performance.now() - askedAt);
  }
  client.destroy();
  return { longestMs, count };
}

/** True that many times. */
function times(count: number): () => boolean {
  let left = count;
  return () => left-- > 0;
}

async function talkWhileBlocked(t: TestContext, subject: Program): Promise<void> {
  const [port = 0] = subject.ports;
  await subject.ask('block 2000', /^blocking$/m);
  let blocked = true;
  const back = subject.ask('', /^back$/m).then(() => (blocked = false));
  const talks = await Promise.all(Array.from({ length: 8 }, () => keepTalking(t, port, () => blocked)));
  await back;
  const longestMs = Math.max(...talks.map(talk => talk.longestMs));
  const count = talks.reduce((sum, talk) => sum + talk.count, 0);
  t.diagnostic(`${count} round trips in 2 s, the longest ${longestMs.toFixed(1)} ms`);
  assert.ok(longestMs < 1_000, `one took ${longestMs} ms`);
  assert.ok(count > 400, `${count} round trips`);
}

describe('while the main thread is blocked', needsKernel, () => {
  test('relays go on and new connections are let in', async t => {
    const server = await startEchoBackend(t);
    const subject = await startProgram(t, [configFor(server.address)]);
    await talkWhileBlocked(t, subject);
  });

  test('new connections are let in to a backend that is known by its name', async t => {
    const dns = await startDnsServer(t);
    const server = await startEchoBackend(t);
    dns.zone.set('backend.example', { a: ['127.0.0.1'], ttl: 30 });
    const resolver = { servers: dns.address, hosts: 'none' };
    const backend = `backend.example:${server.address.split(':').at(-1)}`;
    const subject = await startProgram(t, [{ ...configFor(backend), resolver }]);
    // The answer to a connection comes after the one to all workers.
    await keepTalking(t, subject.ports[0] ?? 0, times(1));
    await talkWhileBlocked(t, subject);
  });
});

describe('workers end with their process', needsKernel, () => {
  test('process.exit() ends it at once, relays or not', async t => {
    const server = await startBackend(t);
    const subject = await startProgram(t, [configFor(server.address), configFor(server.address)]);
    for (const port of subject.ports) {
      const client = await connectRaw(t, port);
      client.write(HELLO);
      await readBytes(await server.next(), HELLO.length);
    }
    const askedAt = performance.now();
    subject.write('exit\n');
    const { code, stderr } = await subject.finished;
    assert.equal(code, 7, stderr);
    const tookMs = performance.now() - askedAt;
    assert.ok(tookMs < 2_000, `took ${tookMs} ms`);
  });

  test('killed proxies leave no thread, no descriptor, no handle, and the process ends by itself', async t => {
    const server = await startBackend(t);
    const subject = await startProgram(
      t,
      Array.from({ length: 3 }, () => configFor(server.address)),
    );
    for (const port of subject.ports) {
      const client = await connectRaw(t, port);
      client.write(HELLO);
      await readBytes(await server.next(), HELLO.length);
    }
    const [, descriptors, handles, names] = await subject.ask('kill', /^left (\S+) (\S+) (.*)$/m);
    assert.deepEqual({ descriptors, handles }, { descriptors: '0', handles: '0' }, names);
    subject.endInput();
    const ended = await Promise.race([subject.finished, sleep(5_000, null)]);
    assert.equal(ended?.code, 0, 'it goes on living');
  });
});

test('a program on the command line (node -e) can start workers', needsKernel, async t => {
  const script = `
    import { createProxy } from 'sniway';
    const proxy = createProxy({ engine: 'linux', workers: 1, listen: '127.0.0.1:0', suffixes: 'example.org' });
    await proxy.start();
    await proxy.close();
  `;
  for (const type of [['--input-type=module'], ['--input-type', 'module']]) {
    // The package may import itself by its name.
    const { code, stderr } = await run(t, [process.execPath, ...type, '-e', script], '', {
      cwd: projectRoot,
    });
    assert.equal(code, 0, stderr);
  }
});
