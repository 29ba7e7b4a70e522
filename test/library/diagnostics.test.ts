/** The diagnostics channels: what is announced there, and that nobody pays for what nobody has subscribed to. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createProxy } from '../../src/index.ts';
import type { DiagnosticsMessages, SniProxy } from '../../src/index.ts';
import { selectEngine } from '../../src/engine/select-engine.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, eventually, readToEnd, startBackend } from '../support/peers.ts';

const NAME = 'diagnostics.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME }));
const ENGINES =
  selectEngine('auto').name === 'linux' ? (['portable', 'linux'] as const) : (['portable'] as const);

type Channel = keyof DiagnosticsMessages;

/** What comes on a channel until the end of the test, or until it is stopped. */
function listen<Name extends Channel>(t: TestContext, name: Name) {
  const messages: DiagnosticsMessages<SniProxy>[Name][] = [];
  const take = (message: unknown): void => void messages.push(message as DiagnosticsMessages<SniProxy>[Name]);
  subscribe(name, take);
  const stop = (): void => void unsubscribe(name, take);
  t.after(stop);
  return { messages, stop };
}

async function start(t: TestContext, engine: 'portable' | 'linux', backend: string): Promise<SniProxy> {
  const proxy = createProxy({
    listen: '127.0.0.1:0',
    engine,
    workers: 1,
    routes: [
      { match: NAME, backend },
      { match: NAME, backend: '10.0.0.1:1', alpn: 'never' },
      { match: 'fn.example.com', decide: () => Promise.reject(new Error('on purpose')) },
    ],
  });
  t.after(() => proxy.kill());
  await proxy.start();
  return proxy;
}

async function connectTo(t: TestContext, proxy: SniProxy, hello: Uint8Array = HELLO): Promise<void> {
  const client = await connectRaw(t, proxy.addresses[0]?.port ?? 0);
  client.write(hello);
  await readToEnd(client);
  client.end();
}

for (const engine of ENGINES) {
  describe(`diagnostics channels on the ${engine} engine`, () => {
    test('tell connections and notices with their proxy, to whoever has subscribed before the start', async t => {
      const opened = listen(t, 'sniway:connection:opened');
      const ended = listen(t, 'sniway:connection:ended');
      const notices = listen(t, 'sniway:notice');
      const backend = await startBackend(t);
      backend.close();
      const proxy = await start(t, engine, backend.address);
      await connectTo(t, proxy);
      await connectTo(t, proxy, buildClientHello({ serverName: 'fn.example.com' }));
      await eventually('both are told', () => ended.messages.length === 2);
      for (const { messages } of [opened, ended, notices])
        assert.ok(messages.every(message => message.proxy === proxy));
      assert.equal(opened.messages.length, 2);
      const reasons = ended.messages.map(({ connection }) => connection.endReason);
      assert.deepEqual(reasons, ['dial-refused', 'internal-error']);
      assert.match(notices.messages.at(-1)?.notice.message ?? '', /on purpose/);
    });

    test('follow subscribers that come and go while the proxy runs', async t => {
      const backend = await startBackend(t);
      backend.close();
      const proxy = await start(t, engine, backend.address);
      await connectTo(t, proxy);
      const ended = listen(t, 'sniway:connection:ended');
      while (ended.messages.length === 0) await connectTo(t, proxy);
      assert.equal(ended.messages[0]?.connection.serverName, NAME);
      ended.stop();
      const { length } = ended.messages;
      await connectTo(t, proxy);
      assert.equal(ended.messages.length, length);
    });
  });
}

test('the channel of backends tells how they do', async t => {
  const { messages } = listen(t, 'sniway:backend');
  const backend = await startBackend(t);
  backend.close();
  const proxy = createProxy({
    listen: '127.0.0.1:0',
    engine: 'portable',
    routes: [
      {
        name: 'checked',
        match: NAME,
        backend: backend.address,
        health: { check: 'tcp', interval: '100ms', fall: 1 },
      },
    ],
  });
  t.after(() => proxy.kill());
  await proxy.start();
  await eventually('it is found down', () => messages.length > 0);
  assert.equal(messages[0]?.proxy, proxy);
  assert.deepEqual([messages[0]?.change.route, messages[0]?.change.state], ['checked', 'down']);
});
