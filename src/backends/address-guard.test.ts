import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import type { Endpoint } from '../verdict.ts';
import { GuardRefusal, createAddressGuard, unembedAddress } from './address-guard.ts';
import type { GuardOptions } from './address-guard.ts';

const at = (address: string, port = 443): Endpoint => ({
  kind: 'tcp',
  address,
  port,
  family: address.includes(':') ? 6 : 4,
});
const guardWith = (options: Partial<GuardOptions> = {}) =>
  createAddressGuard({ allowNets: [], denyNets: [], ownListeners: () => [], ...options });

describe('createAddressGuard()', () => {
  test('knows its own listener behind the unspecified address, which reaches loopback', () => {
    const own = guardWith({
      ownListeners: () => [
        { address: '127.0.0.1', port: 443 },
        { address: '::1', port: 8443 },
      ],
    });
    assert.match(own.refusal(at('0.0.0.0'), false) ?? 'let through', /listener of this proxy/);
    assert.match(own.refusal(at('::', 8443), false) ?? 'let through', /listener of this proxy/);
    assert.equal(own.refusal(at('0.0.0.0', 8443), false), null);
  });

  for (const [address, what] of [
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['169.254.169.254', 'link-local'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['100.100.100.200', 'metadata'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['ff02::1', 'multicast'],
    ['fd00:ec2::254', 'metadata'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'link-local'],
  ] as const) {
    test(`refuses ${address} behind a client's name as ${what}`, () => {
      assert.match(guardWith().refusal(at(address), true) ?? 'let through', new RegExp(what));
      assert.equal(guardWith().refusal(at(address), false), null, 'a configured backend may be there');
    });
  }

  for (const address of [
    '10.0.0.1',
    '192.168.1.1',
    '93.184.216.34',
    '2606:2800::1',
    'fd00::5',
    '128.0.0.1',
  ]) {
    test(`lets ${address} through`, () => assert.equal(guardWith().refusal(at(address), true), null));
  }

  test('lets through what an allowed network names, and refuses more on demand', () => {
    const guard = guardWith({
      allowNets: ['127.0.0.0/8', '::1/128'],
      denyNets: ['10.0.0.0/8', '127.0.0.53/32'],
    });
    assert.equal(guard.refusal(at('127.0.0.1'), true), null);
    assert.equal(guard.refusal(at('::1'), true), null);
    assert.match(guard.refusal(at('::ffff:10.1.2.3'), true) ?? '', /denied network/);
    assert.match(guard.refusal(at('127.0.0.53'), true) ?? '', /denied network/, 'a denied network wins');
  });

  test("refuses the proxy's own listeners, whoever chose the address", () => {
    const own = guardWith({
      ownListeners: () => [{ address: '192.0.2.1', port: 443 }],
      allowNets: ['0.0.0.0/0'],
    });
    assert.match(own.refusal(at('192.0.2.1'), false) ?? '', /listener of this proxy/);
    assert.match(own.refusal(at('::ffff:192.0.2.1'), true) ?? '', /listener of this proxy/);
    assert.equal(own.refusal(at('192.0.2.1', 8443), false), null);
    assert.equal(own.refusal(at('192.0.2.2'), false), null);
  });

  test("takes every address of this machine for a wildcard listener's", () => {
    const own = guardWith({ ownListeners: () => [{ address: '::', port: 443 }] });
    const local = Object.values(networkInterfaces()).flatMap(entries => entries ?? []);
    for (const { address } of local)
      assert.match(own.refusal(at(address), false) ?? 'let through', /listener/);
    assert.match(own.refusal(at('127.9.9.9'), false) ?? '', /listener/);
    assert.equal(own.refusal(at('198.51.100.7'), false), null);
  });

  test('filter() drops the refused of a mixed answer and keeps the order', () => {
    const left = guardWith().filter([at('10.0.0.2'), at('127.0.0.1'), at('10.0.0.1')], true);
    assert.deepEqual(left, [at('10.0.0.2'), at('10.0.0.1')]);
  });

  test('filter() throws with the reason when none is left', () => {
    assert.throws(
      () => guardWith().filter([at('127.0.0.1'), at('::1')], true),
      (error: unknown) => {
        assert.ok(error instanceof GuardRefusal);
        assert.match(error.message, /127\.0\.0\.1 is loopback/);
        return true;
      },
    );
  });
});

test('unembedAddress() finds the IPv4 address inside an IPv6 one', () => {
  assert.equal(unembedAddress('::ffff:1.2.3.4'), '1.2.3.4');
  assert.equal(unembedAddress('::ffff:102:304'), '1.2.3.4');
  assert.equal(unembedAddress('0:0:0:0:0:ffff:102:304'), '1.2.3.4');
  assert.equal(unembedAddress('64:ff9b::7f00:1'), '127.0.0.1');
  assert.equal(unembedAddress('::5'), '0.0.0.5');
  assert.equal(unembedAddress('2001:db8::1'), '2001:db8::1');
  assert.equal(unembedAddress('::1'), '::1');
  assert.equal(unembedAddress('10.0.0.1'), '10.0.0.1');
});
