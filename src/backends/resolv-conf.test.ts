import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseResolvConf, searchNames } from './resolv-conf.ts';

describe('parseResolvConf()', () => {
  test('reads what Kubernetes writes', () => {
    const text =
      'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n';
    assert.deepEqual(parseResolvConf(text), {
      nameservers: ['10.96.0.10'],
      search: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      ndots: 5,
    });
  });

  test('takes the last of search and domain, passes over comments and a search for the root', () => {
    const text =
      '; made by hand\nnameserver fe80::1%eth0 # router\nsearch a.example\ndomain fritz.box.\noptions edns0 trust-ad\n';
    assert.deepEqual(parseResolvConf(text), {
      nameservers: ['fe80::1%eth0'],
      search: ['fritz.box'],
      ndots: 1,
    });
    assert.deepEqual(parseResolvConf('search .\n').search, []);
    assert.deepEqual(parseResolvConf(''), { nameservers: [], search: [], ndots: 1 });
  });

  test('bounds ndots as the C library does', () => {
    assert.equal(parseResolvConf('options ndots:99').ndots, 15);
    assert.equal(parseResolvConf('options ndots:0').ndots, 0);
    assert.equal(parseResolvConf('options ndots:x').ndots, 1);
  });
});

test('searchNames() tries search domains first for names with few dots, last for others', () => {
  const conf = { nameservers: [], search: ['a.example', 'b.example'], ndots: 2 };
  assert.deepEqual(searchNames('web', conf), ['web.a.example', 'web.b.example', 'web']);
  assert.deepEqual(searchNames('web.shop', conf), ['web.shop.a.example', 'web.shop.b.example', 'web.shop']);
  assert.deepEqual(searchNames('web.shop.x', conf), [
    'web.shop.x',
    'web.shop.x.a.example',
    'web.shop.x.b.example',
  ]);
  const long = 'x'.repeat(62);
  assert.deepEqual(
    searchNames(`${long}.${long}.${long}.${long}`, conf).length,
    1,
    'none is too long for DNS',
  );
});
