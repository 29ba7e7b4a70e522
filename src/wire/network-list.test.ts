import assert from 'node:assert/strict';
import { BlockList, isIPv6 } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NetworkList } from './network-list.ts';
import { UNIX_PEER, parsePeerAddress } from './peer-address.ts';

function has(networks: readonly string[], address: string): boolean {
  return new NetworkList(networks).has(parsePeerAddress(address, 1));
}

test('NetworkList knows what is inside a network, to the bit', () => {
  const cases: readonly (readonly [
    network: string,
    inside: readonly string[],
    outside: readonly string[],
  ])[] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['9.255.255.255', '11.0.0.0', 'a00::']],
    ['10.0.0.5/32', ['10.0.0.5'], ['10.0.0.4', '::a00:5']],
    ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127', '192.0.3.128']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::', '2001:db8::1']],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::', '10.0.0.1']],
    ['::1/128', ['::1'], ['::2', '127.0.0.1', '0.0.0.1']],
    ['::/0', ['::', 'ffff::'], ['10.0.0.1']],
    ['::ffff:10.0.0.0/104', ['10.1.1.1'], ['11.0.0.0']],
    ['fe80::/10', ['fe80::1%eth0'], ['fec0::']],
  ];
  for (const [network, inside, outside] of cases) {
    for (const address of inside) assert.equal(has([network], address), true, `${address} in ${network}`);
    for (const address of outside) assert.equal(has([network], address), false, `${address} in ${network}`);
  }
});

test('NetworkList looks at every network, and has nobody without an address', () => {
  assert.equal(has(['10.0.0.0/8', 'fd00::/8'], 'fd12::1'), true);
  assert.equal(has([], '10.0.0.1'), false);
  assert.equal(new NetworkList(['0.0.0.0/0', '::/0']).has(UNIX_PEER), false);
});

test('NetworkList agrees with BlockList of Node on any address', () => {
  const near = fc
    .tuple(fc.constantFrom('10.0.0.', '10.0.1.'), fc.nat(255))
    .map(([start, end]) => `${start}${end}`);
  const nearV6 = fc.nat(0xffff).map(group => `2001:db8::${group.toString(16)}`);
  const address = fc.oneof(near, nearV6, fc.ipV4(), fc.ipV6()).filter(text => !/^::ffff:/i.test(text));
  fc.assert(
    fc.property(address, fc.nat(128), address, (base, bits, probe) => {
      const prefix = isIPv6(base) ? bits : Math.min(bits, 32);
      const list = new BlockList();
      list.addSubnet(base, prefix, isIPv6(base) ? 'ipv6' : 'ipv4');
      const expected = isIPv6(base) === isIPv6(probe) && list.check(probe, isIPv6(probe) ? 'ipv6' : 'ipv4');
      assert.equal(has([`${base}/${prefix}`], probe), expected);
    }),
    { numRuns: 2_000 },
  );
});
