import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dialOrder, orderTargets } from './dial-order.ts';
import type { AddressTarget, ResolvedAddress } from './names.ts';

const addressed = (...addresses: string[]): ResolvedAddress[] =>
  addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }));
const target = (port: number | null, priority: number, weight: number): AddressTarget => ({
  port,
  priority,
  weight,
  addresses: addressed(`10.0.0.${priority * 10 + weight}`),
});
const addressesIn = (addresses: string[], random: () => number): string[] =>
  dialOrder({ targets: [{ ...target(null, 0, 1), addresses: addressed(...addresses) }] }, 443, random).map(
    endpoint => (endpoint.kind === 'tcp' ? endpoint.address : ''),
  );

describe('dialOrder()', () => {
  test('begins with any address of the preferred family, and lets the families take turns', () => {
    const all = ['::1', '::2', '10.0.0.1', '10.0.0.2', '10.0.0.3'];
    assert.deepEqual(
      addressesIn(all, () => 0),
      ['::1', '10.0.0.1', '::2', '10.0.0.2', '10.0.0.3'],
    );
    assert.deepEqual(
      addressesIn(all, () => 0.99),
      ['::2', '10.0.0.3', '::1', '10.0.0.1', '10.0.0.2'],
    );
  });

  test('gives equal addresses equal shares of first attempts', () => {
    const firsts = new Map<string, number>();
    for (let round = 0; round < 3_000; round++) {
      const [first = ''] = addressesIn(['10.0.0.1', '10.0.0.2', '10.0.0.3'], Math.random);
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    for (const count of firsts.values()) assert.ok(count > 850 && count < 1_150, `${count} of 3000`);
    assert.equal(firsts.size, 3);
  });

  test('takes the port of the record, else the one given', () => {
    assert.deepEqual(dialOrder({ targets: [target(8443, 0, 1)] }, 0), [
      { kind: 'tcp', address: '10.0.0.1', port: 8443, family: 4 },
    ]);
    assert.deepEqual(dialOrder({ targets: [target(null, 0, 1)] }, 443), [
      { kind: 'tcp', address: '10.0.0.1', port: 443, family: 4 },
    ]);
  });
});

describe('orderTargets()', () => {
  test('goes by priority first', () => {
    const targets = [target(1, 20, 9), target(2, 10, 1), target(3, 20, 1), target(4, 10, 0)];
    for (let round = 0; round < 50; round++) {
      const ordered = orderTargets(targets, Math.random);
      assert.deepEqual(
        ordered.map(({ priority }) => priority),
        [10, 10, 20, 20],
      );
      assert.equal(new Set(ordered).size, 4);
    }
  });

  test('draws by weight within one priority, weight zero hardly ever', () => {
    const firsts: Record<number, number> = { 0: 0, 10: 0, 30: 0 };
    const rounds = 8_000;
    for (let round = 0; round < rounds; round++) {
      const [first] = orderTargets([target(1, 0, 0), target(2, 0, 10), target(3, 0, 30)], Math.random);
      const weight = first?.weight ?? -1;
      firsts[weight] = (firsts[weight] ?? 0) + 1;
    }
    const share = (weight: number): number => (firsts[weight] ?? 0) / rounds;
    assert.ok(Math.abs(share(30) - 30 / 41) < 0.03, JSON.stringify(firsts));
    assert.ok(Math.abs(share(10) - 10 / 41) < 0.03, JSON.stringify(firsts));
    assert.ok(share(0) > 0 && share(0) < 0.06, JSON.stringify(firsts));
  });
});
