import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../../test/support/folders.ts';
import { checkCommandConfig } from './check.ts';
import { CommandError } from './exit-codes.ts';
import { explainName } from './explain.ts';

const FLAGS = {
  route: [
    '*.example.com=10.0.0.1:8001',
    'www.example.com=unix:/run/www.sock',
    '/w.*/=10.0.0.3:1',
    'localhost={sni}:443',
  ],
};

test('explainName() says which route takes the name, why, and what comes after it', async () => {
  const lines = (await explainName('WWW.example.com.', {}, FLAGS)).split('\n');
  assert.deepEqual(lines, [
    'name      www.example.com',
    'route     www.example.com',
    'pattern   www.example.com (exact)',
    'passed    *.example.com (one label) of route *.example.com: comes after the one that takes it',
    '          /w.*/ (regular expression) of route /w.*/: comes after the one that takes it',
    'backend   unix:/run/www.sock',
    'dials     unix:/run/www.sock',
    '',
  ]);
});

test('explainName() shows the backends of a route, and the order in which they would be tried', async () => {
  const text = await explainName(
    'www.example.com',
    {},
    {
      route: ['www.example.com=10.0.0.1:443,[::1]:8443,unix:/run/a.sock,10.0.0.4:443'],
    },
  );
  assert.match(
    text,
    new RegExp(
      [
        '^backends  10\\.0\\.0\\.1:443',
        '          \\[::1\\]:8443',
        '          unix:/run/a\\.sock',
        '          10\\.0\\.0\\.4:443',
        'balance   round-robin: in turn, by weight; up to 2 more tried when it fails',
        '          left out for 5s and longer after 3 failures in a row',
        'dials     10\\.0\\.0\\.1:443, \\[::1\\]:8443, unix:/run/a\\.sock$',
      ].join('\n'),
      'm',
    ),
  );
});

test('explainName() says what a refused client sees', async () => {
  assert.match(
    await explainName('a.example.net', { alpn: ['h2'] }, FLAGS),
    /^alpn +h2\nroute +none\nend +unknown-name\nclient +sees the alert unrecognized_name$/m,
  );
});

test('explainName() takes an IP address for no name', async () => {
  for (const address of ['10.0.0.1', '::1', '[fe80::1%eth0]', '127.1']) {
    assert.match(await explainName(address, {}, FLAGS), /^end +no-sni$/m, address);
  }
});

test('explainName() shows what the guard says of each address', async () => {
  const refused = await explainName('localhost', {}, FLAGS);
  assert.match(refused, /refused: \S+ is loopback/);
  assert.match(refused, /^end +guard-refused \(\S+ is loopback\)$/m);
  const allowed = await explainName('localhost', {}, { ...FLAGS, allowNet: ['127.0.0.0/8', '::1'] });
  assert.match(allowed, /127\.0\.0\.1:443 allowed/);
  assert.match(allowed, /^dials .*127\.0\.0\.1:443/m);
});

test('explainName() refuses what is no name, and shows it escaped', async () => {
  for (const [name, shown] of [
    ['no name', /"no name" is not a host name/],
    ['a\u001b[2J', /"a\\x1b\[2J"/],
    ['', /it is empty/],
  ] as const) {
    await assert.rejects(explainName(name, {}, FLAGS), (error: unknown) => {
      assert.ok(error instanceof CommandError);
      assert.equal(error.exitCode, 2);
      assert.match(error.message, shown);
      return true;
    });
  }
});

test('explainName() refuses an unfit configuration', async () => {
  await assert.rejects(explainName('a.example', {}, {}), CommandError);
});

test('explainName() lets no control character through', async () => {
  const text = await explainName('a.example.com', { alpn: ['h2\u001b[2J', 'x\ny'] }, FLAGS);
  assert.doesNotMatch(text.replaceAll('\n', ''), /\p{C}/u);
  assert.match(text, /^alpn +h2\\x1b\[2J, x\\x0ay$/m);
});

test('explainName() says where functions decide, and calls none', async t => {
  const folder = makeFolder(t, {
    'sniway.config.mjs': `const fail = () => { throw new Error('called'); };
export default {
  listen: 443,
  hooks: { onHello: fail, onVerdict: fail, onEnd: fail },
  routes: [{ match: '*.example.com', decide: fail }, { match: 'plain.example.com', reject: 'close' }],
};`,
  });
  const flags = { config: join(folder, 'sniway.config.mjs') };
  assert.deepEqual((await explainName('a.example.com', {}, flags)).split('\n'), [
    'name      a.example.com',
    'route     *.example.com',
    'pattern   *.example.com (one label)',
    'decides   the function of the route (decide), for each connection',
    'hooks     onHello and onVerdict may refuse each connection',
    '',
  ]);
  assert.match(await explainName('plain.example.com', {}, flags), /^end {7}denied\nclient .*\nhooks {5}/m);
});

test('checkCommandConfig() takes functions as it finds them', async t => {
  const folder = makeFolder(t, {
    'sniway.config.mjs':
      "export default { listen: 443, include: 'more.yaml', hooks: { onEnd() {} }, routes: [{ match: 'a.example', decide() {} }] };",
    'more.yaml': "- { match: b.example, backend: 'b:1' }",
  });
  const text = await checkCommandConfig({ config: join(folder, 'sniway.config.mjs') });
  assert.match(text, /ok: 1 listener, 2 routes\n$/);
});
