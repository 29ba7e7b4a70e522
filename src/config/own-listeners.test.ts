import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBackend } from '../backends/backend-address.ts';
import type { ListenTarget } from '../engine/engine.ts';
import { formatListenTarget, parseListenTarget } from './listen-target.ts';
import { createOwnListenerSearch, findListenerConflict } from './own-listeners.ts';

const OWN_ADDRESSES = ['192.0.2.7', '2001:db8::7', 'fe80::7%eth0'];

function listener(text: string): ListenTarget {
  const parsed = parseListenTarget(text);
  assert.ok(parsed.ok, text);
  return parsed.target;
}

function search(listeners: readonly string[], backend: string): string | null {
  const parsed = parseBackend(backend);
  assert.ok(parsed.ok, backend);
  const own = createOwnListenerSearch(listeners.map(listener), OWN_ADDRESSES)(parsed.backend);
  return own === null ? null : formatListenTarget(own);
}

function conflict(late: string, early: string): string | null {
  return findListenerConflict(listener(late), [listener(early)]);
}

test('createOwnListenerSearch() finds the listener a backend leads back to', () => {
  const cases: [listen: string, backend: string][] = [
    ['127.0.0.1:443', '127.0.0.1:443'],
    ['127.0.0.1:443', 'localhost:443'],
    ['[::1]:443', 'app.localhost:443'],
    ['127.0.0.1:443', '0.0.0.0:443'],
    ['127.0.0.1:443', '[::ffff:127.0.0.1]:443'],
    ['127.0.0.1:443', '[::ffff:7f00:1]:443'],
    ['[::1]:443', '[0:0::1]:443'],
    ['[::1]:443', '[::]:443'],
    ['0.0.0.0:443', '127.8.8.8:443'],
    ['0.0.0.0:443', '192.0.2.7:443'],
    ['[::]:443', '192.0.2.7:443'],
    ['[::]:443', '[2001:db8:0::7]:443'],
    ['[::]:443', '[fe80::7]:443'],
    ['[::]:443', 'localhost:443'],
    ['192.0.2.7:443', '192.0.2.7:443'],
    ['unix:/run/a.sock', 'unix:/run/../run//a.sock'],
  ];
  for (const [listen, backend] of cases)
    assert.equal(search([listen], backend), listen, `${listen} ${backend}`);
  assert.equal(search(['fd:3', '10.0.0.1:443', '[::]:444'], '127.0.0.1:444'), '[::]:444');
});

test('createOwnListenerSearch() leaves other backends alone', () => {
  const cases: [listen: string, backend: string][] = [
    ['127.0.0.1:443', '127.0.0.1:444'],
    ['127.0.0.1:443', '127.0.0.2:443'],
    ['127.0.0.1:443', '192.0.2.7:443'],
    ['127.0.0.1:443', 'example.com:443'],
    ['127.0.0.1:443', '{sni}:443'],
    ['[::]:443', '192.0.2.8:443'],
    ['0.0.0.0:443', '[::1]:443'],
    ['0.0.0.0:443', '[2001:db8::7]:443'],
    ['127.0.0.1:0', 'localhost:443'],
    ['fd:3', '127.0.0.1:443'],
    ['unix:/run/a.sock', 'unix:/run/b.sock'],
  ];
  for (const [listen, backend] of cases)
    assert.equal(search([listen], backend), null, `${listen} ${backend}`);
});

test('findListenerConflict() finds listeners that cannot be open together', () => {
  assert.equal(conflict('443', '*:443'), '"[::]:443" is listed twice');
  assert.equal(conflict('[::1]:443', '[0:0::1]:443'), '"[::1]:443" is listed twice');
  assert.equal(conflict('unix:/a', 'unix:/a'), '"unix:/a" is listed twice');
  assert.equal(conflict('fd:3', 'fd:3'), '"fd:3" is listed twice');
  assert.equal(conflict('127.0.0.1:443', '443'), '"[::]:443" takes this address and port already');
  assert.equal(conflict('127.0.0.1:443', '0.0.0.0:443'), '"0.0.0.0:443" takes this address and port already');
  assert.equal(conflict('443', '127.0.0.1:443'), 'it takes the address and port of "127.0.0.1:443" too');
});

test('findListenerConflict() allows different ports, families, and any port twice', () => {
  assert.equal(conflict('443', '444'), null);
  assert.equal(conflict('[::1]:443', '0.0.0.0:443'), null);
  assert.equal(conflict('127.0.0.1:443', '127.0.0.2:443'), null);
  assert.equal(conflict('127.0.0.1:0', '127.0.0.1:0'), null);
  assert.equal(conflict('127.0.0.1:0', '0'), null);
  assert.equal(conflict('fd:3', 'fd:4'), null);
});
