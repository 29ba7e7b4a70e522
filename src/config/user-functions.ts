/** The functions of a configuration. They stay on the main thread; what is sent to workers only knows that they are there. */
import { nameRoutes } from './check-routes.ts';
import type { RouteDraft } from './read-routes.ts';
import { asObject } from './read-value.ts';
import type { Hooks, RouteFunction } from './user-types.ts';

export interface UserFunctions {
  /** By the name of the route. */
  readonly routes: ReadonlyMap<string, RouteFunction>;
  readonly hooks: Hooks;
  /** For each call. */
  readonly timeoutMs: number;
}

/** The functions of routes and the hooks; the drafts are those of a sound configuration. */
export function readFunctions(
  input: unknown,
  drafts: readonly RouteDraft[],
  timeoutMs: number,
): UserFunctions {
  const hasNone = drafts.every(({ decide }) => decide === null);
  const names = hasNone ? [] : nameRoutes(drafts).map(({ name }) => name);
  const routes = drafts.flatMap(({ decide }, index) =>
    decide === null ? [] : [[names[index] ?? '', decide] as const],
  );
  return { routes: new Map(routes), hooks: readHooks(asObject(input).hooks), timeoutMs };
}

/** Read one by one, since an object may inherit them, and bound to it, since they may be methods. */
function readHooks(value: unknown): Hooks {
  const given = asObject(value) as Hooks;
  return {
    ...(given.onHello === undefined ? {} : { onHello: given.onHello.bind(given) }),
    ...(given.onVerdict === undefined ? {} : { onVerdict: given.onVerdict.bind(given) }),
    ...(given.onEnd === undefined ? {} : { onEnd: given.onEnd.bind(given) }),
  };
}

/** Whether a hook has a say in decisions. */
export function asksHooks(input: unknown): boolean {
  const { onHello, onVerdict } = asObject(asObject(input).hooks);
  return onHello !== undefined || onVerdict !== undefined;
}

/** A configuration without its functions, which can be sent to a worker thread. */
export function withoutFunctions<T extends { readonly functions: UserFunctions }>({
  functions: _functions,
  ...plain
}: T): Omit<T, 'functions'> {
  return plain;
}
