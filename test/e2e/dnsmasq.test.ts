/** The address cache against dnsmasq, which is not of our making. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ResolveError } from '../../src/backends/names.ts';
import { readResolver } from '../../src/config/resolver.ts';
import { startDnsmasq } from '../support/dnsmasq.ts';
import { addressesOf, createTestCache } from '../support/names.ts';
import { needs } from '../support/programs.ts';

const WAIT = { timeoutMs: 5_000, fromClient: false };
const TTL_S = 20;

describe('the address cache, asking dnsmasq', needs('dnsmasq'), () => {
  test('keeps answers for their TTL, picks changes up, and lives through a dead server', async t => {
    const dnsmasq = await startDnsmasq(t, '192.0.2.1 a.example\n2001:db8::1 a.example\n', [
      `--local-ttl=${TTL_S}`,
      '--srv-host=_https._tcp.example,a.example,8443,10,5',
    ]);
    const settings = readResolver({
      servers: dnsmasq.address,
      hosts: 'none',
      family: 'ipv4-first',
      timeout: '1s',
    });
    const rig = createTestCache(t, settings);
    const { cache, clock } = rig;
    const resolve = async (host: string): Promise<string[]> => addressesOf(await cache.resolve(host, WAIT));

    assert.deepEqual(await resolve('a.example'), ['192.0.2.1', '2001:db8::1']);
    const service = await cache.resolve('srv:_https._tcp.example', WAIT);
    assert.deepEqual([service.targets[0]?.port, service.targets[0]?.priority], [8443, 10]);
    assert.deepEqual(addressesOf(service), ['192.0.2.1', '2001:db8::1']);
    await assert.rejects(resolve('nobody.example'), new ResolveError('ENOTFOUND'));

    await dnsmasq.know('192.0.2.2 a.example\n');
    clock.advance(TTL_S * 700);
    assert.deepEqual(await resolve('a.example'), ['192.0.2.1', '2001:db8::1'], 'before its TTL is over');
    clock.advance(TTL_S * 250);
    await resolve('a.example');
    await rig.settled();
    assert.deepEqual(await resolve('a.example'), ['192.0.2.2'], 'fetched before it expired');

    await dnsmasq.stop();
    clock.advance(3_600_000);
    assert.deepEqual(await resolve('a.example'), ['192.0.2.2'], 'nobody says anything newer');
    await rig.settled();
    await dnsmasq.restart();
    await dnsmasq.know('192.0.2.3 a.example\n');
    clock.advance(60_000);
    assert.deepEqual(await resolve('a.example'), ['192.0.2.3']);
  });
});
