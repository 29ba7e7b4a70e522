import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { didYouMean, editDistance, nearestWord } from './nearest-word.ts';

const WORDS = ['name', 'match', 'alpn', 'backend', 'reject'];

test('nearestWord() finds a word in spite of slips of the finger', () => {
  assert.equal(nearestWord('backends', WORDS), 'backend');
  assert.equal(nearestWord('bakcend', WORDS), 'backend');
  assert.equal(nearestWord('Match', WORDS), 'match');
  assert.equal(nearestWord('mach', WORDS), 'match');
  assert.equal(
    nearestWord('unrecognised_name', ['internal_error', 'unrecognized_name']),
    'unrecognized_name',
  );
  assert.equal(nearestWord('no-sni', ['noSni', 'notTls']), 'noSni');
});

test('nearestWord() finds nothing where nothing is near', () => {
  assert.equal(nearestWord('upstream', WORDS), null);
  assert.equal(nearestWord('', WORDS), null);
  assert.equal(nearestWord('x', ['a']), null);
  assert.equal(nearestWord('backend', []), null);
  assert.equal(nearestWord('backend'.repeat(1_000_000), WORDS), null);
});

test('didYouMean() is a remark to append', () => {
  assert.equal(didYouMean('backends', WORDS), ' (did you mean "backend"?)');
  assert.equal(didYouMean('zzz', WORDS), '');
});

test('editDistance() counts one for each insertion, deletion, replacement and swap', () => {
  assert.equal(editDistance('', ''), 0);
  assert.equal(editDistance('abc', ''), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('ab', 'ba'), 1);
});

test('editDistance() is symmetric and zero only for equal texts', () => {
  const text = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') });
  fc.assert(
    fc.property(text, text, (left, right) => {
      const distance = editDistance(left, right);
      assert.equal(distance, editDistance(right, left));
      assert.equal(distance === 0, left === right);
      assert.ok(distance <= Math.max(left.length, right.length));
    }),
  );
});
