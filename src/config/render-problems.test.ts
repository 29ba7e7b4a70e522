import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CONFIG_PROBLEMS_MAX } from '../limits.ts';
import { inspectConfig } from './check-config.ts';
import { parseSource } from './config-source.ts';
import { renderProblems } from './render-problems.ts';

/** What an operator sees of this file. */
function render(text: string, file = 'sniway.yaml'): string {
  const { value, problems, source } = parseSource(file, text);
  return renderProblems(
    value === undefined ? problems : [...problems, ...inspectConfig(value).problems],
    source,
  );
}

function renderLines(...lines: string[]): string {
  return render(`${lines.join('\n')}\n`);
}

function aliases(count: number): string {
  return `x: &a [1]\ny: [${Array.from({ length: count }, () => '*a').join(', ')}]`;
}

test('renderProblems() shows place, text, source line and caret', () => {
  assert.equal(
    renderLines('listen: 443', 'routes:', '  - match: a.example.com', '    backendd: 10.0.0.5:443'),
    [
      'sniway.yaml:4:5  error  unknown key "backendd" (did you mean "backend"?)',
      '    4 |     backendd: 10.0.0.5:443',
      '      |     ^',
    ].join('\n'),
  );
});

test('renderProblems() shows all problems in the order of the file', () => {
  const text = renderLines(
    'engine: Linux',
    'listen: [443, "[::1]:443"]',
    'routes:',
    '  - match: [a.example, 5]',
    '    backend: 10.0.0.5',
    '  - name: x',
    'timeouts: { hello: 5 }',
  );
  assert.deepEqual(
    text.split('\n').filter(line => line.startsWith('sniway.yaml')),
    [
      'sniway.yaml:1:9  error  "Linux" is not known here (did you mean "linux"?); write auto, portable or linux',
      'sniway.yaml:2:15  error  "[::]:443" takes this address and port already',
      'sniway.yaml:4:24  error  expected text, found the number 5: put it in quotes, "5"',
      "sniway.yaml:5:14  error  '10.0.0.5' has no port; write host:port, [v6]:port, unix:/path, {sni}:port or srv:_service._proto.name",
      'sniway.yaml:6:5  error  "match" is missing',
      'sniway.yaml:6:5  error  a route needs "backend" (10.0.0.5:443) or "reject" (unrecognized_name)',
      'sniway.yaml:7:20  error  the number 5 needs a unit: write 5s or 5ms',
    ],
  );
});

test('renderProblems() finds values through aliases, and keys of JSON', () => {
  const shared = renderLines(
    'listen: 443',
    'suffixes: .a.example',
    'guard:',
    '  allowNets: &n [::1, x]',
    '  denyNets: *n',
  );
  assert.deepEqual(
    shared.split('\n').filter(line => line.startsWith('sniway')),
    Array.from(
      { length: 2 },
      () => 'sniway.yaml:4:23  error  "x" is not a network: write 10.0.0.0/8 or fd00::/8',
    ),
  );
  assert.match(
    renderLines('x: &k 80000', 'listen: *k'),
    /sniway\.yaml:2:9 {2}error {2}"80000" is not a port/,
  );
  const json = render('{"listen": 443,\n "routs": []}', 'a.json');
  assert.match(
    json,
    /^a\.json:2:2 {2}error {2}unknown key "routs" \(did you mean "routes"\?\)\n {4}2 \| {2}"routs"/,
  );
});

test('renderProblems() shows faults of the YAML in the same form', () => {
  const cases: [text: string, place: string, message: string][] = [
    [
      'match: *.example.com',
      '1:8',
      'put text that begins with * in quotes: "*.example.com" (YAML takes it for an alias)',
    ],
    ['x: [a, *.b.c]', '1:8', 'put text that begins with * in quotes: "*.b.c" (YAML takes it for an alias)'],
    [
      'a: 1\nbackend: {sni}:443',
      '2:15',
      'unexpected text; put a whole value that begins with [ or { in quotes, as in "{sni}:443" or "[::1]:8443"',
    ],
    [
      'listen: [[::1]:443]',
      '1:10',
      'a key must be plain text; put a value that begins with [ or { in quotes, as in "[::1]:8443"',
    ],
    ['a: 1\na: 2', '2:1', 'this key stands twice in the same object'],
    ['a:\n\t- b', '2:1', 'YAML is indented with spaces, not with tabs'],
    ['a: 1\n---\nb: 1', '2:1', 'a configuration is one YAML document: remove "---" and what follows'],
    ['a: !x b', '1:4', 'tags mean nothing here; put text that begins with ! in quotes'],
    ['a: @x', '1:4', 'plain value cannot start with reserved character @'],
    ['', '1:1', 'the file is empty: it needs at least listen, and routes or suffixes'],
    ['# only this\n', '1:1', 'the file is empty: it needs at least listen, and routes or suffixes'],
  ];
  for (const [text, place, message] of cases) {
    assert.equal(render(text).split('\n')[0], `sniway.yaml:${place}  error  ${message}`, text);
  }
  assert.equal(render('a: 1\na: 2').split('\n').slice(1).join('\n'), '    2 | a: 2\n      | ^');
});

test('renderProblems() bounds aliases and nesting', () => {
  assert.match(
    render(aliases(1_000)),
    /^sniway\.yaml:1:1 {2}error {2}too many aliases \(\*\): write the values out\n/,
  );
  assert.doesNotMatch(render(aliases(50)), /aliases/);
  const doubled = Array.from(
    { length: 40 },
    (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`,
  );
  assert.match(renderLines('a0: &a0 [1]', ...doubled), /too many aliases/);
  for (const depth of [10, 100, 500, 1_000, 5_000, 50_000]) {
    const [first = ''] = render(`a: ${'['.repeat(depth)}${']'.repeat(depth)}`).split('\n');
    if (depth <= 100) assert.match(first, /:1:1 {2}error {2}unknown key "a"|:1:1 {2}error {2}no listener/);
    else assert.match(first, /nested too deeply|unknown key "a"|no listener/);
    if (depth === 50_000) assert.match(first, /nested too deeply/);
  }
  assert.match(render('listen: &a [*a]'), /listen\[0\]|expected text, a number or an object, found a list/);
});

test('renderProblems() lets no control character through, and keeps the caret in place', () => {
  const text = '{"\u001b[31m\u202ex": 1, "listen": 443,\t"suffixes": ".a.example"}';
  assert.equal(
    render(text, 'a\nb.json'),
    [
      'a\\x0ab.json:1:2  error  unknown key "\\x1b[31m\\u202ex"; known here: listen, routes, suffixes, include, policies, guard, resolver, ech, timeouts, limits, tcp, hooks, fingerprints, admin, workers, spin, engine',
      '    1 | {"\\x1b[31m\\u202ex": 1, "listen": 443,\\x09"suffixes": ".a.example"}',
      '      |  ^',
    ].join('\n'),
  );
  const behind = render(
    '{"listen": 443, "suffixes": ".a.example", \t "\u0007": 1}'.replace('\u0007', '\\u0007'),
  ).split('\n');
  assert.equal(behind[2]?.indexOf('^'), behind[1]?.indexOf('"\\u0007"'));
});

test('renderProblems() cuts long lines around the place', () => {
  const filler = 'a'.repeat(500);
  const [head, line, caret] = render(`{"listen": 443, "suffixes": ".${filler}", "x": 1, "y": "${filler}"}`)
    .split('\n')
    .slice(-3);
  assert.match(head ?? '', /unknown key "y"/);
  assert.ok((line?.length ?? 999) < 140);
  assert.equal(line?.indexOf('"y"'), caret?.indexOf('^'));
});

test('renderProblems() counts the rest', () => {
  const routes = Array.from({ length: CONFIG_PROBLEMS_MAX + 3 }, (_, index) => ({
    match: `h${index}.example`,
    backend: 'x',
  }));
  const { problems } = inspectConfig({ listen: 443, routes });
  const { source } = parseSource('a.json', JSON.stringify({ listen: 443, routes }));
  const bare = renderProblems(problems).split('\n');
  assert.equal(bare.length, CONFIG_PROBLEMS_MAX + 1);
  assert.equal(bare.at(-1), '... and 3 more');
  const placed = renderProblems(problems, source).split('\n');
  assert.equal(placed.length, 3 * CONFIG_PROBLEMS_MAX + 1);
  assert.equal(placed.at(-1), '... and 3 more');
});

test('renderProblems() shows the path where there is no file', () => {
  const problems = inspectConfig({ routes: [{ match: [5], backend: '10.0.0.5:443' }] }).problems;
  assert.deepEqual(renderProblems(problems).split('\n'), [
    'routes[0].match[0]  error  expected text, found the number 5: put it in quotes, "5"',
    'error  no listener: say where to accept connections, such as listen: [443] or listen: ["127.0.0.1:8443"]',
  ]);
  assert.equal(renderProblems([]), '');
  const warning = { path: ['routes', 1], message: 'nothing reaches it', severity: 'warning' } as const;
  assert.equal(renderProblems([warning]), 'routes[1]  warning  nothing reaches it');
});

test('any text is parsed, checked and rendered without an exception', () => {
  const word = fc.constantFrom(
    'listen',
    'routes',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '*a',
    '&a',
    '!',
    '#',
    '443',
    '|',
    '>',
    '\t',
    '?',
    '---\n',
    '<<',
    '%YAML 1.1\n',
    '__proto__',
    ',',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(word).map(words => words.join('')),
  );
  fc.assert(
    fc.property(text, input => {
      assert.equal(typeof render(input), 'string');
      assert.doesNotMatch(render(input), /[\u0000-\u0009\u000b-\u001f\u007f]/);
    }),
    { numRuns: 1_000 },
  );
});
