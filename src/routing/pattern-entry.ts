/** The routes that share one pattern, told apart by the protocols a client offers (ALPN, RFC 7301). */

/** One pattern of a table. It changes only while its table is built. */
export interface PatternEntry {
  /** The pattern in canonical form. */
  readonly text: string;
  /** The route for every other client; -1 if there is none. */
  unconditional: number;
  /** The route for clients that offer a protocol; null if no route asks for one. */
  byProtocol: Map<string, number> | null;
  /** The route that was added last; -1 at first. */
  last: number;
}

/** Why a route could not have all of a pattern. */
export interface Clash {
  /** The route that has it; the same route if it gives the pattern twice. */
  readonly owner: number;
  /** The first protocol that both ask for; null if neither asks for one. */
  readonly protocol: string | null;
  /** Nothing of the pattern is left for the later route. */
  readonly whole: boolean;
}

export function createEntry(text: string): PatternEntry {
  return { text, unconditional: -1, byProtocol: null, last: -1 };
}

/** Adds a route, which must not be lower than those before it; what an earlier one has stays with that one. */
export function addRoute(entry: PatternEntry, route: number, alpn: readonly string[]): Clash | null {
  if (entry.last === route) return { owner: route, protocol: null, whole: true };
  entry.last = route;
  if (alpn.length > 0) return addProtocols(entry, route, alpn);
  if (entry.unconditional >= 0) return { owner: entry.unconditional, protocol: null, whole: true };
  entry.unconditional = route;
  return null;
}

function addProtocols(entry: PatternEntry, route: number, alpn: readonly string[]): Clash | null {
  const owners = (entry.byProtocol ??= new Map<string, number>());
  let clash: { owner: number; protocol: string } | null = null;
  let isWhole = true;
  for (const protocol of alpn) {
    const owner = owners.get(protocol) ?? route;
    if (owner === route) {
      owners.set(protocol, route);
      isWhole = false;
    } else clash ??= { owner, protocol };
  }
  return clash === null ? null : { ...clash, whole: isWhole };
}

/**
 * The route of an entry that fits, or -1: the one that asks for the first protocol in the client's order, else the
 * one that asks for none. `offered` is needed only where the entry has conditions.
 */
export function chooseRoute(entry: PatternEntry, offered: ReadonlySet<string> | null): number {
  if (entry.byProtocol !== null && offered !== null) {
    for (const protocol of offered) {
      const route = entry.byProtocol.get(protocol);
      if (route !== undefined) return route;
    }
  }
  return entry.unconditional;
}

/** A route of an entry and the protocols it takes there; none means every client. */
export interface EntryRoute {
  readonly route: number;
  readonly alpn: readonly string[];
}

/** The routes of an entry, those with a condition first. */
export function listRoutes(entry: PatternEntry): EntryRoute[] {
  const listed = new Map<number, string[]>();
  for (const [protocol, route] of entry.byProtocol ?? []) {
    const alpn = listed.get(route);
    if (alpn === undefined) listed.set(route, [protocol]);
    else alpn.push(protocol);
  }
  const routes: EntryRoute[] = [...listed].map(([route, alpn]) => ({ route, alpn }));
  if (entry.unconditional >= 0) routes.push({ route: entry.unconditional, alpn: [] });
  return routes;
}
