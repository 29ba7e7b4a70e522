import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFamilyOrder } from './family-order.ts';
import type { FamilyPreference, ResolvedAddress } from './names.ts';

const MIXED: readonly ResolvedAddress[] = [
  { address: '10.0.0.1', family: 4 },
  { address: '2001:db8::1', family: 6 },
  { address: 'fd00::1', family: 6 },
  { address: '::1', family: 6 },
];
const ordered = (preference: FamilyPreference, own: readonly string[] = []): string[] =>
  createFamilyOrder(
    preference,
    () => 0,
    () => own,
  )(MIXED).map(({ address }) => address);

test('createFamilyOrder() follows the preference that is given', () => {
  assert.deepEqual(ordered('ipv4-only'), ['10.0.0.1']);
  assert.deepEqual(ordered('ipv6-only'), ['2001:db8::1', 'fd00::1', '::1']);
  assert.deepEqual(ordered('ipv4-first'), ['10.0.0.1', '2001:db8::1', 'fd00::1', '::1']);
  assert.deepEqual(ordered('ipv6-first'), ['2001:db8::1', 'fd00::1', '::1', '10.0.0.1']);
});

test("createFamilyOrder() puts IPv6 first where this machine's own addresses reach it", () => {
  assert.deepEqual(ordered('auto', []), ['10.0.0.1', '2001:db8::1', 'fd00::1', '::1']);
  assert.deepEqual(ordered('auto', ['fe80::5', '::1']), ['::1', '10.0.0.1', '2001:db8::1', 'fd00::1']);
  assert.deepEqual(ordered('auto', ['fd12::5']), ['fd00::1', '10.0.0.1', '2001:db8::1', '::1']);
  assert.deepEqual(ordered('auto', ['2a00::5']), ['2001:db8::1', '10.0.0.1', 'fd00::1', '::1']);
});
