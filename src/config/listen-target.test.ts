import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ListenTarget } from '../engine/engine.ts';
import { formatListenTarget, parseListenTarget } from './listen-target.ts';

const everywhere = (port: number): ListenTarget => ({ kind: 'tcp', address: '::', port });

test('parseListenTarget() reads every form', () => {
  const cases: [string | number, ListenTarget][] = [
    [443, everywhere(443)],
    ['443', everywhere(443)],
    ['*:443', everywhere(443)],
    ['0', everywhere(0)],
    ['127.0.0.1:0', { kind: 'tcp', address: '127.0.0.1', port: 0 }],
    ['127.0.0.1:8443', { kind: 'tcp', address: '127.0.0.1', port: 8443 }],
    ['0.0.0.0:65535', { kind: 'tcp', address: '0.0.0.0', port: 65_535 }],
    ['[::1]:8443', { kind: 'tcp', address: '::1', port: 8443 }],
    ['[0:0:0:0:0:0:0:1]:8443', { kind: 'tcp', address: '::1', port: 8443 }],
    ['[FE80::1%eth0]:443', { kind: 'tcp', address: 'fe80::1%eth0', port: 443 }],
    ['unix:/run/sniway.sock', { kind: 'unix', path: '/run/sniway.sock' }],
    ['fd:3', { kind: 'fd', fd: 3 }],
    ['fd:https', { kind: 'fd', fd: 'https' }],
    ['fd:sniway.socket', { kind: 'fd', fd: 'sniway.socket' }],
  ];
  for (const [text, target] of cases)
    assert.deepEqual(parseListenTarget(text), { ok: true, target }, String(text));
});

test('parseListenTarget() says what to write instead', () => {
  const cases: [string | number, string][] = [
    ['', '"" has no port; write 443, 127.0.0.1:8443, [::1]:8443, *:443, unix:/path or fd:3'],
    ['x', '"x" has no port; write 443, 127.0.0.1:8443, [::1]:8443, *:443, unix:/path or fd:3'],
    [65_536, '"65536" is not a port from 0 to 65535'],
    [-1, '"-1" is not a port from 0 to 65535'],
    [1e21, '"1e+21" is not a port from 0 to 65535'],
    [4.5, '"4.5" is not a port from 0 to 65535'],
    ['127.0.0.1', '"127.0.0.1" has no port: write 127.0.0.1:443'],
    ['127.0.0.1:x', '"127.0.0.1:x" needs a port from 0 to 65535 behind its last colon'],
    ['::', 'put the IPv6 address in brackets, with the port behind: "[::1]:8443"'],
    ['::1:8443', 'put the IPv6 address in brackets, with the port behind: "[::1]:8443"'],
    ['2001:db8::1', 'put the IPv6 address in brackets, with the port behind: "[::1]:8443"'],
    ['[::g]:443', '"::g" is not an IPv6 address'],
    ['fd:2', '"fd:2" needs the number of an inherited socket, from fd:3 on, or its name'],
    ['fd:-x', '"fd:-x" needs the number of an inherited socket, from fd:3 on, or its name'],
    ['unix:run/x.sock', "'unix:run/x.sock' needs an absolute path: unix:/run/app.sock"],
  ];
  for (const [text, message] of cases)
    assert.deepEqual(parseListenTarget(text), { ok: false, message }, String(text));
  const named = parseListenTarget('localhost:443');
  assert.ok(!named.ok);
  assert.match(
    named.message,
    /^"localhost:443" does not begin with an IP address; write 443, 127\.0\.0\.1:8443/,
  );
});

test('formatListenTarget() writes what parseListenTarget() reads back', () => {
  const port = fc.nat({ max: 65_535 });
  const text = fc.oneof(
    fc.tuple(fc.ipV4(), port).map(([address, number]) => `${address}:${number}`),
    fc.tuple(fc.ipV6(), port).map(([address, number]) => `[${address}]:${number}`),
    fc.integer({ min: 3, max: 1_000_000 }).map(fd => `fd:${fd}`),
    fc.constant('unix:/run/sniway.sock'),
  );
  fc.assert(
    fc.property(text, input => {
      const first = parseListenTarget(input);
      assert.ok(first.ok);
      assert.deepEqual(parseListenTarget(formatListenTarget(first.target)), first);
    }),
  );
});

test('parseListenTarget() never throws', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.double()),
      input => typeof parseListenTarget(input).ok === 'boolean',
    ),
  );
});
