/** The order in which what a name leads to is dialled: SRV priorities and weights, and a fair share for equals. */
import type { Endpoint } from '../verdict.ts';
import type { AddressTarget, CachedAddresses, ResolvedAddress } from './names.ts';

/**
 * Endpoints in the order to try them. Drawn anew for each connection: targets by priority and weight (RFC 2782), and
 * the addresses of one family from a random one on, so that equal machines get equal shares although answers are
 * cached. The family order of the answer is kept, with the families taking turns, so that a cut leaves both.
 */
export function dialOrder(
  { targets }: CachedAddresses,
  port: number,
  random: () => number = Math.random,
): Endpoint[] {
  const ordered = targets.length === 1 ? targets : orderTargets(targets, random);
  return ordered.flatMap(target =>
    orderAddresses(target.addresses, random).map((entry): Endpoint => ({
      kind: 'tcp',
      address: entry.address,
      port: target.port ?? port,
      family: entry.family,
    })),
  );
}

/** RFC 2782: by priority, and within one by lot, where a target's chance is its share of the weights. */
export function orderTargets(targets: readonly AddressTarget[], random: () => number): AddressTarget[] {
  const priorities = [...new Set(targets.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  return priorities.flatMap(priority =>
    drawByWeight(
      targets.filter(target => target.priority === priority),
      random,
    ),
  );
}

/** The draw of RFC 2782 word for word: those of weight 0 stand first, so that their chance is small, but not nil. */
function drawByWeight(targets: readonly AddressTarget[], random: () => number): AddressTarget[] {
  const left = targets.toSorted((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
  const drawn: AddressTarget[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const lot = Math.floor(random() * (total + 1));
    let sum = 0;
    const index = left.findIndex(({ weight }) => {
      sum += weight;
      return sum >= lot;
    });
    drawn.push(...left.splice(Math.max(index, 0), 1));
  }
  return drawn;
}

function orderAddresses(
  addresses: readonly ResolvedAddress[],
  random: () => number,
): readonly ResolvedAddress[] {
  if (addresses.length === 1) return addresses;
  const first = addresses[0]?.family;
  const preferred = startAnywhere(
    addresses.filter(({ family }) => family === first),
    random,
  );
  const others = startAnywhere(
    addresses.filter(({ family }) => family !== first),
    random,
  );
  const turns = Math.max(preferred.length, others.length);
  return Array.from({ length: turns }, (_, turn) => [preferred[turn], others[turn]])
    .flat()
    .filter(entry => entry !== undefined);
}

function startAnywhere<T>(items: readonly T[], random: () => number): readonly T[] {
  if (items.length < 2) return items;
  const start = Math.floor(random() * items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}
