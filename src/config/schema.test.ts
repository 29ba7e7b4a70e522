import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALERTS } from '../wire/tls-alert.ts';
import { configJsonSchema, findSchemaProblems } from './schema.ts';

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly description?: string;
  readonly additionalProperties?: boolean;
  readonly examples?: readonly string[];
  readonly default?: unknown;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly pattern?: string;
}

type Root = Node & {
  readonly $schema: string;
  readonly title: string;
  readonly $defs: Readonly<Record<string, Node>>;
};

const ROOT = configJsonSchema() as unknown as Root;

const LIMITS = ['connections', 'rate', 'bandwidth'].flatMap(what => [
  what,
  `${what}PerClient`,
  `${what}PerName`,
]);

const OBJECTS: [name: string, node: Node | undefined, keys: string[]][] = [
  [
    '',
    ROOT,
    [
      'listen',
      'routes',
      'suffixes',
      'include',
      'policies',
      'guard',
      'resolver',
      'ech',
      'timeouts',
      'limits',
      'tcp',
      'fingerprints',
      'admin',
      'workers',
      'spin',
      'engine',
    ],
  ],
  [
    'routes',
    ROOT.properties?.routes?.items,
    [
      'name',
      'match',
      'alpn',
      'ech',
      'backend',
      'backends',
      'balance',
      'retry',
      'eject',
      'health',
      'onDown',
      'onRemove',
      'reject',
      'clients',
      'limits',
      'timeouts',
      'proxyProtocol',
      'tlvs',
    ],
  ],
  ['eject', ROOT.properties?.routes?.items?.properties?.eject, ['failures', 'base', 'max']],
  ['routes.clients', ROOT.properties?.routes?.items?.properties?.clients, ['allow', 'deny']],
  ['routes.limits', ROOT.properties?.routes?.items?.properties?.limits, LIMITS],
  [
    'routes.timeouts',
    ROOT.properties?.routes?.items?.properties?.timeouts,
    ['idle', 'halfClose', 'lifetime'],
  ],
  ['limits', ROOT.properties?.limits, [...LIMITS, 'pendingHellos', 'pendingHellosPerClient', 'helloPace']],
  [
    'policies',
    ROOT.properties?.policies,
    ['noSni', 'unknownName', 'malformed', 'notTls', 'helloTimeout', 'dialFailed', 'limit', 'denied'],
  ],
  ['guard', ROOT.properties?.guard, ['allowNets', 'denyNets']],
  [
    'ech',
    ROOT.properties?.ech,
    [
      'keys',
      'fallback',
      'retry',
      'unknownInner',
      'requirePublicName',
      'trialDecryption',
      'verifyBackend',
      'logInnerName',
    ],
  ],
  [
    'resolver',
    ROOT.properties?.resolver?.anyOf?.at(-1),
    ['servers', 'family', 'timeout', 'ttlMin', 'ttlMax', 'negativeTtl', 'stale', 'hosts'],
  ],
  [
    'timeouts',
    ROOT.properties?.timeouts,
    ['hello', 'dial', 'decide', 'drain', 'idle', 'halfClose', 'lifetime'],
  ],
];

test('configJsonSchema() has every key, each with a description, and no others', () => {
  assert.equal(ROOT.$schema, 'https://json-schema.org/draft/2020-12/schema');
  assert.equal(ROOT.title, 'Sniway configuration');
  for (const [name, node, keys] of OBJECTS) {
    assert.deepEqual(Object.keys(node?.properties ?? {}), keys, name);
    assert.equal(node?.additionalProperties, false, name);
    for (const key of keys) assert.ok(node?.properties?.[key]?.description, `${name}.${key}`);
  }
  assert.deepEqual(ROOT.properties?.routes?.items?.required, ['match']);
  assert.equal(ROOT.required, undefined);
});

test('configJsonSchema() names every answer', () => {
  assert.deepEqual(ROOT.$defs.answer?.enum, ['close', 'reset', ...Object.keys(ALERTS)]);
  assert.deepEqual(ROOT.properties?.policies?.properties?.malformed?.enum?.at(-1), 'parser');
});

test('configJsonSchema() gives only examples and defaults that the schema itself takes', () => {
  const wrap: Record<string, (key: string, value: unknown) => unknown> = {
    '': (key, value) => ({ [key]: value }),
    routes: (key, value) => ({
      routes: [{ match: 'a.example', [key]: key === 'backends' ? [value] : value }],
    }),
    ech: (key, value) => ({ ech: { keys: 'a.ech', [key]: value } }),
    eject: (key, value) => ({ routes: [{ match: 'a.example', backends: ['a:1'], eject: { [key]: value } }] }),
    'routes.clients': (key, value) => ({ routes: [{ match: 'a.example', clients: { [key]: value } }] }),
    'routes.limits': (key, value) => ({ routes: [{ match: 'a.example', limits: { [key]: value } }] }),
    'routes.timeouts': (key, value) => ({ routes: [{ match: 'a.example', timeouts: { [key]: value } }] }),
    limits: (key, value) => ({ limits: { [key]: value } }),
    policies: (key, value) => ({ policies: { [key]: value } }),
    guard: (key, value) => ({ guard: { [key]: value } }),
    resolver: (key, value) => ({ resolver: { [key]: value } }),
    timeouts: (key, value) => ({ timeouts: { [key]: value } }),
  };
  let checked = 0;
  for (const [name, node] of OBJECTS) {
    for (const [key, property] of Object.entries(node?.properties ?? {})) {
      for (const value of samplesOf(property)) {
        assert.deepEqual(
          findSchemaProblems(wrap[name]?.(key, value)),
          [],
          `${name}.${key}: ${String(value)}`,
        );
        checked++;
      }
    }
  }
  assert.ok(checked > 20, `${checked} samples`);
});

test('the pattern of durations takes what parseDuration() takes', () => {
  const pattern = new RegExp(ROOT.properties?.timeouts?.properties?.hello?.pattern ?? '$^');
  for (const text of ['5s', '1.5h', '250ms', '2m']) {
    assert.ok(pattern.test(text));
    assert.deepEqual(findSchemaProblems({ timeouts: { hello: text } }), []);
  }
  for (const text of ['5', '-5s', '5 s', 's', '5.s']) {
    assert.ok(!pattern.test(text));
    assert.equal(findSchemaProblems({ timeouts: { hello: text } }).length, 1);
  }
});

function samplesOf(node: Node): unknown[] {
  const inner = [...(node.anyOf ?? []), ...(node.items === undefined ? [] : [node.items])];
  return [
    ...(node.examples ?? []),
    ...(node.default === undefined ? [] : [node.default]),
    ...inner.flatMap(samplesOf),
  ];
}
