import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseNetwork } from './network.ts';

test('parseNetwork() reads both families, and an address as a network of one', () => {
  const cases: [string, string][] = [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['127.0.0.1', '127.0.0.1/32'],
    ['fd00::/8', 'fd00::/8'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['10.0.0.0/08', '10.0.0.0/8'],
  ];
  for (const [text, network] of cases) assert.deepEqual(parseNetwork(text), { ok: true, network }, text);
});

test('parseNetwork() refuses anything else, and says what to write', () => {
  for (const text of [
    '',
    'x',
    '10.0.0',
    'example.com/8',
    '10.0.0.0.0/8',
    'fe80::1%eth0/64',
    ' 10.0.0.0/8',
    '010.0.0.0/8',
  ]) {
    const message = `"${text}" is not a network: write 10.0.0.0/8 or fd00::/8`;
    assert.deepEqual(parseNetwork(text), { ok: false, message });
  }
  for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/8.0']) {
    const message = `"${text}" needs a prefix length from 0 to 32 behind its slash`;
    assert.deepEqual(parseNetwork(text), { ok: false, message });
  }
  const message = '"::1/129" needs a prefix length from 0 to 128 behind its slash';
  assert.deepEqual(parseNetwork('::1/129'), { ok: false, message });
});

test('parseNetwork() gives only what a BlockList takes', () => {
  const prefix = fc.integer({ min: -1, max: 200 });
  const text = fc
    .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), prefix)
    .map(([address, bits]) => `${address}/${bits}`);
  fc.assert(
    fc.property(text, input => {
      const parsed = parseNetwork(input);
      if (!parsed.ok) return;
      const [address = '', bits] = parsed.network.split('/');
      new BlockList().addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
    }),
  );
});
