import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeFlags, parseRouteFlag } from './config-flags.ts';

describe('parseRouteFlag()', () => {
  for (const [text, match, backend] of [
    ['a.example.com=10.0.0.5:443', 'a.example.com', '10.0.0.5:443'],
    ['a.example.com=unix:/run/a=b.sock', 'a.example.com', 'unix:/run/a=b.sock'],
    ['/^v[0-9]+=?\\.example\\.com/=10.0.0.5:443', '/^v[0-9]+=?\\.example\\.com/', '10.0.0.5:443'],
    ['a.example.com', 'a.example.com', undefined],
    ['=10.0.0.5:443', '=10.0.0.5:443', undefined],
  ] as const) {
    test(`parts ${text}`, () => {
      assert.deepEqual(parseRouteFlag(text), backend === undefined ? { match } : { match, backend });
    });
  }
});

describe('mergeFlags()', () => {
  test('replaces listeners, adds routes and suffixes, sets times', () => {
    const file = { listen: 443, routes: [{ match: 'a', backend: 'b:1' }], timeouts: { hello: '1s' } };
    const flags = { listen: ['8443'], route: ['c=d:2'], suffix: ['.e'], dialTimeout: '2s' };
    assert.deepEqual(mergeFlags(file, flags).input, {
      listen: ['8443'],
      routes: [
        { match: 'a', backend: 'b:1' },
        { match: 'c', backend: 'd:2' },
      ],
      suffixes: ['.e'],
      timeouts: { hello: '1s', dial: '2s' },
    });
  });

  test('knows the flag that a value came from', () => {
    const { originOf } = mergeFlags({ routes: [{}] }, { route: ['c=d:2'], allowNet: ['::1'] });
    assert.equal(originOf(['routes', 0, 'backend']), null);
    assert.equal(originOf(['routes', 1, 'backend']), "--route 'c=d:2'");
    assert.equal(originOf(['guard', 'allowNets', 0]), "--allow-net '::1'");
  });

  test("puts DNS servers in the place of the file's, and leaves the rest of its resolver", () => {
    const flags = { resolver: ['10.0.0.53', '[fd00::53]:5353'] };
    const { input, originOf } = mergeFlags({ resolver: { servers: 'system', family: 'ipv4-only' } }, flags);
    assert.deepEqual(input, { resolver: { servers: flags.resolver, family: 'ipv4-only' } });
    assert.equal(originOf(['resolver', 'servers', 1]), "--resolver '[fd00::53]:5353'");
    assert.deepEqual(mergeFlags({ resolver: 'system' }, flags).input, { resolver: flags.resolver });
  });

  test('lets every listener take headers from proxies, but those that say themselves from whom', () => {
    const own = { address: 8443, proxyProtocol: { from: 'fd00::/8' } };
    const flags = { acceptProxyFrom: ['10.0.0.0/8', '::1'] };
    const proxyProtocol = { from: flags.acceptProxyFrom };
    assert.deepEqual(mergeFlags({ listen: 443 }, flags).input, { listen: [{ address: 443, proxyProtocol }] });
    const { input, originOf } = mergeFlags({ listen: [own, { address: '[::1]:1' }] }, flags);
    assert.deepEqual(input, { listen: [own, { address: '[::1]:1', proxyProtocol }] });
    assert.equal(originOf(['listen', 0, 'proxyProtocol', 'from']), null);
    assert.equal(originOf(['listen', 1, 'proxyProtocol', 'from', 0]), "--accept-proxy-from '10.0.0.0/8 ::1'");
    assert.deepEqual(mergeFlags({}, flags).input, {});
  });

  test('leaves what has the wrong shape in the file for the check to name', () => {
    const file = { guard: 'abc', timeouts: [1] };
    assert.deepEqual(mergeFlags(file, { allowNet: ['::1'], drain: '5s' }).input, file);
  });
});
