import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startDnsServer } from '../../test/support/dns-server.ts';
import type { DnsServer } from '../../test/support/dns-server.ts';
import { createTestClock, settingsFor, writeTemporary } from '../../test/support/names.ts';
import { HOSTS_TTL_MS, NAME_ADDRESSES_MAX, SERVICE_TARGETS_MAX, SERVICE_TTL_MS } from '../limits.ts';
import { createNameSource } from './name-source.ts';
import type { NameSourceOptions } from './name-source.ts';
import type { LookUpAnswer, LookUpQuestion, NameSource, ResolverSettings } from './names.ts';

interface Rig {
  readonly dns: DnsServer;
  readonly source: NameSource;
  /** Names asked of the system. */
  readonly system: readonly string[];
  readonly ask: (host: string, more?: Partial<LookUpQuestion>) => Promise<LookUpAnswer>;
}

async function startRig(
  t: TestContext,
  settings: Partial<ResolverSettings> = {},
  options: Partial<NameSourceOptions> = {},
): Promise<Rig> {
  const dns = await startDnsServer(t);
  const system: string[] = [];
  const source = createNameSource(settingsFor(dns, { family: 'ipv4-first', ...settings }), {
    now: createTestClock().now,
    platform: 'linux',
    askSystem({ name }) {
      system.push(name);
      return Promise.resolve({
        kind: 'found',
        addresses: [{ address: '192.0.2.99', family: 4 }],
        ttlMs: 10_000,
      });
    },
    ...options,
  });
  t.after(() => source.close());
  return {
    dns,
    source,
    system,
    ask: (host, more = {}) => source.lookUp({ host, fromClient: false, urgent: false, ...more }).answer,
  };
}

function found(answer: LookUpAnswer): { addresses: string[]; ttlMs: number } {
  assert.equal(answer.kind, 'found', JSON.stringify(answer));
  assert.ok(answer.kind === 'found');
  return {
    addresses: answer.targets.flatMap(({ addresses }) => addresses.map(({ address }) => address)),
    ttlMs: answer.ttlMs,
  };
}

describe('a name source, asking DNS', () => {
  test('gets A and AAAA together, with the shorter TTL of the two', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('a.example', { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'], ttl: 42 });
    assert.deepEqual(found(await ask('a.example')), {
      addresses: ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
      ttlMs: 42_000,
    });
  });

  test('follows an alias', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('www.example', { cname: 'real.example', a: ['192.0.2.1'] });
    assert.deepEqual(found(await ask('www.example')).addresses, ['192.0.2.1']);
  });

  for (const [family, types, addresses] of [
    ['ipv4-only', ['A'], ['192.0.2.1']],
    ['ipv6-only', ['AAAA'], ['2001:db8::1']],
    ['ipv6-first', ['A', 'AAAA'], ['2001:db8::1', '192.0.2.1']],
  ] as const) {
    test(`asks for what ${family} wants`, async t => {
      const { dns, ask } = await startRig(t, { family });
      dns.zone.set('a.example', { a: ['192.0.2.1'], aaaa: ['2001:db8::1'] });
      assert.deepEqual(found(await ask('a.example')).addresses, addresses);
      assert.deepEqual(dns.queries.map(({ type }) => type).toSorted(), types);
    });
  }

  test('tells a name that is not there from one nobody knows about', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('servfail.example', { rcode: 2 });
    dns.zone.set('refused.example', { rcode: 5 });
    dns.zone.set('empty.example', {});
    assert.deepEqual(await ask('nx.example'), { kind: 'none', code: 'ENOTFOUND' });
    assert.deepEqual(await ask('empty.example'), { kind: 'none', code: 'ENODATA' });
    assert.deepEqual(await ask('servfail.example'), { kind: 'failed', code: 'ESERVFAIL' });
    assert.deepEqual(await ask('refused.example'), { kind: 'failed', code: 'EREFUSED' });
  });

  test('uses one family where the other fails, and knows that the answer is incomplete', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('a.example', { a: ['192.0.2.1'], failing: ['AAAA'] });
    assert.deepEqual(found(await ask('a.example')), { addresses: ['192.0.2.1'], ttlMs: 0 });
  });

  test('waits only a moment for the family that is late when somebody waits', async t => {
    const { dns, source } = await startRig(t, { timeoutMs: 10_000 });
    dns.zone.set('a.example', { a: ['192.0.2.1'], silent: ['AAAA'] });
    const { answer } = source.lookUp({ host: 'a.example', fromClient: false, urgent: true });
    const startedAtMs = performance.now();
    assert.deepEqual(found(await answer), { addresses: ['192.0.2.1'], ttlMs: 0 });
    assert.ok(performance.now() - startedAtMs < 2_000);
  });

  test('comes again by TCP when the answer was truncated', async t => {
    const { dns, ask } = await startRig(t, { family: 'ipv4-only' });
    const many = Array.from({ length: 60 }, (_, index) => `192.0.2.${index + 1}`);
    dns.zone.set('many.example', { a: many, truncated: true });
    const { addresses } = found(await ask('many.example'));
    assert.equal(addresses.length, NAME_ADDRESSES_MAX, 'bounded');
    assert.deepEqual(
      dns.queries.map(({ transport }) => transport),
      ['udp', 'tcp'],
    );
  });

  test('gives up at its deadline, and says when nothing is under way any more', async t => {
    const { dns, source } = await startRig(t, { timeoutMs: 300, family: 'ipv4-only' });
    dns.zone.set('slow.example', { silent: ['A'] });
    const { answer, over } = source.lookUp({ host: 'slow.example', fromClient: false, urgent: true });
    const given = await answer;
    assert.equal(given.kind, 'failed');
    assert.match(given.kind === 'failed' ? given.code : '', /^(timeout|ETIMEOUT)$/);
    await over;
  });

  test('goes to the next server when one is dead', async t => {
    const dead = await startDnsServer(t);
    await dead.stop();
    const { dns, source } = await startRig(t);
    dns.zone.set('a.example', { a: ['192.0.2.1'] });
    source.close();
    const both = createNameSource(
      { ...settingsFor(dns, { timeoutMs: 5_000 }), servers: [dead.address, dns.address] },
      { now: createTestClock().now },
    );
    t.after(() => both.close());
    const { answer } = both.lookUp({ host: 'a.example', fromClient: false, urgent: true });
    assert.deepEqual(found(await answer).addresses, ['192.0.2.1']);
  });
});

describe('a name source, asking nobody', () => {
  test('takes the hosts file before DNS', async t => {
    const hostsFile = writeTemporary(t, 'hosts', '10.0.0.7 a.example\nfd00::7 a.example\n');
    const { dns, ask } = await startRig(t, { hostsFile });
    dns.zone.set('a.example', { a: ['192.0.2.1'] });
    assert.deepEqual(found(await ask('a.example')), {
      addresses: ['10.0.0.7', 'fd00::7'],
      ttlMs: HOSTS_TTL_MS,
    });
    assert.equal(dns.queries.length, 0);
  });

  test('knows localhost and that .invalid is nowhere (RFC 6761)', async t => {
    const { dns, system, ask } = await startRig(t, { servers: 'auto' });
    for (const name of ['localhost', 'app.localhost']) {
      assert.deepEqual(found(await ask(name)).addresses, ['127.0.0.1', '::1']);
    }
    assert.deepEqual(await ask('a.invalid'), { kind: 'none', code: 'ENOTFOUND' });
    assert.deepEqual(await ask('127.0.0.1'), { kind: 'none', code: 'address-literal' });
    assert.equal(dns.queries.length + system.length, 0);
  });
});

describe('a name source, choosing whom to ask', () => {
  test('asks the system alone where that was chosen, or where only the system knows its servers', async t => {
    for (const [servers, platform] of [
      ['system', 'linux'],
      ['auto', 'darwin'],
      ['auto', 'win32'],
    ] as const) {
      const { dns, system, ask } = await startRig(t, { servers }, { platform });
      assert.deepEqual(found(await ask('a.example')).addresses, ['192.0.2.99']);
      assert.deepEqual(system, ['a.example']);
      assert.equal(dns.queries.length, 0);
    }
  });

  test('asks the system without name servers, and for name.local, but not for a cluster.local', async t => {
    const empty = writeTemporary(t, 'resolv.conf', 'search lan\n');
    const none = await startRig(t, { servers: 'auto' }, { resolvConf: empty });
    assert.deepEqual(found(await none.ask('a.example')).addresses, ['192.0.2.99']);
    const resolvConf = writeTemporary(t, 'resolv.conf', 'nameserver 127.0.0.1\n');
    const local = await startRig(t, { servers: 'auto', timeoutMs: 100 }, { resolvConf });
    await local.ask('nas.local');
    await local.ask('web.shop.svc.cluster.local');
    assert.deepEqual(local.system, ['nas.local']);
  });

  test('tries search domains for configured names, and never for those that clients chose', async t => {
    const dns = await startDnsServer(t);
    const resolvConf = writeTemporary(t, 'resolv.conf', 'nameserver 127.0.0.1\nsearch a.lan b.lan\n');
    const { ask, system } = await startRig(
      t,
      { servers: 'auto' },
      { resolvConf, systemServers: [dns.address] },
    );
    dns.zone.set('a.example.b.lan', { a: ['192.0.2.7'] });
    dns.zone.set('web.a.lan', { rcode: 2 });
    dns.zone.set('web.b.lan', { a: ['192.0.2.8'] });
    assert.deepEqual(found(await ask('a.example')).addresses, ['192.0.2.7'], 'as it is, then with a domain');
    assert.deepEqual(found(await ask('web')).addresses, ['192.0.2.8'], 'a domain that fails is passed over');
    assert.equal(dns.count('web', 'A'), 0);
    assert.equal((await ask('a.example', { fromClient: true })).kind, 'none');
    dns.zone.set('x.y.a.lan', { rcode: 2 });
    assert.deepEqual(await ask('x.y'), { kind: 'failed', code: 'ESERVFAIL' }, 'nobody knows for sure');
    assert.deepEqual(system, []);
    assert.deepEqual(found(await ask('thishost')).addresses, ['192.0.2.99'], 'the system knows bare names');
    assert.deepEqual(system, ['thishost']);
  });

  test('asks chosen servers for the name as it is, and never the system', async t => {
    const { dns, system, ask } = await startRig(t);
    dns.zone.set('backend', { a: ['172.18.0.2'], ttl: 600 });
    assert.deepEqual(found(await ask('backend')).addresses, ['172.18.0.2']);
    assert.equal((await ask('nobody')).kind, 'none');
    assert.deepEqual(system, []);
  });
});

describe('a name source, looking up services', () => {
  test('gives each target with its port, priority, weight and addresses', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('_https._tcp.example', {
      srv: [
        { target: 'b.example', port: 8443, priority: 20, weight: 5 },
        { target: 'a.example', port: 443, priority: 10, weight: 1 },
      ],
    });
    dns.zone.set('a.example', { a: ['192.0.2.1'], ttl: 12 });
    dns.zone.set('b.example', { a: ['192.0.2.2'] });
    assert.deepEqual(await ask('srv:_https._tcp.example'), {
      kind: 'found',
      targets: [
        { port: 443, priority: 10, weight: 1, addresses: [{ address: '192.0.2.1', family: 4 }] },
        { port: 8443, priority: 20, weight: 5, addresses: [{ address: '192.0.2.2', family: 4 }] },
      ],
      ttlMs: 12_000,
    });
  });

  test('takes a target of . for a service that is not there, and passes over targets without an address', async t => {
    const { dns, ask } = await startRig(t);
    dns.zone.set('_none._tcp.example', { srv: [{ target: '.', port: 0 }] });
    dns.zone.set('_gone._tcp.example', { srv: [{ target: 'gone.example', port: 443 }] });
    dns.zone.set('_half._tcp.example', {
      srv: [
        { target: 'gone.example', port: 443 },
        { target: 'a.example', port: 443 },
      ],
    });
    dns.zone.set('_weird._tcp.example', { srv: [{ target: '10.0.0.1', port: 443 }] });
    dns.zone.set('a.example', { a: ['192.0.2.1'], ttl: 3_600 });
    assert.deepEqual(await ask('srv:_none._tcp.example'), { kind: 'none', code: 'no-service' });
    assert.deepEqual(await ask('srv:_weird._tcp.example'), { kind: 'none', code: 'no-service' });
    assert.deepEqual(await ask('srv:_gone._tcp.example'), { kind: 'none', code: 'no-address' });
    assert.deepEqual(await ask('srv:_nx._tcp.example'), { kind: 'none', code: 'ENOTFOUND' });
    assert.deepEqual(found(await ask('srv:_half._tcp.example')), {
      addresses: ['192.0.2.1'],
      ttlMs: SERVICE_TTL_MS,
    });
  });

  test('bounds the targets, and keeps those of the lowest priorities', async t => {
    const { dns, ask } = await startRig(t);
    const srv = Array.from({ length: 40 }, (_, index) => ({
      target: `t${index}.example`,
      port: 443,
      priority: 40 - index,
    }));
    dns.zone.set('_big._tcp.example', { srv, truncated: true });
    dns.fallback = () => ({ a: ['192.0.2.1'] });
    const answer = await ask('srv:_big._tcp.example');
    assert.ok(answer.kind === 'found');
    assert.equal(answer.targets.length, SERVICE_TARGETS_MAX);
    assert.equal(Math.max(...answer.targets.map(({ priority }) => priority)), SERVICE_TARGETS_MAX);
  });
});
