import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startDnsServer } from '../../test/support/dns-server.ts';
import type { DnsServer } from '../../test/support/dns-server.ts';
import { addressesOf, createTestCache, settingsFor } from '../../test/support/names.ts';
import type { TestCache } from '../../test/support/names.ts';
import {
  ABSENT_NAMES_MAX,
  CLIENT_LOOKUPS_MAX,
  CLIENT_NAMES_MAX,
  LOOKUP_RETRY_MS,
  LOOKUP_RETRY_MS_MAX,
  STALE_REFRESH_MS,
} from '../limits.ts';
import { ResolveError } from './names.ts';
import type { NameSource, ResolverSettings } from './names.ts';

const WAIT = { timeoutMs: 5_000, fromClient: false };
const CLIENT = { timeoutMs: 5_000, fromClient: true };
const TTL_MS = 20_000;

interface Rig extends TestCache {
  readonly dns: DnsServer;
  readonly resolve: (host: string, options?: typeof WAIT) => Promise<string[]>;
}

/** One name, a.example, that leads to 192.0.2.1 for 20 s. */
async function startRig(t: TestContext, more: Partial<ResolverSettings> = {}): Promise<Rig> {
  const dns = await startDnsServer(t);
  dns.zone.set('a.example', { a: ['192.0.2.1'], ttl: TTL_MS / 1_000 });
  const rig = createTestCache(t, settingsFor(dns, { family: 'ipv4-only', ...more }));
  const resolve = async (host: string, options = WAIT): Promise<string[]> =>
    addressesOf(await rig.cache.resolve(host, options));
  return { ...rig, dns, resolve };
}

const asked = ({ dns }: Rig, host = 'a.example'): number => dns.count(host, 'A');
const move = ({ dns }: Rig, address: string): unknown =>
  dns.zone.set('a.example', { a: [address], ttl: TTL_MS / 1_000 });

describe('an address cache, while DNS answers', () => {
  test('asks once for all that wait for one name, and keeps the answer for its TTL', async t => {
    const rig = await startRig(t);
    const all = await Promise.all([1, 2, 3].map(() => rig.resolve('a.example')));
    assert.deepEqual(all, [['192.0.2.1'], ['192.0.2.1'], ['192.0.2.1']]);
    rig.clock.advance(TTL_MS * 0.7);
    await rig.resolve('a.example');
    await rig.settled();
    assert.equal(asked(rig), 1);
    assert.deepEqual([rig.cache.stats().waits, rig.cache.stats().hits], [3, 1]);
  });

  test('asks again after the TTL, and finds what has changed', async t => {
    const rig = await startRig(t);
    await rig.resolve('a.example');
    move(rig, '192.0.2.2');
    rig.clock.advance(TTL_MS + STALE_REFRESH_MS);
    assert.deepEqual(
      await rig.resolve('a.example'),
      ['192.0.2.2'],
      'expired too long ago to be used at once',
    );
    assert.equal(asked(rig), 2);
  });

  test('bounds the TTL below and above', async t => {
    const rig = await startRig(t, { ttlMinMs: 5_000, ttlMaxMs: 30_000 });
    rig.dns.zone.set('short.example', { a: ['192.0.2.3'], ttl: 0 });
    rig.dns.zone.set('long.example', { a: ['192.0.2.4'], ttl: 2 ** 31 - 1 });
    for (const host of ['short.example', 'long.example']) await rig.resolve(host);
    rig.clock.advance(3_000);
    await rig.resolve('short.example');
    assert.equal(asked(rig, 'short.example'), 1);
    rig.clock.advance(27_000 + STALE_REFRESH_MS);
    for (const host of ['short.example', 'long.example']) await rig.resolve(host);
    assert.deepEqual([asked(rig, 'short.example'), asked(rig, 'long.example')], [2, 2]);
  });

  test('looks a used name up before it expires, and nobody waits for that', async t => {
    const rig = await startRig(t);
    await rig.resolve('a.example');
    let release: (value?: unknown) => void = () => undefined;
    rig.dns.zone.set('a.example', {
      a: ['192.0.2.2'],
      ttl: TTL_MS / 1_000,
      until: new Promise(resolve => {
        release = resolve;
      }),
    });
    rig.clock.advance(TTL_MS * 0.9);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    await rig.dns.asked('a.example', 'A', 2);
    rig.clock.advance(TTL_MS * 0.2);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1'], 'expired, but not for long');
    assert.equal(rig.cache.stats().waits, 1);
    release();
    await rig.settled();
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.2']);
    assert.equal(asked(rig), 2);
  });

  test('keeps for a while that a name does not exist', async t => {
    const rig = await startRig(t, { negativeTtlMs: 5_000 });
    const fails = (): Promise<void> =>
      assert.rejects(rig.resolve('nx.example'), new ResolveError('ENOTFOUND'));
    await fails();
    rig.clock.advance(4_999);
    await fails();
    assert.equal(asked(rig, 'nx.example'), 1);
    rig.dns.zone.set('nx.example', { a: ['192.0.2.5'] });
    rig.clock.advance(1);
    assert.deepEqual(await rig.resolve('nx.example'), ['192.0.2.5']);
  });

  test('forgets the addresses of a name that is gone', async t => {
    const rig = await startRig(t);
    await rig.resolve('a.example');
    rig.dns.zone.delete('a.example');
    rig.clock.advance(TTL_MS + STALE_REFRESH_MS);
    await assert.rejects(rig.resolve('a.example'), new ResolveError('ENOTFOUND'));
  });
});

describe('an address cache, while DNS fails', () => {
  test('uses expired addresses for as long as it may, and no longer', async t => {
    const rig = await startRig(t, { staleMs: 3_600_000 });
    await rig.resolve('a.example');
    await rig.dns.stop();
    for (const ms of [TTL_MS, 1_800_000, 1_799_000]) {
      rig.clock.advance(ms);
      assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
      await rig.settled();
    }
    rig.clock.advance(LOOKUP_RETRY_MS_MAX + 1_000);
    await assert.rejects(rig.resolve('a.example'), ResolveError);
    await rig.dns.restart();
    move(rig, '192.0.2.2');
    rig.clock.advance(LOOKUP_RETRY_MS_MAX);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.2']);
  });

  test('uses them after SERVFAIL too, and asks again only after a while, longer each time', async t => {
    const rig = await startRig(t);
    await rig.resolve('a.example');
    rig.dns.zone.set('a.example', { rcode: 2 });
    rig.clock.advance(TTL_MS + STALE_REFRESH_MS);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    const afterFirst = asked(rig);
    rig.clock.advance(LOOKUP_RETRY_MS - 1);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    assert.equal(asked(rig), afterFirst);
    rig.clock.advance(1);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    const afterSecond = asked(rig);
    assert.ok(afterSecond > afterFirst);
    rig.clock.advance(2 * LOOKUP_RETRY_MS - 1);
    await rig.resolve('a.example');
    assert.equal(asked(rig), afterSecond);
  });

  test('uses none of them where stale answers are not wanted', async t => {
    const rig = await startRig(t, { staleMs: 0 });
    await rig.resolve('a.example');
    rig.dns.zone.set('a.example', { rcode: 2 });
    rig.clock.advance(TTL_MS);
    await assert.rejects(rig.resolve('a.example'), new ResolveError('ESERVFAIL'));
  });

  test('does not let a connection wait for long when an older answer is there', async t => {
    const rig = await startRig(t, { timeoutMs: 20_000 });
    await rig.resolve('a.example');
    rig.dns.zone.set('a.example', { silent: ['A'] });
    rig.clock.advance(TTL_MS + STALE_REFRESH_MS);
    const startedAtMs = performance.now();
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    assert.ok(performance.now() - startedAtMs < 4_000, 'far less than the 5 s it may take');
  });

  test('lets a slow name stand in the way of no other', async t => {
    const rig = await startRig(t);
    rig.dns.fallback = () => ({ silent: ['A'] });
    const slow = Array.from({ length: 100 }, (_, index) =>
      rig.resolve(`slow${index}.example`, { timeoutMs: 300, fromClient: index % 2 === 0 }).catch(String),
    );
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    assert.equal(rig.cache.stats().found, 1);
    assert.equal(rig.cache.stats().failed, 0, 'the slow ones are still under way');
    for (const outcome of await Promise.all(slow)) assert.match(String(outcome), /timeout/);
  });
});

describe('an address cache, flooded with names that clients chose', () => {
  test('bounds look-ups and memory, and goes on looking up configured names', async t => {
    const rig = await startRig(t, { timeoutMs: 10_000 });
    let release: (value?: unknown) => void = () => undefined;
    const until = new Promise(resolve => {
      release = resolve;
    });
    rig.dns.fallback = () => ({ rcode: 3, until });
    const flood = Array.from({ length: 10_000 }, (_, index) =>
      rig.resolve(`random${index}.example`, CLIENT).catch(String),
    );
    const during = rig.cache.stats();
    assert.equal(during.clientLookUpsUnderWay, CLIENT_LOOKUPS_MAX);
    assert.equal(during.refused, 10_000 - CLIENT_LOOKUPS_MAX);
    assert.deepEqual(await rig.resolve('a.example'), ['192.0.2.1']);
    release();
    const outcomes = await Promise.all(flood);
    assert.equal(
      outcomes.filter(outcome => /too-many-lookups/.test(String(outcome))).length,
      10_000 - CLIENT_LOOKUPS_MAX,
    );
    await rig.settled();
    assert.ok(rig.dns.queries.length < 4 * CLIENT_LOOKUPS_MAX, `${rig.dns.queries.length} questions`);
    assert.equal(rig.cache.stats().absentNames, CLIENT_LOOKUPS_MAX);
  });

  test('forgets those used longest ago, and never configured names or those that do lead somewhere', async t => {
    const rig = createTestCache(t, settingsFor(await startDnsServer(t)), { source: createInstantSource() });
    const { cache } = rig;
    await cache.resolve('configured.example', WAIT);
    await cache.resolve('good.example', CLIENT);
    for (let index = 0; index < 2 * ABSENT_NAMES_MAX; index++) {
      await assert.rejects(cache.resolve(`absent${index}.example`, CLIENT));
    }
    assert.equal(cache.stats().absentNames, ABSENT_NAMES_MAX);
    const { lookUps } = cache.stats();
    await cache.resolve('good.example', CLIENT);
    for (let index = 0; index < CLIENT_NAMES_MAX; index++)
      await cache.resolve(`found${index}.example`, CLIENT);
    await cache.resolve('configured.example', WAIT);
    assert.equal(cache.stats().lookUps, lookUps + CLIENT_NAMES_MAX);
    assert.equal(cache.stats().clientNames, CLIENT_NAMES_MAX);
    await cache.resolve('good.example', CLIENT);
    assert.equal(cache.stats().lookUps, lookUps + CLIENT_NAMES_MAX + 1, 'it was used longest ago by then');
  });

  test('keeps what a client chose apart from what is configured', async t => {
    const rig = await startRig(t);
    await rig.resolve('a.example', CLIENT);
    assert.equal(rig.cache.peek('a.example'), null);
    await rig.resolve('a.example');
    assert.equal(asked(rig), 2);
  });
});

describe('an address cache, watching configured names', () => {
  test('looks them up at once and before they expire, and announces changes only', async t => {
    const rig = await startRig(t);
    rig.cache.watch(['a.example']);
    await rig.changed(1);
    assert.deepEqual(rig.cache.peek('a.example')?.targets[0]?.addresses, [
      { address: '192.0.2.1', family: 4 },
    ]);
    for (let round = 2; round < 5; round++) {
      rig.clock.advance(TTL_MS);
      await rig.dns.asked('a.example', 'A', round);
      await rig.settled();
    }
    move(rig, '192.0.2.2');
    rig.clock.advance(TTL_MS);
    await rig.changed(2);
    assert.deepEqual(rig.changes, ['a.example 192.0.2.1', 'a.example 192.0.2.2']);
    assert.deepEqual(rig.troubles, []);
    assert.equal(rig.cache.stats().waits, 0);
  });

  test('takes the same addresses in another order for no change', async t => {
    const rig = await startRig(t);
    rig.dns.zone.set('a.example', { a: ['192.0.2.1', '192.0.2.2'] });
    rig.cache.watch(['a.example']);
    await rig.changed(1);
    rig.dns.zone.set('a.example', { a: ['192.0.2.2', '192.0.2.1'] });
    rig.clock.advance(60_000);
    await rig.dns.asked('a.example', 'A', 2);
    await rig.settled();
    assert.equal(rig.changes.length, 1);
  });

  test('says that a name leads nowhere, once, and that it does again', async t => {
    const rig = await startRig(t);
    rig.cache.watch(['late.example']);
    await rig.dns.asked('late.example', 'A', 1);
    await rig.settled();
    for (let round = 2; round < 4; round++) {
      rig.clock.advance(10_000);
      await rig.dns.asked('late.example', 'A', round);
      await rig.settled();
    }
    assert.deepEqual(rig.troubles, ['late.example ENOTFOUND']);
    rig.dns.zone.set('late.example', { a: ['192.0.2.9'] });
    rig.clock.advance(10_000);
    await rig.changed(1);
    rig.dns.zone.delete('late.example');
    rig.clock.advance(60_000);
    await rig.changed(2);
    assert.deepEqual(rig.changes, ['late.example 192.0.2.9', 'late.example nowhere']);
    assert.deepEqual(rig.troubles, ['late.example ENOTFOUND', 'late.example fine', 'late.example ENOTFOUND']);
    assert.equal(rig.cache.peek('late.example'), null);
  });

  test('keeps their addresses through an outage, and finds the new ones after it', async t => {
    const rig = await startRig(t, { staleMs: 3_600_000 });
    rig.cache.watch(['a.example']);
    await rig.changed(1);
    rig.dns.zone.set('a.example', { rcode: 2 });
    rig.clock.advance(1_800_000);
    await rig.settled();
    assert.notEqual(rig.cache.peek('a.example'), null);
    move(rig, '192.0.2.2');
    rig.clock.advance(LOOKUP_RETRY_MS_MAX);
    await rig.changed(2);
    assert.deepEqual(rig.changes, ['a.example 192.0.2.1', 'a.example 192.0.2.2']);
  });

  test('says that they lead nowhere when the time of expired addresses is over, not later', async t => {
    const rig = await startRig(t, { staleMs: 5_000 });
    rig.cache.watch(['a.example']);
    await rig.changed(1);
    rig.dns.zone.set('a.example', { silent: ['A'] });
    rig.clock.advance(TTL_MS + 4_999);
    assert.equal(rig.changes.length, 1);
    rig.clock.advance(1);
    assert.deepEqual(rig.changes, ['a.example 192.0.2.1', 'a.example nowhere']);
    assert.deepEqual(rig.troubles, ['a.example timeout']);
    await rig.settled();
    move(rig, '192.0.2.2');
    rig.clock.advance(LOOKUP_RETRY_MS_MAX);
    await rig.changed(3);
    assert.deepEqual(rig.troubles, ['a.example timeout', 'a.example fine']);
  });

  test('looks one up before its time when told that its addresses are of no use, but not all the time', async t => {
    const rig = await startRig(t, { ttlMinMs: 1_000 });
    rig.cache.watch(['a.example']);
    await rig.changed(1);
    move(rig, '192.0.2.2');
    rig.clock.advance(999);
    rig.cache.recheck('a.example');
    await rig.settled();
    assert.equal(asked(rig), 1);
    rig.clock.advance(1);
    for (let round = 0; round < 5; round++) rig.cache.recheck('a.example');
    await rig.changed(2);
    await rig.settled();
    rig.cache.recheck('a.example');
    rig.cache.recheck('unknown.example');
    await rig.settled();
    assert.equal(asked(rig), 2);
    assert.deepEqual(rig.changes, ['a.example 192.0.2.1', 'a.example 192.0.2.2']);
  });

  test('stops looking up those that are not watched any more, and all when it is closed', async t => {
    const rig = await startRig(t);
    rig.dns.zone.set('b.example', { a: ['192.0.2.3'], ttl: 20 });
    rig.cache.watch(['a.example', 'b.example']);
    await rig.changed(2);
    rig.cache.watch(['b.example']);
    rig.clock.advance(TTL_MS);
    await rig.dns.asked('b.example', 'A', 2);
    await rig.settled();
    assert.equal(asked(rig), 1);
    rig.cache.close();
    rig.clock.advance(10 * TTL_MS);
    assert.equal(asked(rig, 'b.example'), 2);
    await assert.rejects(rig.resolve('c.example'), ResolveError);
  });

  test('looks up any number of them, a bounded number at once', async t => {
    const rig = await startRig(t);
    rig.dns.fallback = () => ({ a: ['192.0.2.1'] });
    const hosts = Array.from({ length: 1_000 }, (_, index) => `h${index}.example`);
    rig.cache.watch(hosts);
    assert.equal(rig.cache.stats().lookUpsUnderWay, 64);
    await rig.changed(1_000);
    assert.ok(hosts.every(host => rig.cache.peek(host) !== null));
  });
});

/** Finds every name but those that begin with absent, at once. */
function createInstantSource(): NameSource {
  const targets = [
    { port: null, priority: 0, weight: 1, addresses: [{ address: '192.0.2.1', family: 4 as const }] },
  ];
  return {
    lookUp: ({ host }) => ({
      answer: Promise.resolve(
        host.startsWith('absent')
          ? { kind: 'none', code: 'ENOTFOUND' }
          : { kind: 'found', targets, ttlMs: 30_000 },
      ),
      over: Promise.resolve(),
    }),
    close: () => undefined,
  };
}
