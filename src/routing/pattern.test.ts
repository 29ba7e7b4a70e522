import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NAME_BYTES_MAX, PATTERN_CHARS_MAX } from '../limits.ts';
import { isBounded, parsePattern, quotePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';

function parsed(text: string): Pattern {
  const result = parsePattern(text);
  assert.ok(result.ok, result.ok ? '' : result.message);
  return result.pattern;
}

function messageOf(text: string): string {
  const result = parsePattern(text);
  assert.ok(!result.ok, `${text} is taken`);
  return result.message;
}

test('parsePattern() reads exact names in their canonical form', () => {
  for (const [text, name] of [
    ['api.example.com', 'api.example.com'],
    ['API.Example.COM.', 'api.example.com'],
    ['localhost', 'localhost'],
    ['Bücher.example', 'xn--bcher-kva.example'],
    ['_sip.example', '_sip.example'],
    ['__proto__', '__proto__'],
  ] as const) {
    assert.deepEqual(parsed(text), { kind: 'exact', text: name, name }, text);
  }
});

test('parsePattern() reads wildcards in their canonical form', () => {
  for (const [text, labels, suffix] of [
    ['*.example.com', 'one', 'example.com'],
    ['**.example.com', 'many', 'example.com'],
    ['*.Example.COM.', 'one', 'example.com'],
    ['**.bücher.example', 'many', 'xn--bcher-kva.example'],
    ['*.com', 'one', 'com'],
  ] as const) {
    const stars = labels === 'one' ? '*' : '**';
    assert.deepEqual(parsed(text), { kind: 'wildcard', text: `${stars}.${suffix}`, labels, suffix }, text);
  }
});

test('parsePattern() reads regular expressions, whose case never matters', () => {
  const pattern = parsed('/API-[0-9]+\\.example\\.com/');
  assert.ok(pattern.kind === 'regex');
  assert.equal(pattern.source, 'API-[0-9]+\\.example\\.com');
  assert.equal(pattern.regex.testExact('api-7.example.com'), true);
  assert.equal(pattern.regex.testExact('api-7.example.com.evil.example'), false);
  assert.equal(pattern.regex.testExact('my-api-7.example.com'), false);
});

test('parsePattern() takes an alternative of an expression for the whole name, too', () => {
  const pattern = parsed('/a|b\\.example/');
  assert.ok(pattern.kind === 'regex');
  assert.equal(pattern.regex.testExact('a.example'), false);
  assert.equal(pattern.regex.testExact('a'), true);
});

test('isBounded() is true for names and wildcards, not for expressions', () => {
  for (const text of ['a.example', '*.example.com', '**.example.com'])
    assert.ok(isBounded(parsed(text)), text);
  for (const text of ['/.*/', '/.*\\.example\\.com/']) assert.ok(!isBounded(parsed(text)), text);
});

test('parsePattern() refuses a star alone, and says how to take every name', () => {
  for (const text of ['*', '**', '*.', '**.']) {
    assert.match(
      messageOf(text),
      /names no domain: write "\*\*?\.example\.com", or "\/\.\*\/" to take every name/,
    );
  }
});

test('parsePattern() refuses a star that is not the first label', () => {
  for (const text of [
    'a.*.example',
    'a*.example.com',
    '*a.example.com',
    '*.*.example',
    '***.example',
    'example.*',
  ]) {
    assert.match(messageOf(text), /star that is not its whole first label: write \*\.example\.com/, text);
  }
});

test('parsePattern() says what to write instead', () => {
  for (const [text, message] of [
    ['', /not empty: write/],
    ['.example.com', /write "\*\*\.example\.com" for every name under it/],
    ['www.example.com:443', /leave out the port/],
    ['*.example.com:443', /leave out the port/],
    ['https://www.example.com/', /host name alone/],
    ['a b', /"a b" is no pattern: only letters/],
    ['a..b', /empty label/],
    ['10.0.0.1', /IP address/],
    ['[::1]', /IP address/],
    [`${'a'.repeat(64)}.example`, /more than 63 bytes/],
    [`*.${'a.'.repeat(125)}ab`, /leaves no room for a label/],
    ['/', /slash at its end/],
    ['/a/i', /no flags behind it/],
    ['//', /takes no name/],
    ['/(/', /missing closing/],
    ['/(?=a)b/', /RE2 syntax, without look-around/],
    ['/(a)\\1/', /RE2 syntax/],
    ['/bücher\\..*/', /xn--/],
    ['/(a?){1000}(a?){1000}(a?){1000}/', /too large/],
    ['a'.repeat(PATTERN_CHARS_MAX + 1), /at most 1024 characters/],
    [`/${'a'.repeat(PATTERN_CHARS_MAX)}/`, /at most 1024 characters/],
  ] as const) {
    assert.match(messageOf(text), message, text);
  }
});

test('parsePattern() lets no control character into a message', () => {
  for (const text of ['a\u001b[2J', '*.a\u202e', '/(\u0007/', '/(?P<\n>a)/', 'a\u2028*']) {
    assert.doesNotMatch(messageOf(text), /[\p{C}\u2028\u2029]/u, JSON.stringify(text));
  }
  assert.ok(quotePattern('a'.repeat(1000)).length < 300);
});

test('parsePattern() ends for every text, and its canonical form reads as itself', () => {
  const piece = fc.constantFrom(
    '*',
    '**',
    '.',
    'a',
    'B',
    'xn--',
    '/',
    '(',
    ')',
    '+',
    'ü',
    '\\',
    '[',
    ']',
    '{9}',
    '\0',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join('')),
  );
  fc.assert(
    fc.property(text, input => {
      const result = parsePattern(input);
      if (!result.ok) return assert.ok(result.message.length > 0);
      const { pattern } = result;
      assert.equal(parsed(pattern.text).text, pattern.text);
      const longest = pattern.kind === 'regex' ? PATTERN_CHARS_MAX : NAME_BYTES_MAX + 3;
      assert.ok(pattern.text.length <= longest);
    }),
    { numRuns: 2_000 },
  );
});
