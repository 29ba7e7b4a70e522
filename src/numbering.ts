/**
 * Backends and limits are counted by number in memory that all threads share. Whatever a reload leaves in place keeps
 * its number, and so its connections and its state.
 */
import { formatBackend } from './backends/backend-address.ts';
import type { PlainBackend } from './backends/plain-pool.ts';
import { formatListenTarget } from './config/listen-target.ts';
import type { ListenTarget } from './engine/engine.ts';
import { SniwayError } from './errors.ts';
import { BACKENDS_SPARE, LIMIT_SCOPES_SPARE, NUMBERS_RESTING } from './limits.ts';
import { FIRST_SCOPE_SLOT } from './limiting/limiter.ts';
import { listBackends } from './live.ts';
import type { Room } from './live.ts';
import type { LimitSlots, PlainConfig, PlainRoute } from './snapshot.ts';

/** A configuration with what its listeners are called. */
export type Numbered = PlainConfig & { readonly listen: readonly ListenTarget[] };

/** Whether a number that nothing has any more is still in use by connections that live on. */
export interface Busy {
  readonly backend: (id: number) => boolean;
  readonly slot: (slot: number) => boolean;
}

export interface Renumbered<C> {
  readonly config: C;
  /** Numbers of backends that are new. */
  readonly newBackends: readonly number[];
  /** Called when the configuration is in force. */
  readonly commit: () => void;
}

export class Numbering {
  readonly room: Room;
  readonly #backends: NumberStock;
  readonly #slots: NumberStock;

  /** Takes over the numbers of a configuration as it was read. */
  constructor(config: Numbered) {
    const backends = new Map(backendKeys(config).map(({ key, backend }) => [key, backend.id]));
    const slots = new Map(slotKeys(config).map(({ key, slot }) => [key, slot]));
    this.room = {
      backends: 2 * backends.size + BACKENDS_SPARE,
      slots: 2 * slots.size + FIRST_SCOPE_SLOT + LIMIT_SCOPES_SPARE,
    };
    this.#backends = new NumberStock(backends, 0, this.room.backends);
    this.#slots = new NumberStock(slots, FIRST_SCOPE_SLOT, this.room.slots);
  }

  /** @throws SniwayError `ERR_STATE` if there are more new ones than the memory has room for. */
  renumber<C extends Numbered>(config: C, busy: Busy): Renumbered<C> {
    const backends = this.#backends.plan(
      backendKeys(config).map(({ key }) => key),
      busy.backend,
    );
    const slots = this.#slots.plan(
      slotKeys(config).map(({ key }) => key),
      busy.slot,
    );
    if (backends === null || slots === null) {
      const what = backends === null ? 'backends with counters' : 'limits';
      const message = `too many ${what} are new: a running proxy has room for a bounded number; restart it`;
      throw new SniwayError('ERR_STATE', message);
    }
    const numbered = {
      ...config,
      routes: renumberRoutes(config, backends.numbers),
      slots: renumberSlots(config, slots.numbers),
    };
    return {
      config: numbered,
      newBackends: backends.added,
      commit() {
        backends.commit();
        slots.commit();
      },
    };
  }
}

interface Plan {
  readonly numbers: ReadonlyMap<string, number>;
  readonly added: readonly number[];
  readonly commit: () => void;
}

/** The numbers of one kind. Those that are given up rest for a while, as messages that tell of them may be under way. */
class NumberStock {
  #assigned: ReadonlyMap<string, number>;
  #next: number;
  readonly #end: number;
  #resting: ReadonlyMap<string, number> = new Map();

  constructor(assigned: ReadonlyMap<string, number>, first: number, end: number) {
    this.#assigned = assigned;
    this.#next = first + assigned.size;
    this.#end = end;
  }

  /** Null if there are too few. Nothing has changed before `commit`. */
  plan(keys: readonly string[], isBusy: (number: number) => boolean): Plan | null {
    const wanted = new Set(keys);
    const numbers = new Map<string, number>();
    const added: number[] = [];
    const resting = new Map(this.#resting);
    let next = this.#next;
    const wakeUp = (key: string): number | undefined => {
      const number = resting.get(key);
      resting.delete(key);
      return number;
    };
    const reuse = (): number => {
      const idle = [...resting].find(([key, number]) => !isBusy(number) && !wanted.has(key));
      return idle === undefined ? -1 : (wakeUp(idle[0]) ?? -1);
    };
    for (const key of keys) {
      // What comes back before its number is another's goes on where it was.
      const known = this.#assigned.get(key) ?? wakeUp(key);
      let number = known ?? (resting.size > NUMBERS_RESTING ? reuse() : -1);
      if (number === -1 && next < this.#end) number = next++;
      if (number === -1) number = reuse();
      if (number === -1) return null;
      numbers.set(key, number);
      if (known === undefined) added.push(number);
    }
    const commit = (): void => {
      const gone = [...this.#assigned].filter(([key]) => !numbers.has(key));
      this.#resting = new Map([...resting, ...gone]);
      this.#assigned = numbers;
      this.#next = next;
    };
    return { numbers, added, commit };
  }
}

/** Backends by what they are: an address in a route, which is there once. */
function backendKeys(config: PlainConfig): { key: string; backend: PlainBackend }[] {
  return listBackends(config).flatMap(({ route, plain }) =>
    plain.id < 0 ? [] : [{ key: JSON.stringify([route, formatBackend(plain.backend)]), backend: plain }],
  );
}

function slotKeys({ listen, routes, slots }: Numbered): { key: string; slot: number }[] {
  const all = [
    ...keysOfListeners(listen).map((key, index) => ({ key, slot: slots.listeners[index] ?? -1 })),
    ...routes.map(({ name }, index) => ({ key: `route ${name}`, slot: slots.routes[index] ?? -1 })),
  ];
  return all.filter(({ slot }) => slot >= 0);
}

/** Those on ports that the kernel chooses are told apart by their order. */
function keysOfListeners(listen: readonly ListenTarget[]): string[] {
  const counts = new Map<string, number>();
  return listen.map(target => {
    const text = formatListenTarget(target);
    const count = counts.get(text) ?? 0;
    counts.set(text, count + 1);
    return `listener ${text} ${count}`;
  });
}

function renumberRoutes(config: PlainConfig, numbers: ReadonlyMap<string, number>): readonly PlainRoute[] {
  const byOld = new Map(backendKeys(config).map(({ key, backend }) => [backend.id, numbers.get(key) ?? -1]));
  return config.routes.map(route => {
    const { action } = route;
    if (action.kind !== 'relay' || action.pool.backends.every(({ id }) => id < 0)) return route;
    const backends = action.pool.backends.map(backend =>
      backend.id < 0 ? backend : { ...backend, id: byOld.get(backend.id) ?? -1 },
    );
    return { ...route, action: { ...action, pool: { ...action.pool, backends } } };
  });
}

function renumberSlots(config: Numbered, numbers: ReadonlyMap<string, number>): LimitSlots {
  const byOld = new Map(slotKeys(config).map(({ key, slot }) => [slot, numbers.get(key) ?? -1]));
  const renumber = (slot: number): number => (slot < 0 ? slot : (byOld.get(slot) ?? -1));
  return {
    listeners: config.slots.listeners.map(renumber),
    routes: config.slots.routes.map(renumber),
  };
}
