/** Routes that are functions: programs of users, which can do anything, in the way of each connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type {
  CallContext,
  ClientInfo,
  HelloInfo,
  RouteFunction,
  RouteVerdict,
  SniwayConfig,
} from '../../../src/index.ts';
import { parseClientHello } from '../../../src/index.ts';
import { ACCESS_DENIED, INTERNAL_ERROR, alert, askFor } from '../../support/answers.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, readToEnd, startBackend } from '../../support/peers.ts';
import { startProxy } from '../../support/proxies.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { EngineName } from '../conformance.ts';

const NAME = 'fn.example.com';
const HELLO = Buffer.from(buildClientHello({ serverName: NAME, alpnProtocols: ['h2', 'http/1.1'] }));

/** Sends a hello, this one unless given, and answers what comes until the end. */
const ask = (t: TestContext, proxy: TestProxy, hello: Uint8Array = HELLO): Promise<Buffer> =>
  askFor(t, proxy, hello);

export function describeFunctions(engine: EngineName): void {
  const startFunction = (
    t: TestContext,
    decide: RouteFunction,
    config: Partial<SniwayConfig> = {},
  ): Promise<TestProxy> =>
    startProxy(t, { engine, routes: [{ name: 'fn', match: '**.example.com', decide }], ...config });

  test('a route function gets frozen facts, and its backend is relayed to', async t => {
    const backend = await startBackend(t);
    const calls: { hello: HelloInfo; client: ClientInfo }[] = [];
    const proxy = await startFunction(t, (hello, client) => {
      calls.push({ hello, client });
      return backend.address;
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const server = await backend.next();
    assert.deepEqual(await readBytes(server, HELLO.length), HELLO);
    server.end('pong');
    assert.equal((await readToEnd(client)).bytes.toString(), 'pong');
    client.end();
    const record = await proxy.nextEnd();
    assert.deepEqual([record.endReason, record.route, record.backend], ['done', 'fn', backend.address]);
    const [{ hello, client: told }] = calls as [(typeof calls)[0]];
    const parsed = parseClientHello(HELLO);
    assert.ok(parsed.kind === 'complete');
    const { ja3, ja4 } = parsed.hello;
    assert.deepEqual(
      { ...hello },
      {
        serverName: NAME,
        alpnProtocols: ['h2', 'http/1.1'],
        tlsVersions: hello.tlsVersions,
        ech: 'none',
        outerName: null,
        ja3,
        ja4,
      },
    );
    assert.ok(hello.tlsVersions.includes('1.2'));
    const { text: listener } = proxy.proxy.addresses[0]!;
    assert.deepEqual(told, { address: '127.0.0.1', port: client.localPort ?? record.client.port, listener });
    assert.ok(Object.isFrozen(hello) && Object.isFrozen(hello.alpnProtocols) && Object.isFrozen(told));
  });

  test('a route function may take its time, and connections beside it do not wait', async t => {
    const [slow, quick] = await Promise.all([startBackend(t), startBackend(t)]);
    let answer: (verdict: RouteVerdict) => void = () => undefined;
    const answered = new Promise<RouteVerdict>(resolve => (answer = resolve));
    const proxy = await startFunction(t, () => answered, {
      workers: 1,
      routes: [
        { name: 'fn', match: NAME, decide: () => answered },
        { match: 'quick.example.com', backend: quick.address },
      ],
    });
    const waiting = await connectRaw(t, proxy.port);
    waiting.write(HELLO);
    const other = await connectRaw(t, proxy.port);
    other.write(buildClientHello({ serverName: 'quick.example.com' }));
    (await quick.next()).end('quick');
    assert.equal((await readToEnd(other)).bytes.toString(), 'quick');
    // What the client has sent meanwhile is kept.
    waiting.write('more');
    answer({ backend: slow.address });
    const server = await slow.next();
    const received = await readBytes(server, HELLO.length + 4);
    assert.equal(received.subarray(HELLO.length).toString(), 'more');
  });

  test('a route function rejects in the way it says, as denied', async t => {
    const answers: RouteVerdict[] = [{ reject: 'access_denied' }, { reject: 'close' }, { reject: 'reset' }];
    let turn = 0;
    const proxy = await startFunction(t, () => Promise.resolve(answers[turn++]!));
    assert.deepEqual(await ask(t, proxy), alert(ACCESS_DENIED));
    assert.equal((await ask(t, proxy)).length, 0);
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    assert.equal((await readToEnd(client)).end, 'ECONNRESET');
    await eventually('all have ended', () => proxy.ended.length === 3);
    for (const { endReason, route, detail, backend } of proxy.ended)
      assert.deepEqual([endReason, route, detail, backend], ['denied', 'fn', 'decide', null]);
  });

  const FAULTS: readonly [string, () => unknown, RegExp][] = [
    ['throws', () => { throw new Error('no\ttenant'); }, /^decide: no\?tenant$/], // prettier-ignore
    ['rejects', () => Promise.reject(new Error('database is gone')), /^decide: database is gone$/],
    ['throws what is no error', () => Promise.reject(Object.create(null) as Error), /^decide: something that is no/], // prettier-ignore
    ['throws what nobody can look at', () => { throw revoked(); }, /^decide: something that is no/], // prettier-ignore
    ['rejects with that', () => Promise.reject(revoked()), /^decide: something that is no/],
    ['answers with that', () => revoked(), /^decide: /],
    ['answers nothing', () => undefined, /^decide: it answered nothing: answer 'host:port'/],
    ['answers a number', () => 443, /^decide: it answered the number 443/],
    ['answers no address', () => 'nonsense', /^decide: 'nonsense' has no port/],
    ['answers two things', () => ({ backend: 'a:1', reject: 'close' }), /with 2 keys/],
    ['answers an unknown key', () => ({ to: 'a:1' }), /an object with "to"/],
    [
      'answers an unknown word',
      () => ({ reject: 'politely' }),
      /^decide: it rejected with the text "politely"/,
    ],
    ['answers no backends', () => ({ backends: [] }), /empty list of backends/],
    ['answers too many backends', () => ({ backends: Array(9).fill('a:1') }), /9 backends: at most 8/],
    ['never answers', () => new Promise(() => undefined), /^decide: no answer within 150 ms$/],
  ];

  for (const [what, decide, detail] of FAULTS) {
    test(`a route function that ${what} refuses the connection, and says so once`, async t => {
      const backend = await startBackend(t);
      const proxy = await startProxy(t, {
        engine,
        timeouts: { decide: '150ms' },
        routes: [
          { name: 'fn', match: NAME, decide: decide as RouteFunction },
          { match: 'other.example.com', backend: backend.address },
        ],
      });
      assert.deepEqual(await ask(t, proxy), alert(INTERNAL_ERROR));
      assert.deepEqual(await ask(t, proxy), alert(INTERNAL_ERROR));
      const [first, second] = [await proxy.nextEnd(), await proxy.nextEnd()];
      assert.deepEqual([first.endReason, first.route], ['internal-error', 'fn']);
      assert.match(first.detail ?? '', detail);
      assert.equal(second.detail, first.detail);
      const notices = proxy.notices.filter(({ level }) => level === 'error');
      assert.equal(notices.length, 1, JSON.stringify(proxy.notices));
      assert.match(notices[0]!.message, /^decide of route 'fn' failed, and a connection was refused: /);
      const other = await connectRaw(t, proxy.port);
      other.write(buildClientHello({ serverName: 'other.example.com' }));
      (await backend.next()).end('still here');
      assert.equal((await readToEnd(other)).bytes.toString(), 'still here');
    });
  }

  test('what a function takes is not taken off the time to dial', async t => {
    const backend = await startBackend(t);
    const proxy = await startFunction(
      t,
      () => new Promise(resolve => void setTimeout(resolve, 400, backend.address)),
      { timeouts: { dial: '300ms' } },
    );
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    (await backend.next()).end('in time');
    assert.equal((await readToEnd(client)).bytes.toString(), 'in time');
  });

  test('the signal of a function is aborted when its client has gone, and when its time is over', async t => {
    const signals: AbortSignal[] = [];
    const decide = (_hello: HelloInfo, _client: ClientInfo, { signal }: CallContext) =>
      new Promise<RouteVerdict>(() => signals.push(signal));
    const proxy = await startFunction(t, decide, { timeouts: { decide: '60s' } });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    await eventually('it is asked', () => signals.length === 1);
    const aborted = once(signals[0]!, 'abort');
    client.resetAndDestroy();
    await aborted;
    assert.match(String(signals[0]!.reason), /the client has gone/);
    assert.equal((await proxy.nextEnd()).endReason, 'client-gone');
    assert.deepEqual(proxy.notices, [], 'a client that goes is no failure');
    const impatient = await startFunction(t, decide, { timeouts: { decide: '50ms' } });
    assert.deepEqual(await ask(t, impatient), alert(INTERNAL_ERROR));
    assert.match(String(signals[1]!.reason), /no answer within 50 ms/);
  });

  test('the backends of a function are tried in their order', async t => {
    const [gone, backend] = await Promise.all([startBackend(t), startBackend(t)]);
    gone.close();
    const proxy = await startFunction(t, () => ({ backends: [gone.address, backend.address] }));
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    (await backend.next()).end('second');
    assert.equal((await readToEnd(client)).bytes.toString(), 'second');
    client.end();
    const { attempts, backend: dialed } = await proxy.nextEnd();
    assert.deepEqual([attempts, dialed], [2, backend.address]);
  });

  test('names that a function gives are looked up, and guarded as if the client had chosen them', async t => {
    const dns = await startDnsServer(t);
    const backend = await startBackend(t);
    dns.zone.set('inside.example', { a: ['127.0.0.1'] });
    let answer: RouteVerdict = `inside.example:${backend.port}`;
    const config = {
      resolver: { servers: dns.address, hosts: 'none' },
      timeouts: { decide: '1s' },
    } as const;
    const guarded = await startFunction(t, () => answer, config);
    assert.deepEqual(await ask(t, guarded), alert(INTERNAL_ERROR));
    assert.equal((await guarded.nextEnd()).endReason, 'guard-refused');
    answer = 'nowhere.example:443';
    assert.deepEqual(await ask(t, guarded), alert(INTERNAL_ERROR));
    assert.equal((await guarded.nextEnd()).endReason, 'dns-failed');
    answer = { backends: ['nowhere.example:443', `inside.example:${backend.port}`] };
    const allowed = await startFunction(t, () => answer, {
      ...config,
      guard: { allowNets: '127.0.0.0/8' },
    });
    const client = await connectRaw(t, allowed.port);
    client.write(HELLO);
    (await backend.next()).end('inside');
    assert.equal((await readToEnd(client)).bytes.toString(), 'inside');
    dns.zone.set(NAME, { a: ['127.0.0.1'] });
    answer = `{sni}:${backend.port}`;
    const named = await connectRaw(t, allowed.port);
    named.write(HELLO);
    (await backend.next()).end('by its name');
    assert.equal((await readToEnd(named)).bytes.toString(), 'by its name');
  });

  test('a function cannot send a connection back into the proxy', async t => {
    let own = '';
    const proxy = await startFunction(t, () => own);
    own = `127.0.0.1:${proxy.port}`;
    assert.deepEqual(await ask(t, proxy), alert(INTERNAL_ERROR));
    assert.equal((await proxy.nextEnd()).endReason, 'guard-refused');
  });

  test('the keys of a route hold for its function: clients, limits, protocols, PROXY headers', async t => {
    const backend = await startBackend(t);
    let calls = 0;
    const decide: RouteFunction = () => {
      calls++;
      return backend.address;
    };
    const proxy = await startProxy(t, {
      engine,
      // Records of one worker come in their order.
      workers: 1,
      routes: [
        { name: 'fn', match: NAME, alpn: 'h2', limits: { connections: 1 }, proxyProtocol: 'v1', decide },
        { name: 'nobody', match: 'nobody.example.com', clients: { deny: '127.0.0.0/8' }, decide },
      ],
    });
    const client = await connectRaw(t, proxy.port);
    client.write(HELLO);
    const server = await backend.next();
    const header = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.localPort} ${proxy.port}\r\n`;
    assert.equal((await readBytes(server, header.length)).toString(), header);
    await ask(t, proxy);
    await ask(t, proxy, buildClientHello({ serverName: NAME, alpnProtocols: ['imap'] }));
    await ask(t, proxy, buildClientHello({ serverName: 'nobody.example.com' }));
    await eventually('three have ended', () => proxy.ended.length === 3);
    const reasons = proxy.ended.map(({ endReason }) => endReason);
    assert.deepEqual(reasons, ['limit', 'unknown-name', 'denied']);
    assert.equal(calls, 1, 'limits protect the function, too');
  });
}

/** An object of which every use throws. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
