/** What becomes of the connections of routes that a reload has removed. */
import { DURATION_MS_MAX } from './limits.ts';
import type { PlainConfig, PlainRoute } from './snapshot.ts';

/** How a route wants its connections to be treated. */
export type OnRemove = PlainRoute['onRemove'];

type DrainingConfig = PlainConfig & { readonly drainTimeoutMs: number };

export class DepartedRoutes {
  readonly #end: (routes: ReadonlySet<string>) => void;
  /** Routes whose connections have a while to end, with the timer of the reload that removed them. */
  readonly #draining = new Map<string, NodeJS.Timeout | null>();

  /** `end` ends the connections of these routes at once. */
  constructor(end: (routes: ReadonlySet<string>) => void) {
    this.#end = end;
  }

  /** Called when `next` is in force instead of `before`. */
  update(before: DrainingConfig, next: DrainingConfig): void {
    const present = new Set(next.routes.map(({ name }) => name));
    for (const name of this.#draining.keys()) if (present.has(name)) this.#draining.delete(name);
    const gone = before.routes.filter(({ name }) => !present.has(name));
    const namesOf = (onRemove: OnRemove): string[] =>
      gone.flatMap(route => (route.onRemove === onRemove ? route.name : []));
    const closed = new Set(namesOf('close'));
    if (closed.size > 0) this.#end(closed);
    this.#drain(namesOf('drain'), next.drainTimeoutMs);
  }

  close(): void {
    for (const timer of this.#draining.values()) if (timer !== null) clearTimeout(timer);
    this.#draining.clear();
  }

  /** A route that comes back meanwhile is left alone. */
  #drain(names: readonly string[], timeoutMs: number): void {
    if (names.length === 0) return;
    const end = (): void => {
      const due = names.filter(name => this.#draining.get(name) === timer);
      for (const name of due) this.#draining.delete(name);
      if (due.length > 0) this.#end(new Set(due));
    };
    // A longer timer would fire at once.
    const timer = timeoutMs > DURATION_MS_MAX ? null : setTimeout(end, timeoutMs).unref();
    for (const name of names) this.#draining.set(name, timer);
  }
}
