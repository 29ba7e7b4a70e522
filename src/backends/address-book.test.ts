import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AddressBook } from './address-book.ts';
import type { AddressTarget, CachedAddresses } from './names.ts';

const SERVICE = 'srv:_https._tcp.example';
const target = (weight: number, ...addresses: string[]): AddressTarget => {
  return { port: null, priority: 0, weight, addresses: addresses.map(address => ({ address, family: 4 })) };
};
const leadsTo = (...addresses: string[]): CachedAddresses => ({ targets: [target(0, ...addresses)] });

function addressesOf(book: AddressBook, host: string, port: number): string[] | null {
  const endpoints = book.endpoints(host, port);
  return endpoints?.map(endpoint => (endpoint.kind === 'tcp' ? endpoint.address : '')) ?? null;
}

/** How often each address comes first. */
function countFirsts(book: AddressBook, host: string, rounds: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const [first = ''] = addressesOf(book, host, 0) ?? [];
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  return counts;
}

describe('AddressBook', () => {
  test('knows names by their ports, follows what is published, and forgets what is taken back', () => {
    const book = new AddressBook();
    book.update([{ host: 'a.example', port: 443, addresses: leadsTo('10.0.0.1') }]);
    assert.equal(book.endpoints('a.example', 8443), null);
    assert.deepEqual(addressesOf(book, 'a.example', 443), ['10.0.0.1']);
    book.update([{ host: 'a.example', port: 443, addresses: leadsTo('10.0.0.2') }]);
    assert.deepEqual(addressesOf(book, 'a.example', 443), ['10.0.0.2']);
    book.update([{ host: 'a.example', port: 443, addresses: null }]);
    assert.equal(book.endpoints('a.example', 443), null);
  });

  test('draws among several addresses for each connection', () => {
    const book = new AddressBook();
    book.update([{ host: 'a.example', port: 0, addresses: leadsTo('10.0.0.1', '10.0.0.2') }]);
    for (const count of countFirsts(book, 'a.example', 2_000).values()) {
      assert.ok(count > 850 && count < 1_150, `${count} of 2000`);
    }
  });

  test('draws by the weights of a service for each connection', () => {
    const book = new AddressBook();
    const targets = [target(30, '10.0.0.1'), target(10, '10.0.0.2')];
    book.update([{ host: SERVICE, port: 0, addresses: { targets } }]);
    const share = (countFirsts(book, SERVICE, 4_000).get('10.0.0.1') ?? 0) / 4_000;
    assert.ok(Math.abs(share - 30 / 40) < 0.05, `${share}`);
  });
});
