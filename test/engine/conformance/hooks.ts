/** Hooks: functions of users that see every connection, in their order, and may refuse it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ConnectionEnded, HelloInfo, Hooks, SniwayConfig, VerdictInfo } from '../../../src/index.ts';
import { ACCESS_DENIED, INTERNAL_ERROR, alert, askFor } from '../../support/answers.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'fn.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME, alpnProtocols: ['h2', 'http/1.1'] }));

export function describeHooks(engine: EngineName): void {
  const startHooks = async (t: TestContext, hooks: Hooks, config: Partial<SniwayConfig> = {}) => {
    const backend = await startBackend(t);
    const proxy = await startProxy(t, {
      engine,
      // Records of one worker come in their order.
      workers: 1,
      hooks,
      routes: [{ name: 'plain', match: NAME, backend: backend.address }],
      ...config,
    });
    return { backend, proxy };
  };

  test('hooks see a connection in their order, and let it pass', async t => {
    const seen: string[] = [];
    const told: (HelloInfo | VerdictInfo | ConnectionEnded)[] = [];
    const { backend, proxy } = await startHooks(t, {
      async onHello(hello) {
        seen.push('hello');
        told.push(hello);
        await Promise.resolve();
      },
      onVerdict(verdict) {
        seen.push('verdict');
        told.push(verdict);
      },
      onEnd(record) {
        seen.push('end');
        told.push(record);
      },
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    (await backend.next()).end('pong');
    assert.equal((await readToEnd(client)).bytes.toString(), 'pong');
    client.end();
    const record = await proxy.nextEnd();
    assert.equal(record.endReason, 'done');
    await eventually('the record is told', () => seen.length === 3);
    assert.deepEqual(seen, ['hello', 'verdict', 'end']);
    assert.deepEqual(told[1], { kind: 'relay', route: 'plain', backends: [backend.address] });
    assert.ok(Object.isFrozen(told[1]));
    assert.deepEqual(told[2], record);
  });

  test('onHello and onVerdict refuse, each in its way; onHello sees hellos without a name', async t => {
    const names: (string | null)[] = [];
    const { proxy } = await startHooks(t, {
      onHello: ({ serverName, alpnProtocols }) => {
        names.push(serverName);
        return alpnProtocols.includes('bad') ? { reject: 'access_denied' } : undefined;
      },
      onVerdict: ({ kind }) => (kind === 'relay' ? { reject: 'close' } : undefined),
    });
    const bad = buildClientHello({ serverName: NAME, alpnProtocols: ['bad'] });
    assert.deepEqual(await askFor(t, proxy, bad), alert(ACCESS_DENIED));
    assert.equal((await askFor(t, proxy, HELLO)).length, 0);
    await askFor(t, proxy, buildClientHello({}));
    await eventually('all have ended', () => proxy.ended.length === 3);
    assert.deepEqual(
      // Workers tell of theirs when they find the time.
      new Set(proxy.ended.map(({ endReason, route, detail }) => `${endReason} ${route} ${detail}`)),
      new Set(['denied plain onHello', 'denied plain onVerdict', 'no-sni null null']),
    );
    assert.equal(names.length, 3);
    assert.equal(names[2], null);
  });

  test('onVerdict sees refusals and what functions answer, and changes neither', async t => {
    const verdicts: VerdictInfo[] = [];
    const { proxy } = await startHooks(
      t,
      {
        onVerdict(verdict) {
          verdicts.push(verdict);
          return { reject: 'reset' };
        },
      },
      { routes: [{ name: 'fn', match: 'fn.example.com', decide: () => ({ reject: 'access_denied' }) }] },
    );
    assert.deepEqual(await askFor(t, proxy, HELLO), alert(ACCESS_DENIED));
    assert.equal((await askFor(t, proxy, buildClientHello({ serverName: 'unknown.example.com' }))).length, 7);
    assert.deepEqual(verdicts, [
      { kind: 'reject', route: 'fn', endReason: 'denied', reject: 'access_denied', detail: 'decide' },
      { kind: 'reject', route: null, endReason: 'unknown-name', reject: 'unrecognized_name', detail: null },
    ]);
  });

  test('hooks that fail refuse the connection, and say so', async t => {
    const { proxy } = await startHooks(
      t,
      {
        onHello({ serverName }) {
          if (serverName !== NAME) throw new Error('who is that?');
        },
        onVerdict: () => new Promise(() => undefined),
        onEnd: () => Promise.reject(new Error('nobody takes records')),
      },
      { timeouts: { decide: '100ms' } },
    );
    assert.deepEqual(
      await askFor(t, proxy, buildClientHello({ serverName: 'b.example.com' })),
      alert(INTERNAL_ERROR),
    );
    assert.deepEqual(await askFor(t, proxy, HELLO), alert(INTERNAL_ERROR));
    const details = [await proxy.nextEnd(), await proxy.nextEnd()].map(({ detail }) => detail);
    assert.deepEqual(details, ['onHello: who is that?', 'onVerdict: no answer within 100 ms']);
    await eventually('notices', () => proxy.notices.length >= 4);
    const messages = proxy.notices.map(({ message }) => message.split(':')[0] ?? '');
    assert.deepEqual(messages.toSorted(), [
      "a listener of 'ended' failed",
      "a listener of 'ended' failed",
      'the hook onHello failed, and a connection was refused',
      'the hook onVerdict failed, and a connection was refused',
    ]);
  });

  test('a proxy that is closed ends connections that wait for a hook', async t => {
    const signals: AbortSignal[] = [];
    const { proxy } = await startHooks(t, {
      onHello: (_hello, _client, { signal }) => new Promise(() => signals.push(signal)),
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    await eventually('it is asked', () => signals.length === 1);
    await proxy.proxy.close({ drainTimeoutMs: 0 });
    await eventually('it is told', () => signals[0]!.aborted);
    assert.equal((await proxy.nextEnd()).endReason, 'drained');
  });
}
