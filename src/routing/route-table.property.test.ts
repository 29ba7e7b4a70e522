/** The table against a model that knows nothing of indexes: it looks at every route for every name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createRouteTable } from './route-table.ts';
import type { RoutePatterns } from './route-table.ts';

const RUNS = Math.max(2_000, Number(process.env['SNIWAY_FUZZ_RUNS'] ?? 0) || 0);

interface Ranked {
  readonly route: number;
  readonly pattern: string;
  readonly alpn: readonly string[];
  /** Compared entry by entry; the lower comes first. */
  readonly rank: readonly number[];
}

/** Behind every position in an ALPN list. */
const LAST = 99;
const LABELS = ['a', 'b', 'ab', '__proto__', 'constructor', 'xn--bcher-kva'];
const SOURCES = ['.*', 'a.*', '[ab]+', '(a|b)\\.a', '.*\\.a\\.b', 'a\\.b', '.*b|a', 'constructor'];
const PROTOCOLS = ['h2', 'h3', '__proto__', 'x'];

const name = fc
  .array(fc.constantFrom(...LABELS), { minLength: 1, maxLength: 4 })
  .map(labels => labels.join('.'));
const pattern = fc.oneof(
  { weight: 3, arbitrary: name },
  { weight: 5, arbitrary: fc.tuple(fc.constantFrom('*', '**'), name).map(parts => parts.join('.')) },
  { weight: 2, arbitrary: fc.constantFrom(...SOURCES).map(source => `/${source}/`) },
);
const alpn = fc.oneof(fc.constant([]), fc.uniqueArray(fc.constantFrom(...PROTOCOLS), { maxLength: 3 }));
const route = fc.record({ patterns: fc.array(pattern, { minLength: 1, maxLength: 3 }), alpn });
const offered = fc.array(fc.constantFrom(...PROTOCOLS, 'y'), { maxLength: 4 });

function covers(text: string, host: string): boolean {
  if (text.startsWith('/')) return new RegExp(`^(?:${text.slice(1, -1)})$`).test(host);
  const labels = host.split('.');
  const [head, ...fixed] = text.split('.');
  if (head !== '*' && head !== '**') return text === host;
  const inFront = labels.length - fixed.length;
  const isUnder = labels.slice(-fixed.length).join('.') === fixed.join('.');
  return isUnder && (head === '*' ? inFront === 1 : inFront >= 1);
}

/** Exact, wildcards by their labels, then expressions by where they are first given. */
function rankOf(text: string, regexes: readonly string[]): number[] {
  if (text.startsWith('/')) return [2, regexes.indexOf(text)];
  if (!text.startsWith('*')) return [0];
  return [1, -text.split('.').length, text.startsWith('**') ? 1 : 0];
}

function compare(left: readonly number[], right: readonly number[]): number {
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function modelMatch(routes: readonly RoutePatterns[], host: string, protocols: readonly string[]): number {
  const regexes = routes.flatMap(({ patterns }) => patterns.filter(text => text.startsWith('/')));
  const ranked = routes.flatMap(({ patterns, alpn: wanted }, index) =>
    patterns.flatMap((text): Ranked[] => {
      const position = protocols.findIndex(protocol => wanted.includes(protocol));
      if (!covers(text, host) || (wanted.length > 0 && position < 0)) return [];
      const kind = rankOf(text, regexes);
      const rank = [
        ...kind,
        ...Array<number>(3 - kind.length).fill(0),
        wanted.length > 0 ? position : LAST,
        index,
      ];
      return [{ route: index, pattern: text, alpn: wanted, rank }];
    }),
  );
  const [first] = ranked.toSorted((left, right) => compare(left.rank, right.rank));
  return first?.route ?? -1;
}

/** What a table refuses: one pattern in two routes that no protocol tells apart. */
function modelHasConflict(routes: readonly RoutePatterns[]): boolean {
  return routes.some((later, index) =>
    routes
      .slice(0, index)
      .some(
        earlier =>
          earlier.patterns.some(text => !text.startsWith('/') && later.patterns.includes(text)) &&
          (earlier.alpn.length === 0
            ? later.alpn.length === 0
            : earlier.alpn.some(protocol => later.alpn.includes(protocol))),
      ),
  );
}

test('match() and explain() say what the model says, for any table, name and ALPN list', () => {
  let matched = 0;
  const names = fc.array(name, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(route, { maxLength: 8 }), names, offered, (routes, hosts, alpnProtocols) => {
      const { table, problems } = createRouteTable(routes);
      const isRefused = problems.some(({ severity }) => severity === 'error');
      assert.equal(isRefused, modelHasConflict(routes));
      if (isRefused) return;
      for (const host of hosts) {
        const expected = modelMatch(routes, host, alpnProtocols);
        assert.equal(table.match(host, { alpnProtocols }), expected, host);
        const candidates = table.explain(host, { alpnProtocols });
        const chosen = candidates.filter(({ outcome }) => outcome === 'chosen');
        assert.deepEqual(
          chosen.map(candidate => candidate.route),
          expected < 0 ? [] : [expected],
        );
        assert.ok(candidates.every(candidate => covers(candidate.pattern, host)));
        if (expected >= 0) matched++;
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(matched > RUNS / 4, `${matched} names matched`);
});

test('a pattern that is warned of as never reached takes no name', () => {
  const names = fc.array(name, { minLength: 10, maxLength: 30 });
  let warnings = 0;
  fc.assert(
    fc.property(
      fc.array(route, { minLength: 2, maxLength: 8 }),
      names,
      offered,
      (routes, hosts, alpnProtocols) => {
        const { table, problems } = createRouteTable(routes);
        if (problems.some(({ severity }) => severity === 'error')) return;
        for (const problem of problems) {
          if (!problem.message.includes('never reached')) continue;
          warnings++;
          const text = routes[problem.route]?.patterns[problem.pattern ?? -1];
          for (const host of hosts) {
            const taken = table.explain(host, { alpnProtocols }).find(({ outcome }) => outcome === 'chosen');
            assert.ok(taken?.route !== problem.route || taken.pattern !== text, `${text} takes ${host}`);
          }
        }
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(warnings > 0);
});

test('the order of routes never matters but among expressions', () => {
  const fixed = fc.record({
    patterns: fc.array(
      pattern.filter(text => !text.startsWith('/')),
      { minLength: 1, maxLength: 3 },
    ),
    alpn,
  });
  fc.assert(
    fc.property(fc.array(fixed, { maxLength: 8 }), name, offered, (routes, host, alpnProtocols) => {
      const forward = createRouteTable(routes);
      const backward = createRouteTable(routes.toReversed());
      if (forward.problems.some(({ severity }) => severity === 'error')) return;
      const found = forward.table.match(host, { alpnProtocols });
      const mirrored = backward.table.match(host, { alpnProtocols });
      assert.equal(mirrored, found < 0 ? -1 : routes.length - 1 - found);
    }),
    { numRuns: RUNS },
  );
});
