import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import { inspectConfig } from './check-config.ts';
import { parseSource } from './config-source.ts';
import { expandVariables, withoutEchoes } from './expand-variables.ts';
import type { Environment } from './expand-variables.ts';
import { renderProblems } from './render-problems.ts';

function expand(value: unknown, environment: Environment = {}): unknown {
  const expanded = expandVariables(value, { environment });
  assert.deepEqual(expanded.problems, []);
  return expanded.value;
}

function messagesOf(value: unknown, environment: Environment = {}): string[] {
  return expandVariables(value, { environment }).problems.map(({ message }) => message);
}

test('expandVariables() puts variables and defaults in', () => {
  const environment = { HOST: '10.0.0.5', EMPTY: '' };
  const cases: [text: string, expanded: string][] = [
    ['${HOST}:443', '10.0.0.5:443'],
    ['${HOST}:${PORT:-8443}', '10.0.0.5:8443'],
    ['${HOST:-other}', '10.0.0.5'],
    ['${EMPTY}', ''],
    ['${EMPTY:-other}', 'other'],
    ['${MISSING:-}', ''],
    ['${MISSING:-a:-b $HOST}', 'a:-b $HOST'],
    ['$${HOST}', '${HOST}'],
    ['$${HOST} ${HOST}', '${HOST} 10.0.0.5'],
    ['/^a$/', '/^a$/'],
    ['$HOST {sni}:443', '$HOST {sni}:443'],
  ];
  for (const [text, expanded] of cases) assert.equal(expand(text, environment), expanded, text);
});

test('expandVariables() takes a variable that is set to nothing, and none that an object only inherits', () => {
  assert.equal(expand('${toString:-x}'), 'x');
  assert.equal(messagesOf('${constructor}').length, 1);
});

test('expandVariables() looks into lists and objects, not at keys', () => {
  assert.deepEqual(expand({ '${A}': [{ match: '${A}' }, 7, null] }, { A: 'x' }), {
    '${A}': [{ match: 'x' }, 7, null],
  });
});

test('expandVariables() keeps whatever a variable holds one text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const { value } = parseSource('sniway.yaml', 'routes: [{ match: "${A}", backend: "x${A}" }]');
      assert.deepEqual(expand(value, { A: text }), { routes: [{ match: text, backend: `x${text}` }] });
    }),
  );
  assert.equal(expand('${A}', { A: '${B}', B: 'secret' }), '${B}', 'it is not looked at again');
});

test('expandVariables() makes numbers and booleans only where the schema takes them and no text', () => {
  const environment = { N: '4', YES: 'true' };
  const value = {
    listen: '${N}',
    workers: '${N}',
    spin: '${YES}',
    limits: { connections: '${N}', pendingHellos: '1${N}' },
    routes: [
      { name: '${N}', match: '${YES}', retry: '${N}', backends: [{ address: 'a:1', weight: '${N}' }] },
    ],
  };
  assert.deepEqual(expand(value, environment), {
    listen: '4',
    workers: 4,
    spin: true,
    limits: { connections: 4, pendingHellos: '14' },
    routes: [{ name: '4', match: 'true', retry: 4, backends: [{ address: 'a:1', weight: 4 }] }],
  });
  assert.deepEqual(expand({ workers: '${N}' }, { N: 'many' }), { workers: 'many' });
  assert.deepEqual(expand({ workers: '${N}' }, { N: '' }), { workers: '' });
});

test('expandVariables() says what is missing, or what is no reference', () => {
  assert.deepEqual(messagesOf('${HOST}:${PORT} ${HOST}'), [
    'the environment variable HOST is not set: set it, or give a default: ${HOST:-value}',
    'the environment variable PORT is not set: set it, or give a default: ${PORT:-value}',
  ]);
  for (const text of ['${', '${}', '${1A}', '${A-b}', '${A:-${B}}', '${A:-{sni}}', '${ A }']) {
    const [message, ...more] = messagesOf(text, { A: 'a', B: 'b' });
    assert.match(message ?? '', /^"\$\{" begins the name of an environment variable: write/, text);
    assert.deepEqual(more, [], text);
  }
});

test('expandVariables() shows the place of what is missing, and none of its echoes', () => {
  const parsed = parseSource(
    'sniway.yaml',
    'listen: 443\nroutes:\n  - match: a.example\n    backend: ${B}\n',
  );
  const { value, problems } = expandVariables(parsed.value, { environment: {} });
  const others = inspectConfig(value).problems;
  assert.equal(others.length, 1);
  assert.equal(
    renderProblems([...problems, ...withoutEchoes(others, problems)], parsed.source),
    [
      'sniway.yaml:4:14  error  the environment variable B is not set: set it, or give a default: ${B:-value}',
      '    4 |     backend: ${B}',
      '      |              ^',
    ].join('\n'),
  );
});

test('expandVariables() expands a shared value once, a circular one too', () => {
  const { value } = parseSource('a.yaml', 'a: &a [ "${A}", *a ]\nb: *a');
  const { a, b } = expand(value, { A: '${A}' }) as { a: unknown[]; b: unknown[] };
  assert.equal(a, b);
  assert.equal(a[0], '${A}');
});

test('expandVariables() bounds what variables can add', () => {
  const long = 'x'.repeat(CONFIG_BYTES_MAX / 4);
  const messages = messagesOf(
    Array.from({ length: 8 }, () => '${A}'),
    { A: long },
  );
  assert.deepEqual(messages, [
    'environment variables make the configuration too large: use fewer or shorter ones',
  ]);
});
