import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatBackend, parseBackend } from './backend-address.ts';
import type { Backend } from './backend-address.ts';

describe('parseBackend()', () => {
  const good: readonly (readonly [string, Backend])[] = [
    ['10.0.0.5:443', { kind: 'ip', address: '10.0.0.5', port: 443, family: 4 }],
    ['[::1]:8443', { kind: 'ip', address: '::1', port: 8443, family: 6 }],
    ['backend.internal:443', { kind: 'host', host: 'backend.internal', port: 443 }],
    ['localhost:1', { kind: 'host', host: 'localhost', port: 1 }],
    ['{sni}:443', { kind: 'server-name', port: 443 }],
    ['srv:_https._tcp.example.com', { kind: 'service', service: '_https._tcp.example.com' }],
    ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['unix:/run/a:b=c', { kind: 'unix', path: '/run/a:b=c' }],
  ];
  for (const [text, backend] of good) {
    test(`reads ${text}, and formatBackend() writes it back`, () => {
      assert.deepEqual(parseBackend(text), { ok: true, backend });
      assert.equal(formatBackend(backend), text);
    });
  }

  test('folds the case of host names', () => {
    assert.deepEqual(parseBackend('Backend.Internal:1'), parseBackend('backend.internal:1'));
  });

  for (const [text, message] of [
    ['10.0.0.5', /has no port/],
    ['', /has no port/],
    [':443', /has no port/],
    ['srv:_https._tcp.example.com:443', /give the port/],
    ['srv:example.com', /service and its protocol/],
    ['srv:_https._tcp', /service and its protocol/],
    ['srv:_https._tcp.ex ample', /not the name of a service/],
    ['10.0.0.5:0', /1 to 65535/],
    ['10.0.0.5:65536', /1 to 65535/],
    ['10.0.0.5:4 3', /1 to 65535/],
    ['10.0.0.5:+443', /1 to 65535/],
    ['::1:443', /brackets: '\[::1\]:443'/],
    ['[10.0.0.5]:443', /not an IPv6 address/],
    ['[nonsense]:443', /not an IPv6 address/],
    ['127.1:443', /not a host name/],
    ['0x7f.0.0.1:443', /not a host name/],
    ['2130706433:443', /not a host name/],
    ['host name:443', /not a host name/],
    ['https://host:443', /.+/],
    ['unix:relative', /absolute path/],
    ['unix:/a\0b', /no NUL/],
    ['unix:/a\nb', /no other control/],
    [`unix:/${'x'.repeat(107)}`, /107 bytes/],
  ] as const) {
    test(`refuses '${text.slice(0, 30)}' and says why`, () => {
      const parsed = parseBackend(text);
      assert.equal(parsed.ok, false);
      assert.match(parsed.message, message);
    });
  }
});
