import assert from 'node:assert/strict';
import { test } from 'node:test';
import { USER_NOTICE_MS } from '../limits.ts';
import { FailureNotices, summaryOf } from './failure-notices.ts';

function createNotices() {
  const messages: string[] = [];
  let nowMs = 1_000;
  const notices = new FailureNotices(
    ({ level, message }) => messages.push(`${level} ${message}`),
    () => nowMs,
  );
  return { notices, messages, advance: (ms: number) => void (nowMs += ms) };
}

test('FailureNotices tells a failure at once, then with a count of those it has left out', () => {
  const { notices, messages, advance } = createNotices();
  for (let round = 0; round < 5; round++) notices.tell("decide of route 'a'", 'odd');
  notices.tell("decide of route 'b'", 'odd');
  advance(USER_NOTICE_MS);
  notices.tell("decide of route 'a'", 'odd');
  advance(USER_NOTICE_MS);
  notices.tell("decide of route 'a'", 'odd');
  assert.deepEqual(messages, [
    "error decide of route 'a' failed, and a connection was refused: odd",
    "error decide of route 'b' failed, and a connection was refused: odd",
    "error decide of route 'a' failed, and a connection was refused (and 4 times before): odd",
    "error decide of route 'a' failed, and a connection was refused: odd",
  ]);
});

test('FailureNotices shows where an error comes from, and no control characters', () => {
  const { notices, messages } = createNotices();
  notices.tell('the hook onHello', new Error('red \u001b[31m'));
  assert.match(messages[0] ?? '', /: Error: red \\x1b\[31m\n +at .*failure-notices\.test\./);
  assert.ok((messages[0] ?? '').split('\n').length <= 6);
});

test('summaryOf() makes one printable line of whatever was thrown', () => {
  assert.equal(summaryOf(new Error('a\nb\u202e')), 'a?b?');
  assert.equal(summaryOf(7), '7');
  assert.equal(summaryOf(undefined), 'undefined');
  assert.equal(summaryOf({ toString: () => assert.fail('no text form') }), 'something that is no error');
});
