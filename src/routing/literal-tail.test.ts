import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { findLiteralTail, isCatchAll } from './literal-tail.ts';

test('findLiteralTail() reads what stands at the end for itself', () => {
  for (const [source, text, isWhole] of [
    ['www\\.Example\\.com', 'www.example.com', true],
    ['^www[.]example\\.com$', 'www.example.com', true],
    ['[a-z]+\\.example\\.com', '.example.com', false],
    ['(a|b)\\.example\\.com', '.example.com', false],
    ['.*example\\.com', 'example.com', false],
    ['a+b\\-c', 'b-c', false],
    ['a{2}b', 'b', false],
    ['x\\\\.com', 'com', false],
  ] as const) {
    assert.deepEqual(findLiteralTail(source), { text, isWhole }, source);
  }
});

test('findLiteralTail() knows nothing where the end is open', () => {
  for (const source of [
    'a|b',
    'a\\.com|b\\.com',
    '.*',
    'ab?',
    'ab*',
    'a(b)',
    '[ab]',
    '\\Qa\\E',
    'a{2}',
    '(a\\.b)',
  ]) {
    assert.equal(findLiteralTail(source).text, '', source);
  }
});

test('findLiteralTail() never says more than the expression does', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    '\\.',
    '[.]',
    '.',
    '+',
    '?',
    '*',
    '{2}',
    '(',
    ')',
    '|',
    '^',
    '$',
    '[ab]',
    '\\\\',
  );
  const source = fc.array(piece, { minLength: 1, maxLength: 7 }).map(pieces => pieces.join(''));
  const name = fc
    .array(fc.constantFrom('a', 'b', '.'), { minLength: 1, maxLength: 6 })
    .map(all => all.join(''));
  fc.assert(
    fc.property(source, fc.array(name, { maxLength: 30 }), (text, names) => {
      let oracle: RegExp;
      try {
        // By itself first: the group around it makes a whole of halves such as ")|(a".
        void new RegExp(text);
        oracle = new RegExp(`^(?:${text})$`);
      } catch {
        return;
      }
      const tail = findLiteralTail(text);
      for (const candidate of [...names, tail.text, `a${tail.text}`]) {
        if (!oracle.test(candidate)) continue;
        assert.ok(
          tail.isWhole ? candidate === tail.text : candidate.endsWith(tail.text),
          `${text} ${candidate}`,
        );
      }
    }),
    { numRuns: 3_000 },
  );
});

test('isCatchAll() knows the plain ways to say everything', () => {
  for (const source of ['.*', '.+', '^.*$', '(.*)', '.*?']) assert.ok(isCatchAll(source), source);
  for (const source of ['a.*', '.', '.*a', '', '\\.*']) assert.ok(!isCatchAll(source), source);
});
