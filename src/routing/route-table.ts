/**
 * Host patterns to an immutable table to a match. Exact names first, then the wildcard with the longest fixed part
 * (`*.` before `**.`), then regular expressions in the order given; otherwise order never matters.
 */
import { ROUTES_MAX } from '../limits.ts';
import { findLiteralTail, isCatchAll } from './literal-tail.ts';
import { parsePattern, quotePattern } from './pattern.ts';
import { addRoute, chooseRoute, listRoutes } from './pattern-entry.ts';
import type { Clash, PatternEntry } from './pattern-entry.ts';
import { TableIndex } from './table-index.ts';

/** What a table looks at of a route. */
export interface RoutePatterns {
  /** In their text form: `a.example.com`, `*.example.com`, `**.example.com`, `/regex/`. */
  readonly patterns: readonly string[];
  /** The route takes only clients that offer one of these; empty means every client. */
  readonly alpn: readonly string[];
}

/** Something wrong with the routes, at one of them. */
export interface RouteProblem {
  /** Index of the route. */
  readonly route: number;
  /** Index of the pattern in its route; null if it is about the route as a whole. */
  readonly pattern: number | null;
  /** `error`: the table must not be used. */
  readonly severity: 'error' | 'warning';
  /** What is wrong and how to mend it, without a full stop. */
  readonly message: string;
}

/** What a table looks at of a hello; `alpnProtocols` is read only where a route asks for a protocol, and once. */
export interface OfferedProtocols {
  readonly alpnProtocols: readonly string[];
}

/** A route whose pattern covers a name. */
export interface RouteCandidate {
  readonly route: number;
  /** The pattern in canonical form. */
  readonly pattern: string;
  /** The protocols the route asks for under this pattern; none means every client. */
  readonly alpn: readonly string[];
  /** `not-offered`: the client offers none of the protocols. `outranked`: a route before it takes the name. */
  readonly outcome: 'chosen' | 'not-offered' | 'outranked';
}

/** Immutable. Names are canonical: lower case, A-labels, no dot at the end, as in a ClientHello that was read. */
export interface RouteTable {
  /** The index of the route that takes the name, or -1. Linear in the name, whatever the number of fixed patterns. */
  match(name: string, hello: OfferedProtocols): number;
  /** Every route whose pattern covers the name, in order of precedence; `match` gives the one chosen, if one is. */
  explain(name: string, hello: OfferedProtocols): readonly RouteCandidate[];
}

export interface BuiltTable {
  readonly table: RouteTable;
  /** With an error among them, the table lacks what is wrong. */
  readonly problems: readonly RouteProblem[];
}

/** Builds a table and tells what is wrong with its routes; `nameRoute` words a route in messages. */
export function createRouteTable(
  routes: readonly RoutePatterns[],
  nameRoute: (route: number) => string = route => `routes[${route}]`,
): BuiltTable {
  const builder = new TableBuilder(nameRoute);
  for (const [index, route] of routes.entries()) {
    if (index === ROUTES_MAX) {
      builder.refuse(index, `${routes.length} routes are too many: at most ${ROUTES_MAX}`);
      break;
    }
    builder.add(index, route);
  }
  return builder.build();
}

/** A regular expression and where it is given; wildcards and other expressions may leave nothing for it. */
interface RegexPlace {
  readonly route: number;
  readonly pattern: number;
  readonly text: string;
}

class TableBuilder {
  readonly #nameRoute: (route: number) => string;
  readonly #index = new TableIndex();
  readonly #protocols = new Set<string>();
  readonly #problems: RouteProblem[] = [];
  readonly #regexPlaces = new Map<PatternEntry, RegexPlace[]>();

  constructor(nameRoute: (route: number) => string) {
    this.#nameRoute = nameRoute;
  }

  refuse(route: number, message: string): void {
    this.#problems.push({ route, pattern: null, severity: 'error', message });
  }

  add(route: number, { patterns, alpn }: RoutePatterns): void {
    for (const protocol of alpn) this.#protocols.add(protocol);
    for (const [at, text] of patterns.entries()) {
      const parsed = parsePattern(text);
      if (!parsed.ok) {
        this.#problems.push({ route, pattern: at, severity: 'error', message: parsed.message });
        continue;
      }
      const isRegex = parsed.pattern.kind === 'regex';
      const entry = this.#index.claim(parsed.pattern);
      const clash = addRoute(entry, route, alpn);
      if (clash !== null) this.#report({ route, pattern: at, text: entry.text }, clash, isRegex);
      else if (isRegex) this.#notePlace(entry, { route, pattern: at, text });
    }
  }

  build(): BuiltTable {
    this.#reportUnreachable();
    return { table: new IndexedTable(this.#index, this.#protocols), problems: this.#problems };
  }

  #notePlace(entry: PatternEntry, place: RegexPlace): void {
    const places = this.#regexPlaces.get(entry);
    if (places === undefined) this.#regexPlaces.set(entry, [place]);
    else places.push(place);
  }

  #report({ route, pattern, text }: RegexPlace, { owner, protocol, whole }: Clash, isRegex: boolean): void {
    const quoted = quotePattern(text);
    if (owner === route) {
      return this.#warn(
        { route, pattern },
        `${quoted} stands in ${this.#nameRoute(route)} already: remove one`,
      );
    }
    // The order of regular expressions is part of their meaning: the first has what they share.
    if (isRegex) {
      const message = `${quoted} is never reached here: ${this.#nameRoute(owner)} takes it first`;
      return whole ? this.#warn({ route, pattern }, message) : undefined;
    }
    const both = `${this.#nameRoute(owner)} and ${this.#nameRoute(route)} both take ${quoted}`;
    const message =
      protocol === null
        ? `${both}: remove one, or tell them apart by "alpn"`
        : `${both} with ALPN ${quotePattern(protocol)}: leave the protocol in one of them`;
    this.#problems.push({ route, pattern, severity: 'error', message });
  }

  #warn(place: { readonly route: number; readonly pattern: number }, message: string): void {
    this.#problems.push({ ...place, severity: 'warning', message });
  }

  #reportUnreachable(): void {
    let catchAll: PatternEntry | null = null;
    for (const { source, entry } of this.#index.regexes) {
      const cover = catchAll ?? this.#findCover(source);
      for (const place of this.#regexPlaces.get(entry) ?? []) {
        if (cover === null) break;
        const owner = this.#nameRoute(cover.unconditional);
        const message = `${quotePattern(place.text)} is never reached: ${quotePattern(cover.text)} of ${owner} comes first`;
        this.#warn({ route: place.route, pattern: place.pattern }, message);
      }
      if (catchAll === null && entry.unconditional >= 0 && isCatchAll(source)) catchAll = entry;
    }
  }

  /** An exact name or wildcard that takes, from every client, whatever the expression could. */
  #findCover(source: string): PatternEntry | null {
    const { text, isWhole } = findLiteralTail(source);
    let cover: PatternEntry | null = null;
    if (isWhole) {
      this.#index.visitFixed(text, entry => {
        if (entry.unconditional >= 0) cover = entry;
        return cover !== null;
      });
      return cover;
    }
    for (let dot = text.indexOf('.'); dot >= 0; dot = text.indexOf('.', dot + 1)) {
      const entry = this.#index.under(text.slice(dot + 1));
      if (entry !== null && entry.unconditional >= 0) return entry;
    }
    return null;
  }
}

class IndexedTable implements RouteTable {
  readonly #index: TableIndex;
  /** Every protocol that any route asks for. */
  readonly #protocols: ReadonlySet<string>;

  constructor(index: TableIndex, protocols: ReadonlySet<string>) {
    this.#index = index;
    this.#protocols = protocols;
  }

  match(name: string, hello: OfferedProtocols): number {
    const exact = this.#index.exact(name);
    if (exact !== undefined && exact.byProtocol === null) return exact.unconditional;
    let offered: ReadonlySet<string> | null = null;
    let chosen = -1;
    this.#index.visit(name, entry => {
      if (entry.byProtocol !== null) offered ??= this.#readOffered(hello);
      chosen = chooseRoute(entry, offered);
      return chosen >= 0;
    });
    return chosen;
  }

  explain(name: string, hello: OfferedProtocols): readonly RouteCandidate[] {
    const offered = this.#readOffered(hello);
    const candidates: RouteCandidate[] = [];
    let isTaken = false;
    this.#index.visit(name, entry => {
      const chosen = isTaken ? -1 : chooseRoute(entry, offered);
      isTaken ||= chosen >= 0;
      for (const { route, alpn } of listRoutes(entry)) {
        const fits = alpn.length === 0 || alpn.some(protocol => offered.has(protocol));
        const outcome = route === chosen ? 'chosen' : fits ? 'outranked' : 'not-offered';
        candidates.push({ route, pattern: entry.text, alpn, outcome });
      }
      return false;
    });
    return candidates;
  }

  /** In the client's order, only what a route asks for: a client's list is long at most once. */
  #readOffered(hello: OfferedProtocols): ReadonlySet<string> {
    const offered = new Set<string>();
    for (const protocol of hello.alpnProtocols) if (this.#protocols.has(protocol)) offered.add(protocol);
    return offered;
  }
}
