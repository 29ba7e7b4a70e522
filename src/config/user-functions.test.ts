/** Functions in a configuration: what is taken, what operators are told, and what of it never reaches a worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, inspectConfig } from './check-config.ts';
import { parseSource } from './config-source.ts';
import { describePath } from './describe-path.ts';
import { configJsonSchema } from './schema.ts';
import { withoutFunctions } from './user-functions.ts';

const decide = (): string => 'a:1';

function problemsOf(input: unknown): string[] {
  return inspectConfig(input).problems.map(
    ({ path, message, severity }) => `${severity} ${describePath(path)}: ${message}`,
  );
}

test('checkConfig() keeps functions by the names of their routes', () => {
  const onHello = (): undefined => undefined;
  const config = checkConfig({
    listen: 443,
    timeouts: { decide: '500ms' },
    routes: [
      { match: 'a.example.com', decide },
      { match: 'b.example.com', backend: 'b:1' },
      { name: 'named', match: 'c.example.com', decide, proxyProtocol: 'v2' },
    ],
    hooks: { onHello },
  });
  const { routes, hooks, timeoutMs } = config.functions;
  assert.deepEqual([...routes.keys()], ['a.example.com', 'named']);
  assert.deepEqual([Object.keys(hooks), timeoutMs], [['onHello'], 500]);
  assert.equal(config.asksHooks, true);
  const plain = withoutFunctions(config);
  assert.deepEqual(structuredClone(plain), plain, 'it can be sent to a worker');
});

class Rules {
  readonly #refused = new Set(['x']);
  onHello(): { reject: 'close' } | undefined {
    return this.#refused.has('y') ? { reject: 'close' } : undefined;
  }
}

test('checkConfig() takes hooks and functions that are methods, inherited ones included', async () => {
  const route = {
    match: 'a.example.com',
    decide(): string {
      return `${this.match}:1`;
    },
  };
  const { functions, asksHooks } = checkConfig({
    listen: 443,
    routes: [route],
    hooks: new Rules(),
  });
  assert.equal(asksHooks, true);
  const nothing = undefined as never;
  assert.equal(await functions.hooks.onHello?.(nothing, nothing, nothing), undefined);
  assert.equal(await functions.routes.get('a.example.com')?.(nothing, nothing, nothing), 'a.example.com:1');
});

test('checkConfig() asks no hooks for records alone', () => {
  const hooks = { onEnd: () => undefined };
  assert.equal(checkConfig({ listen: 443, suffixes: 'example.com', hooks }).asksHooks, false);
});

test('inspectConfig() says in a file that only programs hold functions', () => {
  const { value } = parseSource(
    'sniway.yaml',
    'listen: 443\nroutes: [{ match: a.example, decide: backend.js }]\nhooks: { onHello: hello.js }',
  );
  const remedy = 'write the configuration as sniway.config.mts or .mjs';
  assert.deepEqual(problemsOf(value), [
    `error routes[0].decide: "decide" is a function, and only a program can hold one: ${remedy}`,
    `error hooks.onHello: "onHello" is a function, and only a program can hold one: ${remedy}`,
  ]);
});

test('inspectConfig() finds what stands beside a function without meaning', () => {
  const route = { match: 'a.example.com', decide };
  assert.deepEqual(problemsOf({ listen: 443, routes: [{ ...route, backend: 'a:1' }] }), [
    'error routes[0].decide: where "decide" says what becomes of a connection, nothing else does: remove one',
  ]);
  assert.deepEqual(problemsOf({ listen: 443, routes: [{ ...route, balance: 'hash-name', tlvs: true }] }), [
    'error routes[0].balance: "balance" is about backends, and this route has none: remove it',
    'error routes[0].tlvs: only PROXY headers of version 2 have TLVs: add proxyProtocol: v2',
  ]);
  assert.deepEqual(problemsOf({ listen: 443, routes: [route], hooks: { onhello: decide } }), [
    'error hooks.onhello: unknown key "onhello" (did you mean "onHello"?)',
  ]);
});

test('configJsonSchema() knows no functions: editors must not offer them in files', () => {
  const text = JSON.stringify(configJsonSchema());
  for (const key of ['"hooks"', '"onHello"', 'inPrograms']) assert.ok(!text.includes(key), key);
  const { routes } = configJsonSchema()['properties'] as { routes: { items: { properties: object } } };
  assert.ok(!('decide' in routes.items.properties) && 'reject' in routes.items.properties);
});
