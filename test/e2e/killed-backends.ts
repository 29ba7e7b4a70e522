/** Backends that are killed and come back under load, each a process of its own, with real clients. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { EngineName } from '../engine/conformance.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd } from '../support/peers.ts';
import { start } from '../support/programs.ts';
import type { Running } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';

const NAME = 'pool.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const backendProgram = fileURLToPath(new URL('../support/backend-program.js', import.meta.url));

/** Connections made at least, and backends killed at least. */
const CONNECTIONS = Number(process.env['SNIWAY_KILL_CONNECTIONS'] ?? 2_000);
const KILLS_MIN = 5;
const CLIENTS = 24;
/** More than a backend that holds reads by itself. */
const UNREAD = Buffer.alloc(512 * 1024);
const PATIENCE_MS = 120_000;

interface KillableBackend {
  readonly address: string;
  /** Kills it, and resolves when it listens again. */
  restart(): Promise<void>;
  kill(): void;
  /** What it has printed. */
  output(): string;
}

/** An address of its own, from which nobody dials: while it is dead, nobody else is given its port. */
async function startKillable(t: TestContext, host: string, mode = ''): Promise<KillableBackend> {
  let running: Running;
  let port = 0;
  const launch = async (): Promise<void> => {
    running = start(t, [process.execPath, backendProgram, host, String(port), mode]);
    const listening = (): RegExpExecArray | null => /^listening ([0-9]+)$/m.exec(running.stdout());
    await eventually('the backend listens', () => listening() !== null, 30_000);
    port = Number(listening()?.[1]);
  };
  await launch();
  return {
    get address() {
      return `${host}:${port}`;
    },
    async restart() {
      running.kill('SIGKILL');
      await running.finished;
      await launch();
    },
    kill: () => running.kill('SIGKILL'),
    output: () => running.stdout(),
  };
}

/** `done` for a whole exchange, `cut` if it broke off after the backend's first byte, else what has gone wrong. */
type Outcome = 'done' | 'cut' | `failed: ${string}`;

function exchange(port: number): Promise<Outcome> {
  return new Promise(resolve => {
    let received = '';
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const end = (how: string): void => {
      socket.destroy();
      if (received === 'answerpong' && how === 'end') resolve('done');
      // A killed process leaves an end of file where nothing was unread, and a reset where something was.
      else if (received.startsWith('a')) resolve('cut');
      else resolve(`failed: ${how} after ${JSON.stringify(received)}`);
    };
    socket.on('connect', () => socket.write(HELLO));
    socket.on('data', chunk => {
      received += chunk.toString('latin1');
      if (received === 'answer') socket.write('ping');
    });
    socket.on('end', () => end('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

export function describeKilledBackends(engine: EngineName): void {
  describe(`killed backends, ${engine} engine`, () => {
    test('no client of a healthy pool sees a failure while one of three backends is killed again and again', async t => {
      const backends = await Promise.all(
        ['127.0.0.2', '127.0.0.3', '127.0.0.4'].map(host => startKillable(t, host)),
      );
      const proxy = await startProxy(t, {
        engine,
        workers: 2,
        routes: [
          {
            match: NAME,
            backends: backends.map(({ address }) => address),
            eject: { base: '100ms', max: '400ms' },
          },
        ],
      });
      const outcomes = new Map<Outcome, number>();
      let made = 0;
      let kills = 0;
      const until = performance.now() + PATIENCE_MS;
      const goesOn = (): boolean => (made < CONNECTIONS || kills < KILLS_MIN) && performance.now() < until;
      const client = async (): Promise<void> => {
        while (goesOn()) {
          made++;
          const outcome = await exchange(proxy.port);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      };
      const killer = async (): Promise<void> => {
        while (goesOn()) {
          await backends[kills % 3]!.restart();
          kills++;
        }
      };
      await Promise.all([killer(), ...Array.from({ length: CLIENTS }, client)]);
      await eventually('all have ended', () => proxy.ended.length === made);
      const retried = proxy.ended.filter(({ attempts }) => attempts > 1).length;
      const cut = outcomes.get('cut') ?? 0;
      t.diagnostic(
        `${made} connections, ${kills} kills, ${retried} tried another backend, ${cut} cut after a byte`,
      );
      const failed = [...outcomes].filter(([outcome]) => outcome.startsWith('failed'));
      assert.deepEqual(failed, []);
      assert.ok(made >= CONNECTIONS && kills >= KILLS_MIN, `${made} connections, ${kills} kills`);
      assert.ok(retried > 0, 'backends were missed at all');
      // Those had their answer begun when their backend died: a few for each kill.
      assert.ok(cut <= kills * CLIENTS, `${cut} cut`);
      const told = proxy.notices.map(({ message }) => message).join('\n');
      assert.match(
        told,
        /^backend 127\.0\.0\.[234]:[0-9]+ of route pool\.example\.com keeps failing and is left out/m,
      );
      assert.match(told, /is used again$/m);
    });

    test('clients whose backend had answered are reset when it is killed, and not relayed elsewhere', async t => {
      const killed = await startKillable(t, '127.0.0.2', 'hold');
      const other = await startKillable(t, '127.0.0.3', 'hold');
      const proxy = await startProxy(t, {
        engine,
        routes: [{ match: NAME, backends: [killed.address, { address: other.address, backup: true }] }],
      });
      const clients = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const client = await connectRaw(t, proxy.port);
          client.write(HELLO);
          assert.equal((await readBytes(client, 1)).toString(), '!');
          client.write(UNREAD);
          return { received: readToEnd(client) };
        }),
      );
      await eventually('the backend reads no more', () => killed.output().split('full').length === 51);
      killed.kill();
      for (const { received } of clients) {
        assert.deepEqual(await received, { bytes: Buffer.alloc(0), end: 'ECONNRESET' });
      }
      await eventually('all have ended', () => proxy.ended.length >= 50);
      for (const record of proxy.ended.slice(0, 50)) {
        assert.deepEqual([record.endReason, record.attempts], ['backend-reset', 1]);
      }
    });
  });
}
