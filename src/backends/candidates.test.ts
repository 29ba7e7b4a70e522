import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIAL_ADDRESSES_MAX } from '../limits.ts';
import type { Endpoint } from '../verdict.ts';
import { candidatesOf } from './candidates.ts';

const v4 = (last: number): Endpoint => ({ kind: 'tcp', address: `192.0.2.${last}`, port: 443, family: 4 });

test('candidatesOf() gives addresses of one backend less time than the backend after them', () => {
  const candidates = candidatesOf({ id: 7, proxy: null }, [v4(1), v4(2), v4(3)]);
  assert.deepEqual(
    candidates.map(({ endpoint, delayMs }) => [endpoint, delayMs]),
    [
      [v4(1), 250],
      [v4(2), 250],
      [v4(3), 1000],
    ],
  );
  assert.ok(candidates.every(({ backend }) => backend === 7));
});

test('candidatesOf() takes a bounded number of addresses', () => {
  const many = Array.from({ length: 40 }, (_, index) => v4(index + 1));
  const candidates = candidatesOf({ id: -1, proxy: null }, many);
  assert.equal(candidates.length, DIAL_ADDRESSES_MAX);
  assert.equal(candidates.at(-1)?.delayMs, 1000);
});
