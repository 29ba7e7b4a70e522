import assert from 'node:assert/strict';
import { availableParallelism, cpus } from 'node:os';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ConfigError } from '../errors.ts';
import { CONFIG_PROBLEMS_MAX } from '../limits.ts';
import type { Backend } from '../backends/backend-address.ts';
import { createSnapshot } from '../snapshot.ts';
import type { RouteAction } from '../snapshot.ts';
import type { CheckedConfig } from './check-config.ts';
import { checkConfig, inspectConfig } from './check-config.ts';
import { poolOfOne } from './read-pool.ts';
import type { SniwayConfig } from './sniway-config.ts';

const SAMPLE: SniwayConfig = {
  listen: ['127.0.0.1:8443', '[::1]:8443'],
  routes: [
    {
      name: 'api',
      match: ['*.example.com', 'api.example.org'],
      alpn: ['acme-tls/1'],
      backend: '10.0.0.5:443',
    },
    { match: 'old.example.com', reject: 'unrecognized_name' },
  ],
  suffixes: ['.internal.example.com', 'lan.example.org:8443'],
  policies: { noSni: 'access_denied', unknownName: 'reset', notTls: 'close' },
  guard: { allowNets: ['127.0.0.0/8'], denyNets: '10.0.0.1' },
  resolver: { servers: ['10.0.0.53', '[fd00::53]:5353'], family: 'ipv4-first', ttlMax: '1m', hosts: 'none' },
  timeouts: { hello: '1.5s', dial: '250ms' },
  tcp: { keepaliveIdle: '90s', keepaliveProbes: 3 },
  workers: 3,
  spin: false,
  fingerprints: true,
  admin: { listen: 9090 },
  engine: 'portable',
};

/** What a route, a listener and the whole proxy say of their clients where nothing is said. */
const ENDLESS = { idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 };
const FREE_ROUTE = {
  ech: 'optional' as const,
  clients: null,
  limits: null,
  spans: ENDLESS,
  onRemove: 'keep',
} as const;
const FREE_LISTENER = { clients: null, limits: null, proxyIn: null };
const PENDING = { all: 8_192, perClient: 512, pace: { graceMs: 4_000, bytesPerSecond: 64 } };

const CHECKED: CheckedConfig = {
  listen: [
    { kind: 'tcp', address: '127.0.0.1', port: 8443 },
    { kind: 'tcp', address: '::1', port: 8443 },
  ],
  slots: { listeners: [-1, -1], routes: [-1, -1, -1, -1] },
  routes: [
    {
      name: 'api',
      patterns: ['*.example.com', 'api.example.org'],
      alpn: ['acme-tls/1'],
      action: relayTo({ kind: 'ip', address: '10.0.0.5', port: 443, family: 4 }),
      ...FREE_ROUTE,
    },
    {
      name: 'old.example.com',
      patterns: ['old.example.com'],
      alpn: [],
      action: { kind: 'reject', answer: { kind: 'alert', description: 112 } },
      ...FREE_ROUTE,
    },
    {
      name: '**.internal.example.com',
      patterns: ['**.internal.example.com'],
      alpn: [],
      action: relayTo({ kind: 'server-name', port: 443 }),
      ...FREE_ROUTE,
    },
    {
      name: '**.lan.example.org',
      patterns: ['**.lan.example.org'],
      alpn: [],
      action: relayTo({ kind: 'server-name', port: 8443 }),
      ...FREE_ROUTE,
    },
  ],
  policies: {
    noSni: { kind: 'alert', description: 49 },
    unknownName: { kind: 'reset' },
    malformed: { kind: 'parser' },
    notTls: { kind: 'close' },
    helloTimeout: { kind: 'close' },
    dialFailed: { kind: 'alert', description: 80 },
    limit: { kind: 'close' },
    denied: { kind: 'close' },
  },
  listeners: [FREE_LISTENER, FREE_LISTENER],
  limits: null,
  pending: PENDING,
  allowNets: ['127.0.0.0/8'],
  denyNets: ['10.0.0.1/32'],
  helloTimeoutMs: 1_500,
  dialTimeoutMs: 250,
  drainTimeoutMs: 25_000,
  resolver: {
    servers: ['10.0.0.53', '[fd00::53]:5353'],
    family: 'ipv4-first',
    timeoutMs: 5_000,
    ttlMinMs: 1_000,
    ttlMaxMs: 60_000,
    negativeTtlMs: 5_000,
    staleMs: 86_400_000,
    hostsFile: null,
  },
  tcp: { keepaliveIdleMs: 90_000, keepaliveIntervalMs: 10_000, keepaliveProbes: 3, userTimeoutMs: 0 },
  workers: 3,
  spin: false,
  functions: { routes: new Map(), hooks: {}, timeoutMs: 2_000 },
  asksHooks: false,
  ech: null,
  echKeys: [],
  fingerprints: true,
  engine: 'portable',
  admin: { kind: 'tcp', address: '127.0.0.1', port: 9090 },
};

/** The action of a route with a single backend. */
function relayTo(backend: Backend): RouteAction {
  return { kind: 'relay', pool: poolOfOne(backend) };
}

const ROUTE = { match: 'a.example.com', backend: '10.0.0.5:443' };

test('checkConfig() gives the exact checked configuration, which can be cloned', () => {
  const config = checkConfig(SAMPLE);
  assert.deepEqual(config, CHECKED);
  assert.deepEqual(structuredClone(config), CHECKED);
  assert.deepEqual(inspectConfig(SAMPLE), { config: CHECKED, problems: [] });
});

test('checkConfig() gives what a snapshot can be made of', () => {
  assert.equal(createSnapshot(checkConfig(SAMPLE)).routes.length, 4);
});

test('checkConfig() fills in every default', () => {
  assert.deepEqual(checkConfig({ listen: 0, routes: [ROUTE], timeouts: {}, guard: {}, policies: {} }), {
    listen: [{ kind: 'tcp', address: '::', port: 0 }],
    routes: [
      {
        name: 'a.example.com',
        patterns: ['a.example.com'],
        alpn: [],
        action: relayTo({ kind: 'ip', address: '10.0.0.5', port: 443, family: 4 }),
        ...FREE_ROUTE,
      },
    ],
    policies: {
      ...CHECKED.policies,
      noSni: { kind: 'alert', description: 112 },
      unknownName: { kind: 'alert', description: 112 },
    },
    listeners: [FREE_LISTENER],
    slots: { listeners: [-1], routes: [-1] },
    limits: null,
    pending: PENDING,
    allowNets: [],
    denyNets: [],
    helloTimeoutMs: 5_000,
    dialTimeoutMs: 5_000,
    drainTimeoutMs: 25_000,
    resolver: {
      servers: 'auto',
      family: 'auto',
      timeoutMs: 5_000,
      ttlMinMs: 1_000,
      ttlMaxMs: 30_000,
      negativeTtlMs: 5_000,
      staleMs: 86_400_000,
      hostsFile: '/etc/hosts',
    },
    tcp: { keepaliveIdleMs: 60_000, keepaliveIntervalMs: 10_000, keepaliveProbes: 6, userTimeoutMs: 0 },
    workers: availableParallelism(),
    spin: cpus().length > 1,
    functions: { routes: new Map(), hooks: {}, timeoutMs: 2_000 },
    asksHooks: false,
    ech: null,
    echKeys: [],
    engine: 'auto',
    fingerprints: false,
    admin: null,
  });
});

test('checkConfig() reads every policy, and no time to drain', () => {
  const reset = { kind: 'reset' };
  const keys = [
    'noSni',
    'unknownName',
    'malformed',
    'notTls',
    'helloTimeout',
    'dialFailed',
    'limit',
    'denied',
  ];
  const policies = Object.fromEntries(keys.map(key => [key, 'reset']));
  const config = checkConfig({ listen: 443, routes: [ROUTE], policies, timeouts: { drain: '0s' } });
  assert.deepEqual(config.policies, Object.fromEntries(keys.map(key => [key, reset])));
  assert.equal(config.drainTimeoutMs, 0);
});

test('checkConfig() reads who may connect, what they may take, and for how long', () => {
  const config = checkConfig({
    listen: [
      '127.0.0.1:1',
      { address: '127.0.0.1:2', clients: { deny: '192.0.2.1' }, limits: { rate: '5/s' } },
    ],
    routes: [
      {
        ...ROUTE,
        clients: { allow: ['10.0.0.0/8', 'fd00::/8'], deny: [] },
        limits: { connections: 10, ratePerClient: '30/m burst 3', bandwidthPerName: '1MB/s' },
        timeouts: { idle: '10m', lifetime: '0s' },
      },
    ],
    timeouts: { idle: '1h', halfClose: '30s', lifetime: '24h' },
    limits: { connectionsPerClient: 7, pendingHellos: 100, pendingHellosPerClient: 5, helloPace: '0B/s' },
    suffixes: '.lan.example.com',
  });
  const nothing = { connections: null, rate: null, bandwidth: null };
  const [plain, guarded] = config.listeners;
  assert.deepEqual(plain, FREE_LISTENER);
  assert.deepEqual(guarded?.clients, { allow: [], deny: ['192.0.2.1/32'] });
  assert.deepEqual(guarded?.limits?.all, { ...nothing, rate: { perSecond: 5, burst: 5 } });
  assert.equal(config.listen.length, 2);
  const [route, suffix] = config.routes;
  assert.deepEqual(route?.clients, { allow: ['10.0.0.0/8', 'fd00::/8'], deny: [] });
  assert.deepEqual(route?.limits, {
    all: { ...nothing, connections: 10 },
    perClient: { ...nothing, rate: { perSecond: 0.5, burst: 3 } },
    perName: { ...nothing, bandwidth: { perSecond: 1e6, burst: 250_000 } },
  });
  assert.deepEqual(route?.spans, { idleMs: 600_000, halfCloseMs: 30_000, lifetimeMs: 0 });
  assert.deepEqual(suffix?.spans, { idleMs: 3_600_000, halfCloseMs: 30_000, lifetimeMs: 86_400_000 });
  assert.deepEqual(config.limits, { all: null, perClient: { ...nothing, connections: 7 }, perName: null });
  assert.deepEqual(config.pending, { all: 100, perClient: 5, pace: null });
});

test('checkConfig() takes one text where a list may stand, and undefined for absent', () => {
  const config = checkConfig({
    listen: 'fd:3',
    routes: undefined,
    suffixes: '.example.com',
    guard: { allowNets: '::1', denyNets: undefined },
  });
  assert.deepEqual(config.listen, [{ kind: 'fd', fd: 3 }]);
  assert.deepEqual(config.allowNets, ['::1/128']);
  assert.equal(config.routes[0]?.name, '**.example.com');
});

test('checkConfig() makes derived names unique, and keeps given ones', () => {
  const alpn = (protocol: string) => ({ ...ROUTE, alpn: protocol });
  const routes = [
    ROUTE,
    alpn('h2'),
    alpn('acme-tls/1'),
    { ...ROUTE, match: 'b.example.com', name: 'a.example.com#2' },
  ];
  const { routes: named } = checkConfig({ listen: 443, routes });
  assert.deepEqual(
    named.map(({ name }) => name),
    ['a.example.com', 'a.example.com#3', 'a.example.com#4', 'a.example.com#2'],
  );
});

test('checkConfig() throws one ConfigError with all errors, bounded', () => {
  const routes = Array.from({ length: CONFIG_PROBLEMS_MAX + 7 }, (_, index) => ({
    match: `h${index}.example`,
    backend: 'x',
  }));
  assert.throws(
    () => checkConfig({ listen: 443, routes }),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.code, 'ERR_CONFIG');
      assert.equal(error.problems.length, CONFIG_PROBLEMS_MAX + 1);
      assert.equal(error.problems.at(-1)?.message, 'and 7 more problems');
      assert.match(error.message, /^routes\[0\]\.backend: 'x' has no port/);
      return true;
    },
  );
  assert.throws(
    () => checkConfig({ listen: 'x', routes: [{ ...ROUTE, alpn: 5 }, 3], engine: 'x', foo: 1 }),
    (error: unknown) => error instanceof ConfigError && error.problems.length === 5,
  );
});

test('checkConfig() throws nothing but ConfigError, whatever JSON it is given', () => {
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
    fc.constantFrom(
      'a.example',
      '*.example',
      '/x/',
      '{sni}:443',
      'close',
      '443',
      '5s',
      '10.0.0.0/8',
      '.b.example',
      'h2',
    ),
  );
  const object = (...keys: string[]) =>
    fc.record(Object.fromEntries([...keys, '__proto__x'].map(key => [key, fc.oneof(leaf, fc.array(leaf))])), {
      requiredKeys: [],
    });
  const input = fc.oneof(
    leaf,
    fc.record(
      {
        listen: fc.oneof(leaf, fc.array(leaf)),
        routes: fc.oneof(leaf, fc.array(object('name', 'match', 'alpn', 'backend', 'reject'))),
        suffixes: fc.oneof(leaf, fc.array(leaf)),
        policies: object('noSni', 'unknownName', 'malformed', 'notTls', 'helloTimeout', 'dialFailed'),
        guard: object('allowNets', 'denyNets'),
        timeouts: object('hello', 'dial', 'drain'),
        engine: leaf,
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(input, value => {
      const { config, problems } = inspectConfig(value);
      assert.equal(
        config === null,
        problems.some(({ severity }) => severity === 'error'),
      );
      if (config === null) assert.throws(() => checkConfig(value), ConfigError);
      else assert.deepEqual(structuredClone(checkConfig(value)), config);
    }),
    { numRuns: 500 },
  );
});
