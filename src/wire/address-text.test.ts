import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isIPv4Text, isIPv6Text, readIPv6, writeIPv6 } from './address-text.ts';

test('isIPv4Text() and isIPv6Text() agree with Node on anything that looks like an address', () => {
  const part = fc.constantFrom(
    ':',
    '::',
    '.',
    '0',
    '1',
    '00',
    'ffff',
    'abcd1',
    'g',
    '255',
    '256',
    '1.2.3.4',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 18 }), parts => {
      const text = parts.join('');
      assert.equal(isIPv4Text(text), isIPv4(text), text);
      assert.equal(isIPv6Text(text), isIPv6(text), text);
    }),
    { numRuns: 5_000 },
  );
});

test('isIPv6Text() and writeIPv6() take every address that readIPv6() gives', () => {
  fc.assert(
    fc.property(fc.ipV6(), text => {
      assert.equal(isIPv6Text(text), true);
      const view = new DataView(new ArrayBuffer(16));
      writeIPv6(view, 0, text);
      const canonical = readIPv6(view, 0);
      assert.equal(isIPv6Text(canonical), true);
      const again = new DataView(new ArrayBuffer(16));
      writeIPv6(again, 0, canonical);
      assert.deepEqual(again, view);
    }),
  );
});
