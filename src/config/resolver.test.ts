import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspectConfig } from './check-config.ts';
import { parseDnsServer, readResolver } from './resolver.ts';

const BASE = { listen: 443, routes: [{ match: 'a.example', backend: 'b.example:443' }] };
const problemsOf = (resolver: unknown): string[] =>
  inspectConfig({ ...BASE, resolver }).problems.map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('parseDnsServer()', () => {
  for (const [text, server] of [
    ['10.0.0.53', '10.0.0.53'],
    ['10.0.0.53:5353', '10.0.0.53:5353'],
    ['fd00::53', '[fd00::53]:53'],
    ['[fd00::53]', '[fd00::53]:53'],
    ['[fd00::53]:5353', '[fd00::53]:5353'],
  ] as const) {
    test(`reads ${text}`, () => assert.deepEqual(parseDnsServer(text), { ok: true, server }));
  }

  for (const [text, message] of [
    ['dns.example', /not the address of a DNS server: write system/],
    ['dns.example:53', /not the address/],
    ['10.0.0.53:', /1 to 65535/],
    ['10.0.0.53:0', /1 to 65535/],
    ['[fd00::53]:70000', /1 to 65535/],
    ['[10.0.0.53]:53', /not an IPv6 address/],
    ['fe80::1%eth0', /not the address/],
    ['', /not the address/],
  ] as const) {
    test(`refuses '${text}' and says why`, () => {
      const parsed = parseDnsServer(text);
      assert.ok(!parsed.ok);
      assert.match(parsed.message, message);
    });
  }
});

describe('the resolver of a configuration', () => {
  test('is auto by default, and may be one word, one address, a list or an object', () => {
    assert.equal(readResolver(undefined).servers, 'auto');
    assert.equal(readResolver('system').servers, 'system');
    assert.equal(readResolver({ servers: 'system' }).servers, 'system');
    assert.equal(readResolver(['system']).servers, 'system');
    assert.deepEqual(readResolver('10.0.0.53').servers, ['10.0.0.53']);
    assert.deepEqual(readResolver({ servers: ['10.0.0.53', 'fd00::1'] }).servers, [
      '10.0.0.53',
      '[fd00::1]:53',
    ]);
    for (const fit of ['auto', 'system', '10.0.0.53', ['10.0.0.53', '::1'], { family: 'ipv6-only' }]) {
      assert.deepEqual(problemsOf(fit), []);
    }
  });

  test('is refused with the place and the remedy', () => {
    assert.match(
      problemsOf('dns.example')[0] ?? '',
      /^resolver: "dns\.example" is not the address .*10\.0\.0\.53/,
    );
    assert.match(problemsOf(['10.0.0.53', 'x'])[0] ?? '', /^resolver\.1: "x" is not the address/);
    assert.match(
      problemsOf({ servers: ['10.0.0.53', 'system'] })[0] ?? '',
      /servers\.1: "system" stands for/,
    );
    assert.match(problemsOf({ family: 'ipv5' })[0] ?? '', /^resolver\.family: "ipv5" is not known here/);
    assert.match(problemsOf({ ttlmax: '5s' })[0] ?? '', /ttlmax.*did you mean "ttlMax"/);
    assert.match(problemsOf({ ttlMin: '1m' })[0] ?? '', /^resolver\.ttlMin: ttlMin is longer than ttlMax/);
    assert.match(problemsOf({ hosts: 'hosts' })[0] ?? '', /^resolver\.hosts: .*absolute path/);
    assert.match(problemsOf([])[0] ?? '', /^resolver/);
    const nine = Array.from({ length: 9 }, (_, index) => `10.0.0.${index}`);
    assert.match(problemsOf(nine)[0] ?? '', /9 DNS servers are too many: at most 8/);
  });
});
