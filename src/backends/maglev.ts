/**
 * Maglev's consistent hashing (Eisenbud et al., NSDI 2016, section 3.4): a table in which each backend has its share of
 * slots, and keeps nearly all of them when another one comes or goes.
 */
import { MAGLEV_SLOTS, MAGLEV_SLOTS_PER_BACKEND_MIN, MAGLEV_SLOTS_SMALL } from '../limits.ts';
import { hashText } from './hash.ts';

export interface Weighted {
  /** What its place is computed from; different from that of every other one. */
  readonly text: string;
  readonly weight: number;
}

/** Indexes of `backends` by slot. The order they are given in decides nothing. */
export function buildMaglev(backends: readonly Weighted[]): Uint16Array {
  const slots =
    backends.length * MAGLEV_SLOTS_PER_BACKEND_MIN <= MAGLEV_SLOTS_SMALL ? MAGLEV_SLOTS_SMALL : MAGLEV_SLOTS;
  const table = new Uint16Array(slots);
  if (backends.length === 0) return table;
  const taken = new Uint8Array(slots);
  const walkers = backends.map(({ text, weight }, index) => ({
    index,
    text,
    weight,
    ...startOf(text, slots),
  }));
  walkers.sort((a, b) => (a.text < b.text ? -1 : 1));
  const heaviest = Math.max(...backends.map(({ weight }) => weight));
  const credit = new Float64Array(walkers.length);
  for (let filled = 0; ;) {
    for (const [turn, walker] of walkers.entries()) {
      // One turn for each round, less for those of less weight.
      credit[turn]! += walker.weight / heaviest;
      if (credit[turn]! < 1) continue;
      credit[turn]! -= 1;
      while (taken[walker.at] === 1) walker.at = (walker.at + walker.skip) % slots;
      taken[walker.at] = 1;
      table[walker.at] = walker.index;
      if (++filled === slots) return table;
    }
  }
}

/** Where a backend's preferences begin and how they go on: through all slots, because their number is a prime. */
function startOf(text: string, slots: number): { at: number; skip: number } {
  return { at: hashText(text, 1) % slots, skip: (hashText(text, 2) % (slots - 1)) + 1 };
}
