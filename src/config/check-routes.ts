/** Routes against each other: names, conflicts, routes that nothing reaches. */
import { BACKENDS_COUNTED_MAX, ROUTES_MAX } from '../limits.ts';
import { createRouteTable } from '../routing/route-table.ts';
import type { PlainRoute } from '../snapshot.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { quote } from './plain-text.ts';
import { numberBackends } from './read-pool.ts';
import type { RouteDraft } from './read-routes.ts';

const NO_ROUTES_TEXT = [
  'neither routes nor suffixes: Sniway relays only names it is told, never all; give at least one, such as',
  '  routes: [{ match: www.example.com, backend: "10.0.0.5:443" }]',
  '  routes: [{ match: "*.example.com", backend: "unix:/run/app.sock" }]',
  '  suffixes: [.internal.example.com]',
].join('\n');

export const NO_ROUTES: Finding = { ...errorAt([], NO_ROUTES_TEXT), missing: ['routes', 'suffixes'] };

/** A place as messages about another place name it. */
type Describe = (path: ProblemPath) => string;

/** Names given twice, conflicts, unreachable routes, or too many. */
export function findRouteProblems(drafts: readonly RouteDraft[], describe: Describe): Finding[] {
  if (drafts.length > ROUTES_MAX) {
    return [errorAt(['routes'], `${drafts.length} routes and suffixes are too many: at most ${ROUTES_MAX}`)];
  }
  return [
    ...findNamesakes(drafts, describe),
    ...findTableProblems(drafts, describe),
    ...findTooManyCounted(drafts),
  ];
}

function findTooManyCounted(drafts: readonly RouteDraft[]): Finding[] {
  const actions = numberBackends(drafts.flatMap(({ action }) => action ?? []));
  const ids = actions.flatMap(action => (action.kind === 'relay' ? action.pool.backends : []));
  const counted = ids.filter(({ id }) => id >= 0).length;
  if (counted <= BACKENDS_COUNTED_MAX) return [];
  const message = `${counted} backends in pools, or with limits or checks, are too many: at most ${BACKENDS_COUNTED_MAX}`;
  return [errorAt(['routes'], message)];
}

/** The routes as they are used; a route without a name is called by its first pattern, and told from its namesakes. */
export function nameRoutes(drafts: readonly RouteDraft[]): PlainRoute[] {
  const taken = new Set(drafts.flatMap(({ name }) => (name === null ? [] : [name])));
  const counts = new Map<string, number>();
  const routes = drafts.flatMap(({ name, patterns, alpn, ech, action, clients, limits, spans, onRemove }) => {
    if (action === null) return [];
    const texts = patterns.map(({ text }) => text);
    const route = { patterns: texts, alpn, ech, action, clients, limits, spans, onRemove };
    return [{ name: name ?? claimName(texts[0] ?? '', taken, counts), ...route }];
  });
  const actions = numberBackends(routes.map(({ action }) => action));
  return routes.map((route, index) => ({ ...route, action: actions[index]! }));
}

/** `pattern`, else `pattern#2`, and so on. */
function claimName(wanted: string, taken: Set<string>, counts: Map<string, number>): string {
  let count = counts.get(wanted) ?? 1;
  const numbered = (): string => (count === 1 ? wanted : `${wanted}#${count}`);
  while (taken.has(numbered())) count++;
  counts.set(wanted, count);
  taken.add(numbered());
  return numbered();
}

function findNamesakes(drafts: readonly RouteDraft[], describe: Describe): Finding[] {
  const owners = new Map<string, ProblemPath>();
  return drafts.flatMap(({ name, path }) => {
    if (name === null) return [];
    const owner = owners.get(name);
    if (owner === undefined) {
      owners.set(name, path);
      return [];
    }
    return [errorAt([...path, 'name'], `${quote(name)} is the name of ${describe(owner)} already`)];
  });
}

function findTableProblems(drafts: readonly RouteDraft[], describe: Describe): Finding[] {
  const routes = drafts.map(({ patterns, alpn }) => ({ patterns: patterns.map(({ text }) => text), alpn }));
  const nameRoute = (route: number): string => describe(drafts[route]?.path ?? ['routes']);
  return createRouteTable(routes, nameRoute).problems.map(({ route, pattern, severity, message }) => {
    const draft = drafts[route];
    const placed = pattern === null ? undefined : draft?.patterns[pattern];
    return { path: placed?.path ?? draft?.path ?? ['routes'], message, severity };
  });
}
