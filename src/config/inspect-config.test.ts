/** What an operator is told: every problem, its place, its text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LISTENERS_MAX } from '../limits.ts';
import { parsePattern } from '../routing/pattern.ts';
import { inspectConfig } from './check-config.ts';
import { describePath } from './describe-path.ts';
import type { ProblemPath } from './findings.ts';

const ROUTE = { match: 'a.example.com', backend: '10.0.0.5:443' };

/** Every problem as `severity place: text`. */
function problemsOf(input: unknown): string[] {
  return inspectConfig(input).problems.map(
    ({ path, message, severity }) => `${severity} ${describePath(path)}: ${message}`,
  );
}

/** The problems of a configuration that is right but for these keys. */
function problemsWith(changes: object): string[] {
  return problemsOf({ listen: 443, routes: [ROUTE], ...changes });
}

/** The places of the problems of a configuration that has a listener and this. */
function placesOf(changes: object): ProblemPath[] {
  return inspectConfig({ listen: 443, ...changes }).problems.map(({ path }) => path);
}

test('inspectConfig() refuses to be an open proxy, and shows three examples', () => {
  for (const input of [{ listen: 443 }, { listen: 443, routes: [], suffixes: [] }]) {
    const [problem, ...more] = problemsOf(input);
    assert.deepEqual(more, []);
    assert.match(problem ?? '', /^error : neither routes nor suffixes/);
    const examples = (problem ?? '').split('\n').slice(1);
    assert.equal(examples.length, 3);
    assert.ok(examples.every(line => /^ {2}(routes|suffixes): \[.+\]$/.test(line)));
  }
});

test('inspectConfig() asks for a listener', () => {
  const message =
    'error : no listener: say where to accept connections, such as listen: [443] or listen: ["127.0.0.1:8443"]';
  assert.deepEqual(problemsOf({ routes: [ROUTE] }), [message]);
  assert.deepEqual(problemsOf({ listen: [], routes: [ROUTE] }), [message]);
});

test('inspectConfig() tells each wrong value at its place', () => {
  const backend = (text: string) => ({ routes: [{ ...ROUTE, backend: text }] });
  const cases: [changes: object, ...problems: string[]][] = [
    [
      { listen: null },
      'error listen: expected text, a number, an object or a list, found nothing: give it a value, or remove it',
    ],
    [
      { listen: ['x.y:443'] },
      'error listen[0]: "x.y:443" does not begin with an IP address; write 443, 127.0.0.1:8443, [::1]:8443, *:443, unix:/path or fd:3',
    ],
    [
      { listen: [{ address: 'x' }] },
      'error listen[0].address: "x" has no port; write 443, 127.0.0.1:8443, [::1]:8443, *:443, unix:/path or fd:3',
    ],
    [{ listen: [443, { address: 443 }] }, 'error listen[1].address: "[::]:443" is listed twice'],
    [{ listen: { clients: {} } }, 'error listen: "address" is missing'],
    [
      { listen: { address: 443, limits: { rates: '1/s' } } },
      'error listen.limits.rates: unknown key "rates" (did you mean "rate"?)',
    ],
    [
      { routes: [{ ...ROUTE, limits: { rate: 100 }, clients: { allow: 'x' } }] },
      'error routes[0].clients.allow: "x" is not a network: write 10.0.0.0/8 or fd00::/8',
      'error routes[0].limits.rate: expected text, found the number 100: put it in quotes, "100"',
    ],
    [
      { limits: { connections: 0, bandwidth: '5M' } },
      'error limits.connections: expected a whole number from 1 to 10000000',
      'error limits.bandwidth: "5M" is not a bandwidth: write "10MB/s", "512KiB/s" or "10MB/s burst 20MB"',
    ],
    [{ listen: [443, 443] }, 'error listen[1]: "[::]:443" is listed twice'],
    [
      { listen: Array.from({ length: LISTENERS_MAX + 1 }, (_, index) => index + 1) },
      `error listen: ${LISTENERS_MAX + 1} listeners are too many: at most ${LISTENERS_MAX}`,
    ],
    [{ routes: {}, suffixes: '.a.example' }, 'error routes: expected a list, found an object'],
    [{ routes: ['a'] }, 'error routes[0]: expected an object, found the text "a"'],
    [
      { routes: [{ ...ROUTE, match: [] }] },
      'error routes[0].match: the list is empty: give at least one entry, or remove the key',
    ],
    [
      { routes: [{ ...ROUTE, match: 7 }] },
      'error routes[0].match: expected text or a list, found the number 7: put it in quotes, "7"',
    ],
    [
      { routes: [{ ...ROUTE, match: ['a.example', true] }] },
      'error routes[0].match[1]: expected text, found the boolean true: put it in quotes, "true"',
    ],
    [{ routes: [{ backend: '10.0.0.5:443' }] }, 'error routes[0]: "match" is missing'],
    [
      { routes: [{ match: 'a.example' }] },
      'error routes[0]: a route needs "backend" (10.0.0.5:443) or "reject" (unrecognized_name)',
    ],
    [
      { routes: [{ ...ROUTE, reject: 'close' }] },
      'error routes[0].reject: a route has a backend or rejects, not both: remove one',
    ],
    [
      { routes: [{ ...ROUTE, name: '' }] },
      'error routes[0].name: a name needs at least one visible character',
    ],
    [
      { routes: [{ ...ROUTE, name: 'x'.repeat(256) }] },
      'error routes[0].name: a name has at most 255 characters',
    ],
    [
      { routes: [{ ...ROUTE, name: 'a\nb' }] },
      'error routes[0].name: "a\\x0ab" holds characters that cannot be shown',
    ],
    [
      { routes: [{ ...ROUTE, alpn: '' }] },
      'error routes[0].alpn: a protocol name is not empty: write h2, http/1.1 or acme-tls/1',
    ],
    [
      { routes: [{ ...ROUTE, alpn: ['h 2'] }] },
      'error routes[0].alpn[0]: "h 2" is not a protocol name: write h2, http/1.1 or acme-tls/1',
    ],
    [
      { routes: [{ ...ROUTE, alpn: 'x'.repeat(256) }] },
      'error routes[0].alpn: a protocol name has at most 255 bytes',
    ],
    [
      { routes: [{ match: 'a.example', backends: [] }] },
      'error routes[0].backends: the list is empty: give at least one backend',
    ],
    [
      { routes: [{ match: 'a.example', backends: '10.0.0.5:443' }] },
      'error routes[0].backends: one address alone is written as "backend"; "backends" takes a list of them',
    ],
    [
      { routes: [{ ...ROUTE, backends: ['10.0.0.6:443'] }] },
      'error routes[0].backends: a route has "backend" or "backends", not both: put all of them into "backends"',
    ],
    [
      {
        routes: [{ match: 'a.example', backends: ['10.0.0.5:443', { address: '10.0.0.5:443', weight: 2 }] }],
      },
      'error routes[0].backends[1]: "10.0.0.5:443" is listed twice: give one entry a greater weight instead',
    ],
    [
      {
        routes: [{ match: 'a.example', backends: ['10.0.0.5:443', { address: '10.0.0.6:443', wieght: 2 }] }],
      },
      'error routes[0].backends[1].wieght: unknown key "wieght" (did you mean "weight"?)',
    ],
    [
      { routes: [{ match: 'a.example', backends: [{ address: '10.0.0.6:443', weight: 0 }] }] },
      'error routes[0].backends[0].weight: expected a whole number from 1 to 1000',
    ],
    [
      { routes: [{ match: 'a.example', backends: [{ address: '10.0.0.6:443', backup: true }] }] },
      'error routes[0].backends: all backends are backups: at least one must not be',
    ],
    [
      { routes: [{ match: 'a.example', backends: ['10.0.0.6:443', '127.0.0.1:443'] }] },
      "error routes[0].backends[1]: this is Sniway's own listener [::]:443: connections would go in circles",
    ],
    [
      { routes: [{ ...ROUTE, balance: 'roundrobin' }] },
      'error routes[0].balance: "roundrobin" is not known here (did you mean "round-robin"?); write round-robin, least-connections, random-of-two, hash-client or hash-name',
    ],
    [
      { routes: [{ ...ROUTE, health: { check: 'http' } }] },
      'error routes[0].health.check: "http" is not known here; write tcp or tls',
    ],
    [
      { routes: [{ match: '*.example', backend: '10.0.0.5:443', health: 'tls' }] },
      'error routes[0].health: a TLS check needs a name to ask for: health: { check: tls, name: www.example.com }',
    ],
    [
      { routes: [{ ...ROUTE, health: { check: 'tcp', ech: true } }] },
      'error routes[0].health.ech: only a TLS check can find that out: write check: tls',
    ],
    [
      { routes: [{ match: '**.a.example', backend: '{sni}:443', health: 'tcp' }] },
      'error routes[0].health: {sni} leads to a backend for each name, which cannot be checked: remove "health"',
    ],
    [
      { routes: [{ match: 'a.example', reject: 'close', onDown: 'close' }] },
      'error routes[0].onDown: "onDown" is about backends, and this route has none: remove it',
    ],
    [
      backend('10.0.0.5'),
      "error routes[0].backend: '10.0.0.5' has no port; write host:port, [v6]:port, unix:/path, {sni}:port or srv:_service._proto.name",
    ],
    [
      backend('127.0.0.1:443'),
      "error routes[0].backend: this is Sniway's own listener [::]:443: connections would go in circles",
    ],
    [
      { routes: [{ match: 'a.example', reject: 'unrecognised_name' }] },
      'error routes[0].reject: "unrecognised_name" is not known here (did you mean "unrecognized_name"?); write close, reset or the name of a TLS alert',
    ],
    [
      { routes: [{ match: 'a.example', reject: 112 }] },
      'error routes[0].reject: expected close, reset or the name of a TLS alert, found the number 112',
    ],
    [
      { suffixes: '*.example.com' },
      'error suffixes: "*.example.com" is not a suffix: write .example.com or .example.com:8443',
    ],
    [
      { suffixes: ['.example.com:0'] },
      'error suffixes[0]: ".example.com:0" needs a port from 1 to 65535 behind its colon, or none',
    ],
    [{ suffixes: ['.'] }, 'error suffixes[0]: "." is not a suffix: write .example.com or .example.com:8443'],
    [
      { policies: { noSni: 'parser' } },
      'error policies.noSni: "parser" is not known here; write close, reset or the name of a TLS alert',
    ],
    [
      { policies: { malformed: 'parse' } },
      'error policies.malformed: "parse" is not known here (did you mean "parser"?); write parser, close, reset or the name of a TLS alert',
    ],
    [
      { policies: { dialFailed: null } },
      'error policies.dialFailed: expected close, reset or the name of a TLS alert, found nothing',
    ],
    [
      { guard: { allowNets: ['10.0.0.0/33'] } },
      'error guard.allowNets[0]: "10.0.0.0/33" needs a prefix length from 0 to 32 behind its slash',
    ],
    [
      { guard: { denyNets: 'ten' } },
      'error guard.denyNets: "ten" is not a network: write 10.0.0.0/8 or fd00::/8',
    ],
    [{ guard: [] }, 'error guard: expected an object, found a list'],
    [{ timeouts: { hello: 5 } }, 'error timeouts.hello: the number 5 needs a unit: write 5s or 5ms'],
    [{ timeouts: { hello: '0s' } }, 'error timeouts.hello: "0s" is too short: give at least 1ms'],
    [{ timeouts: { dial: '0.1ms' } }, 'error timeouts.dial: "0.1ms" is too short: give at least 1ms'],
    [
      { timeouts: { drain: '5' } },
      'error timeouts.drain: "5" is not a duration: write a number and its unit, such as "5s"',
    ],
    [
      { timeouts: { drain: true } },
      'error timeouts.drain: expected text, found the boolean true: put it in quotes, "true"',
    ],
    [
      { engine: 'Linux' },
      'error engine: "Linux" is not known here (did you mean "linux"?); write auto, portable or linux',
    ],
    [{ engine: 'turbo' }, 'error engine: "turbo" is not known here; write auto, portable or linux'],
    [{ engine: null }, 'error engine: expected auto, portable or linux, found nothing'],
  ];
  for (const [changes, ...problems] of cases)
    assert.deepEqual(problemsWith(changes), problems, JSON.stringify(changes));
});

test('inspectConfig() tells what parsePattern() says about a pattern', () => {
  const parsed = parsePattern('a b');
  assert.ok(!parsed.ok);
  assert.deepEqual(problemsWith({ routes: [{ ...ROUTE, match: ['b.example', 'a b'] }] }), [
    `error routes[0].match[1]: ${parsed.message}`,
  ]);
  assert.match(problemsWith({ suffixes: '.a b' })[0] ?? '', /^error suffixes: /);
});

test('inspectConfig() suggests the known key, and does not tell it as missing too', () => {
  const cases: [input: object, problem: string][] = [
    [{ lissten: 443, routes: [ROUTE] }, 'error lissten: unknown key "lissten" (did you mean "listen"?)'],
    [{ listen: 443, route: [ROUTE] }, 'error route: unknown key "route" (did you mean "routes"?)'],
    [{ listen: 443, suffix: '.a.example' }, 'error suffix: unknown key "suffix" (did you mean "suffixes"?)'],
    [
      { listen: 443, routes: [{ match: 'a.example', backendd: '10.0.0.5:443' }] },
      'error routes[0].backendd: unknown key "backendd" (did you mean "backend"?)',
    ],
    [
      { listen: 443, routes: [{ mach: 'a.example', reject: 'close' }] },
      'error routes[0].mach: unknown key "mach" (did you mean "match"?)',
    ],
    [
      { listen: 443, routes: [ROUTE], policies: { no_sni: 'close' } },
      'error policies.no_sni: unknown key "no_sni" (did you mean "noSni"?)',
    ],
    [
      { listen: 443, routes: [ROUTE], guard: { zzz: 1 } },
      'error guard.zzz: unknown key "zzz"; known here: allowNets, denyNets',
    ],
    [
      { listen: 443, routes: [ROUTE], timeouts: { 'a\u001b': 1 } },
      'error timeouts.a\u001b: unknown key "a\\x1b"; known here: hello, dial, decide, drain, idle, halfClose, lifetime',
    ],
  ];
  for (const [input, problem] of cases) assert.deepEqual(problemsOf(input), [problem]);
});

test('inspectConfig() allows {sni} only where the pattern bounds the name', () => {
  const routes = [{ match: ['**.example.com', '/.*/'], backend: '{sni}:443' }];
  assert.deepEqual(problemsWith({ routes }), [
    'error routes[0].match[1]: {sni} under "/.*/" would dial whatever name a client asks for: name a domain, as in "**.example.com"',
  ]);
  assert.deepEqual(problemsWith({ routes: [{ match: '/.*/', backend: '10.0.0.5:443' }] }), []);
});

test('inspectConfig() refuses a route name given twice', () => {
  const routes = [
    { ...ROUTE, name: 'api' },
    { match: 'b.example.com', name: 'api', reject: 'close' },
  ];
  assert.deepEqual(problemsWith({ routes }), [
    'error routes[1].name: "api" is the name of routes[0] already',
  ]);
});

test('inspectConfig() places conflicts of the route table at the pattern or suffix', () => {
  assert.deepEqual(
    placesOf({ routes: [ROUTE, { match: ['b.example.com', 'A.example.com'], reject: 'close' }] }),
    [['routes', 1, 'match', 1]],
  );
  assert.deepEqual(placesOf({ routes: [ROUTE, ROUTE] }), [['routes', 1, 'match']]);
  assert.deepEqual(placesOf({ suffixes: ['.a.example.com', 'a.example.com:8443'] }), [['suffixes', 1]]);
  // A wrong pattern before it does not shift the place.
  const routes = [ROUTE, { match: ['a b', 'a.example.com'], reject: 'close' }];
  assert.deepEqual(placesOf({ routes }), [
    ['routes', 1, 'match', 0],
    ['routes', 1, 'match', 1],
  ]);
});

test('inspectConfig() says only that a configuration is an object', () => {
  for (const [input, found] of [
    [undefined, 'nothing'],
    [null, 'nothing'],
    ['x', 'the text "x"'],
    [[], 'a list'],
    [5, 'the number 5'],
    [() => 1, 'a function'],
  ]) {
    const [problem, ...more] = problemsOf(input);
    assert.ok(problem?.startsWith(`error : expected an object, found ${String(found)}`), problem);
    assert.deepEqual(more, []);
  }
});
