import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parsePeerAddress } from '../wire/peer-address.ts';
import { createAccessRules } from './access-rules.ts';

function admits(rules: { allow?: string[]; deny?: string[] }, address: string): boolean {
  const { allow = [], deny = [] } = rules;
  return createAccessRules({ allow, deny })?.admits(parsePeerAddress(address, 0)) ?? true;
}

describe('createAccessRules()', () => {
  test('makes none of empty lists', () => assert.equal(createAccessRules({ allow: [], deny: [] }), null));

  test('denies what is in no network only where some are allowed', () => {
    assert.equal(admits({ allow: ['10.0.0.0/8'] }, '11.0.0.1'), false);
    assert.equal(admits({ allow: ['10.0.0.0/8'] }, '10.255.255.255'), true);
    assert.equal(admits({ deny: ['10.0.0.0/8'] }, '9.255.255.255'), true);
    assert.equal(admits({ deny: ['10.0.0.0/8'] }, '10.0.0.0'), false);
    assert.equal(admits({ allow: ['10.0.0.0/8'] }, '::1'), false);
  });

  test('treats clients without an address as in no network', () => {
    assert.equal(admits({ allow: ['0.0.0.0/0', '::/0'] }, 'unix'), false);
    assert.equal(admits({ deny: ['0.0.0.0/0', '::/0'] }, 'unix'), true);
  });

  test('lets the most specific network decide, whatever their order', () => {
    const rules = { allow: ['10.1.0.0/16', '10.1.2.3/32'], deny: ['10.0.0.0/8', '10.1.2.0/24'] };
    assert.equal(admits(rules, '10.2.0.1'), false);
    assert.equal(admits(rules, '10.1.9.9'), true);
    assert.equal(admits(rules, '10.1.2.2'), false);
    assert.equal(admits(rules, '10.1.2.3'), true);
    assert.equal(admits(rules, '10.1.2.4'), false);
    assert.equal(admits(rules, '10.1.3.0'), true);
  });

  test('denies where the same network is allowed too', () => {
    assert.equal(admits({ allow: ['10.0.0.0/8'], deny: ['10.0.0.0/8'] }, '10.0.0.1'), false);
    assert.equal(admits({ allow: ['10.0.0.5/8'], deny: ['10.9.9.9/8'] }, '10.0.0.1'), false);
  });

  test('keeps IPv4 and IPv6 apart, but for mapped addresses', () => {
    assert.equal(admits({ deny: ['::/0'] }, '10.0.0.1'), true);
    assert.equal(admits({ deny: ['::/0'] }, '::ffff:10.0.0.1'), true);
    assert.equal(admits({ deny: ['0.0.0.0/0'] }, '::1'), true);
    assert.equal(admits({ deny: ['10.0.0.0/8'] }, '::ffff:10.0.0.1'), false);
    assert.equal(admits({ deny: ['::ffff:10.0.0.0/104'] }, '10.200.0.1'), false);
    assert.equal(admits({ deny: ['::ffff:10.0.0.0/104'] }, '11.0.0.1'), true);
    assert.equal(admits({ deny: ['::ffff:0:0/64'] }, '11.0.0.1'), true);
  });

  test('reaches both ends of the address space', () => {
    assert.equal(admits({ deny: ['255.255.255.255/32'] }, '255.255.255.255'), false);
    assert.equal(admits({ deny: ['255.255.255.255/32'] }, '255.255.255.254'), true);
    assert.equal(admits({ deny: ['ffff::/16'] }, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), false);
    assert.equal(admits({ deny: ['::/128'] }, '::'), false);
    assert.equal(admits({ deny: ['::/128'] }, '::1'), true);
  });

  test('decides as a naive search for the longest prefix does', () => {
    // Few bits that differ, so that networks nest and addresses meet them.
    const address = fc
      .array(fc.constantFrom(0, 1, 128, 255), { minLength: 4, maxLength: 4 })
      .map(bytes => bytes.join('.'));
    const v6 = fc
      .array(fc.constantFrom(0, 1, 0x8000, 0xffff), { minLength: 8, maxLength: 8 })
      .map(groups => groups.map(group => group.toString(16)).join(':'))
      // Mapped addresses count as IPv4, which another test holds.
      .filter(text => !text.startsWith('0:0:0:0:0:ffff:'));
    const network = fc.oneof(
      fc.tuple(address, fc.integer({ min: 0, max: 32 })),
      fc.tuple(v6, fc.integer({ min: 0, max: 128 })),
    );
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 12 }),
        fc.array(network, { maxLength: 12 }),
        fc.oneof(address, v6),
        (allow, deny, client) => {
          const text = (one: [string, number]): string => one.join('/');
          const expected = naive(allow, deny, client);
          assert.equal(admits({ allow: allow.map(text), deny: deny.map(text) }, client), expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

function naive(allow: [string, number][], deny: [string, number][], client: string): boolean {
  const family = client.includes(':') ? 'ipv6' : 'ipv4';
  const longest = (networks: [string, number][]): number =>
    networks
      .filter(([address, prefix]) => {
        if (address.includes(':') !== client.includes(':')) return false;
        const list = new BlockList();
        list.addSubnet(address, prefix, family);
        return list.check(client, family);
      })
      .reduce((most, [, prefix]) => Math.max(most, prefix), -1);
  const allowed = longest(allow);
  const denied = longest(deny);
  if (allowed === -1 && denied === -1) return allow.length === 0;
  return allowed > denied;
}
