import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseServerName } from '../wire/host-name.ts';
import { createRouteTable } from './route-table.ts';
import type { RoutePatterns, RouteTable } from './route-table.ts';

type RouteText = string | readonly [patterns: string, ...alpn: string[]];

/** Routes from texts: patterns separated by spaces. */
function routesOf(texts: readonly RouteText[]): RoutePatterns[] {
  return texts.map(text => {
    const [patterns, ...alpn] = typeof text === 'string' ? ([text] as const) : text;
    return { patterns: patterns.split(' '), alpn };
  });
}

function tableOf(...texts: RouteText[]): RouteTable {
  const { table, problems } = createRouteTable(routesOf(texts));
  assert.deepEqual(problems, []);
  return table;
}

/** Every problem as `severity route.pattern: message`. */
function problemsOf(...texts: RouteText[]): string[] {
  return createRouteTable(routesOf(texts)).problems.map(
    ({ severity, route, pattern, message }) => `${severity} ${route}.${pattern}: ${message}`,
  );
}

function matchAll(
  table: RouteTable,
  expected: Readonly<Record<string, number>>,
  alpnProtocols: string[] = [],
): void {
  for (const [name, route] of Object.entries(expected))
    assert.equal(table.match(name, { alpnProtocols }), route, name);
}

const NO_ALPN = { alpnProtocols: [] };

describe('match()', () => {
  test('takes exact names, one label for *., one or more for **.', () => {
    matchAll(tableOf('api.example.com', '*.example.org', '**.example.net'), {
      'api.example.com': 0,
      'www.api.example.com': -1,
      'example.com': -1,
      'a.example.org': 1,
      'a.b.example.org': -1,
      'example.org': -1,
      'a.example.net': 2,
      'a.b.c.example.net': 2,
      'example.net': -1,
      'notexample.net': -1,
      'example.net.evil.example': -1,
    });
  });

  test('prefers the exact name, then the longest wildcard, then expressions in their order', () => {
    const routes = [
      '/.*c.*/',
      '/.*/',
      '**.com',
      '*.example.com',
      '**.example.com',
      '**.b.example.com',
      'a.example.com',
    ];
    const expected = {
      'a.example.com': 6,
      'b.example.com': 3,
      'c.b.example.com': 5,
      'd.c.example.com': 4,
      'example.com': 2,
      'c.example': 0,
      'd.example': 1,
      com: 0,
    };
    matchAll(tableOf(...routes), expected);
    const [first, second, ...rest] = routes;
    const turned = tableOf(first!, second!, ...rest.toReversed());
    for (const [name, route] of Object.entries(expected)) {
      assert.equal(turned.match(name, NO_ALPN), route < 2 ? route : 8 - route, name);
    }
  });

  test('gives several patterns of a route the same answer', () => {
    matchAll(tableOf('x.example', 'a.example *.b.example /c+/'), {
      'a.example': 1,
      'a.b.example': 1,
      ccc: 1,
    });
  });

  test('tries routes with an ALPN condition before the one without, in any order', () => {
    for (const table of [
      tableOf(['a.example', 'h2'], 'a.example'),
      tableOf('a.example', ['a.example', 'h2']),
    ]) {
      const [h2, other] = [
        table.match('a.example', { alpnProtocols: ['x', 'h2'] }),
        table.match('a.example', NO_ALPN),
      ];
      assert.deepEqual(new Set([h2, other]), new Set([0, 1]));
      assert.equal(table.explain('a.example', NO_ALPN)[0]?.route, h2);
    }
  });

  test('follows the client where it offers protocols of two routes', () => {
    const table = tableOf(['a.example', 'h2'], ['a.example', 'http/1.1', 'acme-tls/1']);
    assert.equal(table.match('a.example', { alpnProtocols: ['h2', 'http/1.1'] }), 0);
    assert.equal(table.match('a.example', { alpnProtocols: ['http/1.1', 'h2'] }), 1);
    assert.equal(table.match('a.example', { alpnProtocols: ['acme-tls/1'] }), 1);
  });

  test('goes on to the next less specific pattern where no protocol fits', () => {
    const table = tableOf(
      ['a.b.example', 'h2'],
      ['*.b.example', 'h3'],
      ['**.b.example', 'h4'],
      '**.example',
      ['/.*/', 'x'],
    );
    for (const [protocol, route] of [
      ['h2', 0],
      ['h3', 1],
      ['h4', 2],
      ['x', 3],
    ] as const) {
      assert.equal(table.match('a.b.example', { alpnProtocols: [protocol] }), route, protocol);
    }
    assert.equal(table.match('example', { alpnProtocols: ['x'] }), 4);
    assert.equal(table.match('example', NO_ALPN), -1);
  });

  test('reads the protocols of a client only where a route asks for one, and once', () => {
    let reads = 0;
    const hello = {
      get alpnProtocols(): string[] {
        reads++;
        return ['nothing'];
      },
    };
    const table = tableOf(
      'a.example',
      '**.free.example',
      ['*.x.example', 'h2'],
      ['**.x.example', 'h2'],
      ['b.x.example', 'h2'],
    );
    for (const name of ['a.example', 'b.free.example', 'c.example']) table.match(name, hello);
    assert.equal(reads, 0);
    assert.equal(table.match('b.x.example', hello), -1);
    assert.equal(reads, 1);
  });

  test('compares protocols as they are, names of object members too', () => {
    const table = tableOf(['a.example', 'h2'], ['b.example', '__proto__']);
    for (const alpnProtocols of [['H2'], ['h2 '], ['__proto__'], ['constructor']]) {
      assert.equal(table.match('a.example', { alpnProtocols }), -1);
    }
    assert.equal(table.match('b.example', { alpnProtocols: ['__proto__'] }), 1);
  });

  test('takes the members of an object for names like any other', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map(name => name.toLowerCase());
    const empty = tableOf('a.example', '*.b.example');
    for (const name of names) {
      assert.equal(empty.match(name, NO_ALPN), -1, name);
      assert.equal(empty.match(`a.${name}`, NO_ALPN), -1, name);
    }
    const full = tableOf(...names, '*.__proto__', '**.constructor');
    names.forEach((name, index) => assert.equal(full.match(name, NO_ALPN), index));
    matchAll(full, { 'a.__proto__': 4, 'a.b.constructor': 5, '__proto__.constructor': 5 });
  });

  test('never takes a star for a star in a name, nor an empty label for a label', () => {
    const table = tableOf('*.example.com', '**.example.net');
    for (const name of ['*.example.com', '**.example.net', '*']) {
      assert.equal(parseServerName(Buffer.from(name)).kind, 'invalid');
    }
    for (const name of [
      '',
      '.',
      '..',
      '*',
      '**',
      '.example.com',
      '.example.net',
      'a.example.com.',
      '*.example.com.',
    ]) {
      assert.equal(table.match(name, NO_ALPN), -1, name);
    }
  });

  test('takes names of every legal length', () => {
    const labels = `${'a.'.repeat(126)}a`;
    assert.equal(labels.length, 253);
    matchAll(tableOf('**.a', '*.b.example'), { [labels]: 0 });
    matchAll(tableOf(`*.${labels.slice(2)}`), { [labels]: 0 });
    matchAll(tableOf(labels), { [labels]: 0, [labels.slice(2)]: -1 });
    assert.equal(tableOf('**.a', '/x/').match('a'.repeat(100_000), NO_ALPN), -1);
  });

  test('ends for expressions that blow up elsewhere', () => {
    const table = tableOf('/(a+)+b/', '/(a|aa)+b/', '/(.*a){20}b/', '/([a-z]+)*-x/');
    const name = `${'a'.repeat(63)}.`.repeat(4).slice(0, 253);
    for (const hostile of ['a'.repeat(253), name, `${'a'.repeat(252)}-`])
      assert.equal(table.match(hostile, NO_ALPN), -1);
    assert.equal(table.match(`${'a'.repeat(252)}b`, NO_ALPN), 0);
  });

  test('goes through a long ALPN list once', () => {
    const alpnProtocols = Array.from({ length: 30_000 }, (_, index) => `p${index}`);
    let looks = 0;
    const counted = new Proxy(alpnProtocols, {
      get(list, key): unknown {
        if (typeof key === 'string' && /^[0-9]+$/.test(key)) looks++;
        return Reflect.get(list, key);
      },
    });
    const suffixes = Array.from({ length: 60 }, (_, index) => 'a.'.repeat(index + 1));
    const table = tableOf(...suffixes.map(labels => [`**.${labels}example`, 'h2'] as const));
    assert.equal(table.match(`${'a.'.repeat(70)}example`, { alpnProtocols: counted }), -1);
    assert.equal(looks, alpnProtocols.length);
  });

  test('is right among 100,000 routes', () => {
    const routes = Array.from({ length: 100_000 }, (_, index) => ({
      patterns: [index % 3 === 0 ? `h${index}.example` : `${index % 3 === 1 ? '*' : '**'}.h${index}.example`],
      alpn: [],
    }));
    const { table, problems } = createRouteTable(routes);
    assert.deepEqual(problems, []);
    for (let index = 0; index < routes.length; index++) {
      const name = `h${index}.example`;
      const found = [name, `a.${name}`, `a.b.${name}`].map(each => (table.match(each, NO_ALPN) < 0 ? 0 : 1));
      assert.deepEqual(
        found,
        [
          [1, 0, 0],
          [0, 1, 0],
          [0, 1, 1],
        ][index % 3],
        name,
      );
    }
    assert.equal(table.match('a.b.h99998.example', NO_ALPN), 99_998);
  });
});

describe('explain()', () => {
  test('lists every pattern that covers the name, in order, with its outcome', () => {
    const table = tableOf(
      '/.*/',
      '**.example',
      ['a.example', 'h2', 'h3'],
      '*.example',
      ['*.example', 'h2'],
      'b.example',
    );
    assert.deepEqual(table.explain('a.example', { alpnProtocols: ['h5'] }), [
      { route: 2, pattern: 'a.example', alpn: ['h2', 'h3'], outcome: 'not-offered' },
      { route: 4, pattern: '*.example', alpn: ['h2'], outcome: 'not-offered' },
      { route: 3, pattern: '*.example', alpn: [], outcome: 'chosen' },
      { route: 1, pattern: '**.example', alpn: [], outcome: 'outranked' },
      { route: 0, pattern: '/.*/', alpn: [], outcome: 'outranked' },
    ]);
    const outcomes = table.explain('a.example', { alpnProtocols: ['h2'] }).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['chosen', 'outranked', 'outranked', 'outranked', 'outranked']);
    assert.deepEqual(tableOf('a.example').explain('b.example', NO_ALPN), []);
  });
});

describe('createRouteTable()', () => {
  test('refuses one pattern in two routes, however it is written', () => {
    const remedy = 'remove one, or tell them apart by "alpn"';
    assert.deepEqual(problemsOf('a.example', 'x.example A.Example.'), [
      `error 1.1: routes[0] and routes[1] both take "a.example": ${remedy}`,
    ]);
    assert.deepEqual(problemsOf('*.bücher.example', '*.xn--bcher-kva.example'), [
      `error 1.0: routes[0] and routes[1] both take "*.xn--bcher-kva.example": ${remedy}`,
    ]);
    assert.deepEqual(problemsOf('*.example', '**.example', 'example'), []);
  });

  test('refuses one protocol in two routes of a pattern', () => {
    assert.deepEqual(problemsOf(['a.example', 'h2', 'h3'], ['a.example', 'h4', 'h3'], 'a.example'), [
      'error 1.0: routes[0] and routes[1] both take "a.example" with ALPN "h3": leave the protocol in one of them',
    ]);
    assert.deepEqual(problemsOf(['a.example', 'h2', 'h2'], ['a.example', 'h3'], 'a.example'), []);
  });

  test('warns of a pattern given twice in one route', () => {
    const message = 'stands in routes[0] already: remove one';
    assert.deepEqual(problemsOf('a.example A.example'), [`warning 0.1: "a.example" ${message}`]);
    assert.deepEqual(problemsOf(['*.example *.example.', 'h2']), [`warning 0.1: "*.example" ${message}`]);
    assert.deepEqual(problemsOf('/a/ /a/'), [`warning 0.1: "/a/" ${message}`]);
  });

  test('warns of an expression that comes too late', () => {
    assert.deepEqual(problemsOf('/a+/', '/b/', '/a+/'), [
      'warning 2.0: "/a+/" is never reached here: routes[0] takes it first',
    ]);
    assert.deepEqual(problemsOf(['/a+/', 'h2', 'h3'], ['/a+/', 'h3']), [
      'warning 1.0: "/a+/" is never reached here: routes[0] takes it first',
    ]);
    assert.deepEqual(problemsOf(['/a+/', 'h2'], ['/a+/', 'h2', 'h3'], '/a+/'), []);
    assert.deepEqual(problemsOf('/.*/', '/b/'), [
      'warning 1.0: "/b/" is never reached: "/.*/" of routes[0] comes first',
    ]);
    assert.deepEqual(problemsOf(['/.*/', 'h2'], '/b/'), []);
  });

  test('warns of an expression whose names all have a more specific pattern', () => {
    const late = '/[a-z]+\\.b\\.example/';
    assert.deepEqual(problemsOf(late, '**.example'), [
      `warning 0.0: "${late}" is never reached: "**.example" of routes[1] comes first`,
    ]);
    assert.equal(problemsOf('/a\\.example/', 'a.example').length, 1);
    assert.equal(problemsOf('/a\\.example/', '*.example').length, 1);
    for (const open of [
      ['**.example', 'h2'],
      '*.b.example',
      '**.a.b.example',
      'a.b.example',
    ] as RouteText[]) {
      assert.deepEqual(problemsOf(late, open), []);
    }
    for (const reached of ['/.*example/', '/x|.*\\.example/', '/.*\\.example(\\.com)?/', '/example/']) {
      assert.deepEqual(problemsOf(reached, '**.example'), [], reached);
    }
  });

  test('tells each pattern that cannot be read, and goes on', () => {
    const { table, problems } = createRouteTable(routesOf(['a.* b.example', '/(/', 'c.example']));
    assert.deepEqual(
      problems.map(({ route, pattern, severity }) => [route, pattern, severity]),
      [
        [0, 0, 'error'],
        [1, 0, 'error'],
      ],
    );
    matchAll(table, { 'b.example': 0, 'c.example': 2 });
  });

  test('words routes as it is told to', () => {
    const { problems } = createRouteTable(routesOf(['a.example', 'a.example']), route => `<${route}>`);
    assert.match(problems[0]?.message ?? '', /^<0> and <1> both take/);
  });

  test('takes routes without patterns, and no routes', () => {
    assert.deepEqual(createRouteTable([{ patterns: [], alpn: [] }]).problems, []);
    assert.equal(createRouteTable([]).table.match('a.example', NO_ALPN), -1);
  });
});
