import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, inspectConfig } from './check-config.ts';

const REST = { listen: '127.0.0.1:8443', suffixes: '.example.com' };
const problemsOf = (admin: unknown): string[] =>
  inspectConfig({ ...REST, admin }).problems.map(({ path, message }) => `${path.join('.')}: ${message}`);

test('the admin server is an address, a port, or an object with one', () => {
  const expected = { kind: 'tcp', address: '127.0.0.1', port: 9090 };
  for (const admin of ['127.0.0.1:9090', 9090, { listen: 9090 }, { listen: '127.0.0.1:9090' }]) {
    assert.deepEqual(checkConfig({ ...REST, admin }).admin, expected);
  }
});

test('what is no address of an admin server is told once, where it stands', () => {
  assert.match(problemsOf('nonsense').join('\n'), /^admin: .*"nonsense"[^\n]*$/);
  assert.match(problemsOf({ listen: 'nonsense' }).join('\n'), /^admin\.listen: .*"nonsense"[^\n]*$/);
  assert.match(problemsOf({}).join('\n'), /^admin: "listen" is missing$/);
  assert.match(problemsOf(true).join('\n'), /^admin: [^\n]*$/);
  assert.match(problemsOf('0.0.0.0:9090').join('\n'), /^admin: others than this machine[^\n]*$/);
  assert.match(problemsOf('127.0.0.1:8443').join('\n'), /^admin: [^\n]*$/);
});
