/** Functions of users across reloads: which ones are asked, and that no connection suffers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteVerdict, SniwayConfig } from '../../../src/index.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'fn.example.com';
const HELLO = buildClientHello({ serverName: NAME });

export function describeFunctionReload(engine: EngineName): void {
  test('reload() asks other functions; a connection that waits for the old one gets its answer', async t => {
    const [first, second] = await Promise.all([startBackend(t), startBackend(t)]);
    let answer: (verdict: RouteVerdict) => void = () => undefined;
    let isAsked = false;
    const listen = '127.0.0.1:0';
    const running = await startProxy(t, {
      engine,
      routes: [
        {
          match: NAME,
          decide: () => {
            isAsked = true;
            return new Promise(resolve => (answer = resolve));
          },
        },
      ],
    });
    const { proxy, port } = running;
    const waiting = await connectRaw(t, port);
    waiting.write(HELLO);
    await eventually('it is asked', () => isAsked);
    const { waiting: unchanged } = await proxy.reload({
      engine,
      listen,
      routes: [{ match: NAME, decide: () => second.address }],
      hooks: { onVerdict: ({ kind }) => assert.equal(kind, 'relay') },
    });
    assert.deepEqual(unchanged, []);
    assert.deepEqual(proxy.snapshot().hooks, ['onVerdict']);
    const client = await connectRaw(t, port);
    client.write(HELLO);
    (await second.next()).end('second');
    assert.equal((await readToEnd(client)).bytes.toString(), 'second');
    client.end();
    answer(first.address);
    (await first.next()).end('first');
    assert.equal((await readToEnd(waiting)).bytes.toString(), 'first');
    waiting.end();
    assert.deepEqual(
      [(await running.nextEnd()).endReason, (await running.nextEnd()).endReason],
      ['done', 'done'],
    );
  });

  test('reloads that bring and take functions and hooks refuse nobody', async t => {
    const backend = await startBackend(t);
    void (async () => {
      for (;;) (await backend.next()).resume().end('served');
    })();
    const base = { engine, listen: '127.0.0.1:0' } as const;
    const decide = (): Promise<string> => Promise.resolve(backend.address);
    const configs: readonly SniwayConfig[] = [
      { ...base, routes: [{ name: 'a', match: NAME, decide }] },
      { ...base, routes: [{ name: 'a', match: NAME, backend: backend.address }] },
      {
        ...base,
        routes: [{ name: 'b', match: '*.example.com', decide }],
        hooks: { onHello: () => undefined },
      },
      {
        ...base,
        routes: [{ name: 'c', match: NAME, backend: backend.address }],
        hooks: { onVerdict: async () => undefined, onEnd: () => undefined },
      },
    ];
    const { proxy, port, ended, notices } = await startProxy(t, configs[0]!);
    const state = { isOver: false, served: 0 };
    const clients = Array.from({ length: 4 }, async () => {
      while (!state.isOver) {
        const client = await connectRaw(t, port);
        client.write(HELLO);
        assert.equal((await readToEnd(client)).bytes.toString(), 'served');
        client.end();
        state.served++;
      }
    });
    for (let round = 1; round <= 40; round++) {
      const { served } = state;
      await proxy.reload(configs[round % configs.length]!);
      await eventually('connections went through', () => state.served > served + 2);
    }
    state.isOver = true;
    await Promise.all(clients);
    assert.deepEqual(
      ended.filter(({ endReason }) => endReason !== 'done'),
      [],
    );
    assert.deepEqual(
      notices.filter(({ level }) => level === 'error'),
      [],
    );
  });
}
