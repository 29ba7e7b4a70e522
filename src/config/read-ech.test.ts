import assert from 'node:assert/strict';
import { chmodSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createTestKey } from '../../test/support/ech-client.ts';
import { makeKeyFolder, writeKey } from '../../test/support/ech-keys.ts';
import { makeFolder } from '../../test/support/folders.ts';
import { inspectConfig } from './check-config.ts';
import { echPathsOf } from './ech-paths.ts';
import { loadConfigFile } from './load-file.ts';

const ROUTE = { name: 'app', match: 'app.example', backend: '10.0.0.5:443' };
const PUBLIC = { name: 'public', match: 'public.example', backend: '10.0.0.6:443' };

function problemsOf(ech: unknown, routes: readonly unknown[] = [ROUTE, PUBLIC]): string[] {
  const { problems } = inspectConfig({ listen: 443, routes, ech });
  return problems.map(({ path, severity, message }) => `${severity} ${path.join('.')}: ${message}`);
}

describe('the ech of a configuration', () => {
  test('is read with its keys and defaults', t => {
    const folder = makeKeyFolder(t, createTestKey({ configId: 9 }), createTestKey({ configId: 8 }));
    const { config, problems } = inspectConfig({
      listen: 443,
      routes: [ROUTE, PUBLIC],
      ech: { keys: folder },
    });
    assert.deepEqual(problems, []);
    const { keys, ...settings } = config!.ech!;
    assert.equal(keys.length, 2);
    assert.deepEqual(settings, {
      retry: [],
      fallback: null,
      unknownInner: null,
      requirePublicName: false,
      trialDecryption: false,
      verifiesBackends: true,
      hidesInnerNames: false,
    });
    assert.deepEqual(
      config!.echKeys.map(({ configId, publicName }) => [configId, publicName]),
      [
        [8, 'public.example'],
        [9, 'public.example'],
      ],
    );
    assert.equal(config!.routes[0]!.ech, 'optional');
  });

  test('has a key once that is in several files, and as old as the oldest of these', t => {
    const key = createTestKey();
    const [one, other] = [makeKeyFolder(t, key), makeKeyFolder(t, key)];
    utimesSync(join(other, '7.ech'), 1_000, 1_000);
    const { config, problems } = inspectConfig({
      listen: 443,
      routes: [ROUTE, PUBLIC],
      ech: { keys: [one, other] },
    });
    assert.deepEqual(problems, []);
    assert.equal(config!.ech!.keys.length, 1);
    assert.deepEqual(config!.echKeys, [
      { configId: 7, publicName: 'public.example', modifiedAtMs: 1_000_000 },
    ]);
  });

  test('needs keys that can be read, and says which cannot', t => {
    const folder = makeFolder(t, { 'a.ech': 'no key' });
    assert.deepEqual(
      problemsOf({ keys: folder }).map(text => text.replaceAll(folder, '')),
      ['error ech.keys: "/a.ech" is no file of keys: it has no block ECHCONFIG'],
    );
    const empty = makeFolder(t, {});
    assert.match(problemsOf({ keys: empty })[0] ?? '', /no private key in it: sniway ech keygen makes one/);
    assert.match(
      problemsOf({ keys: join(empty, 'missing') })[0] ?? '',
      /cannot read .*there is no such file/,
    );
    assert.match(problemsOf({})[0] ?? '', /ech: .*"keys"/);
  });

  test('warns of a key that others may read', t => {
    const folder = makeKeyFolder(t, createTestKey());
    chmodSync(join(folder, '7.ech'), 0o644);
    assert.match(problemsOf({ keys: folder })[0] ?? '', /^warning ech.keys: .*chmod 600 closes it/);
  });

  test('names routes that there are, or tells what was meant', t => {
    const keys = makeKeyFolder(t, createTestKey());
    assert.deepEqual(problemsOf({ keys, fallback: 'public', unknownInner: 'app' }), []);
    assert.deepEqual(problemsOf({ keys, fallback: 'publik', unknownInner: 'ap' }), [
      'error ech.fallback: no route is called "publik" (did you mean "public"?): give the "name" of a route',
      'error ech.unknownInner: no route is called "ap" (did you mean "app"?): give the "name" of a route',
    ]);
  });

  test('warns of public names that lead nowhere', t => {
    const keys = makeKeyFolder(t, createTestKey());
    assert.match(problemsOf({ keys }, [ROUTE])[0] ?? '', /^warning ech: .*no route takes .*"public.example"/);
    assert.deepEqual(problemsOf({ keys, fallback: 'app' }, [ROUTE]), []);
  });

  test('warns of public names whose route refuses what is not opened', t => {
    const keys = makeKeyFolder(t, createTestKey());
    const required = { ...PUBLIC, ech: 'required' };
    assert.deepEqual(problemsOf({ keys }, [ROUTE, required]), [
      'warning ech: clients with an old key get nowhere: route "public", which takes the public name "public.example", has ech: required; say in "fallback" which one does, or give "retry" a certificate for it',
    ]);
    assert.deepEqual(problemsOf({ keys, fallback: 'app' }, [ROUTE, required]), []);
  });

  test('takes the word alert for no route only where no route is called so', t => {
    const keys = makeKeyFolder(t, createTestKey());
    const routes = [PUBLIC, { ...ROUTE, name: 'alert' }];
    assert.deepEqual(problemsOf({ keys, unknownInner: 'alert' }), []);
    assert.deepEqual(problemsOf({ keys }, routes), []);
    assert.deepEqual(problemsOf({ keys, unknownInner: 'alert' }, routes), [
      'error ech.unknownInner: a route is called "alert", which here is the word for no route: give that route another name, or leave the key out for the alert',
    ]);
  });

  test('warns of public names that clients do not take, and of nothing else about them', t => {
    for (const [publicName, fault] of [
      ['.example', 'it begins or ends with a dot, or has two in a row'],
      ['pub\0lic.example', "its labels may only have letters, digits and, within, '-'"],
      ['10.0.0.1', 'its last label is a number, as that of an IP address'],
    ] as const) {
      const keys = makeKeyFolder(t, createTestKey({ publicName }));
      assert.deepEqual(
        problemsOf({ keys }).map(text => text.replace(keys, '')),
        [
          `warning ech.keys: "/7.ech" has the public name "${publicName.replace('\0', '\\x00')}", which clients do not take: ${fault}; take it away, and make a key with sniway ech keygen`,
        ],
      );
    }
  });

  test('sends unknown names to no backend that dials whatever it is asked for', t => {
    const keys = makeKeyFolder(t, createTestKey());
    const routes = [PUBLIC, { name: 'any', match: '**.lan.example', backend: '{sni}:443' }];
    assert.match(
      problemsOf({ keys, unknownInner: 'any' }, routes)[0] ?? '',
      /dials whatever name it is asked for/,
    );
  });

  test('asks for names of routes where inner names are not to be told', t => {
    const keys = makeKeyFolder(t, createTestKey());
    const routes = [
      PUBLIC,
      { match: 'a.example', backend: 'b:1' },
      { match: 'b.example', backend: 'b:1', ech: 'off' },
    ];
    const problems = problemsOf({ keys, logInnerName: false }, routes);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /^error routes.1: .*give it a "name"/);
  });

  test('asks for routes in place of suffixes, which can have no name', t => {
    const keys = makeKeyFolder(t, createTestKey());
    const { problems } = inspectConfig({
      listen: 443,
      routes: [PUBLIC],
      suffixes: ['.lan.example:8443'],
      ech: { keys, logInnerName: false },
    });
    assert.deepEqual(
      problems.map(({ path, message }) => [path.join('.'), message]),
      [
        [
          'suffixes.0',
          'its pattern would stand in access lines, which "logInnerName: false" is against: write it as a route, { name: "...", match: "**.lan.example", backend: "{sni}:8443" }',
        ],
      ],
    );
  });

  test('is needed for a route that is reached only through it', () => {
    const routes = [{ ...ROUTE, ech: 'required' }];
    assert.match(problemsOf(undefined, routes)[0] ?? '', /^error routes.0.ech: .*add ech/);
  });

  test('counts paths of a file from its folder, and watches each of them and what is in it', async t => {
    const folder = makeFolder(t, { 'sniway.yaml': '', 'keys/readme': '' });
    const key = writeKey(join(folder, 'keys'), createTestKey());
    const config = join(folder, 'sniway.yaml');
    writeFileSync(
      config,
      'listen: 443\nroutes: [{ match: a.example, backend: "b:1" }]\nech: { keys: keys }\n',
    );
    const { value } = await loadConfigFile(config);
    assert.deepEqual([...echPathsOf(value)], [join(folder, 'keys'), key]);
    assert.notEqual(inspectConfig(value).config, null);
    assert.deepEqual(
      [...echPathsOf({ ech: { keys: [key, join(folder, 'no')] } })],
      [key, key, join(folder, 'no')],
    );
  });
});
