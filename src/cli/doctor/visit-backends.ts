/** `sniway doctor` at work: it finds the addresses of backends, and looks at each. */
import { createAddressGuard } from '../../backends/address-guard.ts';
import { AddressCache } from '../../backends/address-cache.ts';
import { lookUpName } from '../../backends/backend-address.ts';
import { dialOrder } from '../../backends/dial-order.ts';
import { examineBackend } from '../../backends/ech-probe.ts';
import type { BackendReport } from '../../backends/ech-probe.ts';
import { literalEndpoint, portOf } from '../../backends/pool.ts';
import type { CheckedConfig } from '../../config/check-config.ts';
import { DOCTOR_ADDRESSES_MAX, DOCTOR_AT_ONCE } from '../../limits.ts';
import type { Endpoint } from '../../verdict.ts';
import type { Visit } from './plan-visits.ts';
import { ownListeners } from '../own-listeners.ts';

/** What a visit has found: at each address, or why there is none. */
export type Visited =
  | {
      readonly kind: 'looked';
      readonly visit: Visit;
      readonly looks: readonly Look[];
    }
  | { readonly kind: 'lost'; readonly visit: Visit; readonly problem: string };

export interface Look {
  readonly endpoint: Endpoint;
  readonly report: BackendReport;
}

export interface Visiting {
  readonly visited: readonly Visited[];
  /** Backends and addresses that were not looked at, because there are too many. */
  readonly leftOut: number;
}

type Found = { readonly endpoints: readonly Endpoint[] } | { readonly problem: string };

/** Makes the visits, a bounded number at once; each connection has the time that a dial has. */
export async function visitBackends(planned: readonly Visit[], config: CheckedConfig): Promise<Visiting> {
  const visits = planned.slice(0, DOCTOR_ADDRESSES_MAX);
  const found = await locateAll(visits, config);
  const all = found.flatMap((one, index) =>
    'endpoints' in one ? one.endpoints.map(endpoint => ({ index, endpoint })) : [],
  );
  const places = all.slice(0, DOCTOR_ADDRESSES_MAX);
  const reports = await mapBounded(places, ({ index, endpoint }) => {
    const { plain, ...asked } = visits[index]!;
    // Nobody gives it up: one for each, since many listeners of one would be warned of.
    const { signal } = new AbortController();
    const target = { endpoint, proxy: plain.proxy, timeoutMs: config.dialTimeoutMs, signal };
    return examineBackend({ ...target, ...asked });
  });
  const looks = places.map(({ index, endpoint }, at) => ({ index, endpoint, report: reports[at]! }));
  const visited = visits.map((visit, index): Visited => {
    const one = found[index]!;
    if ('problem' in one) return { kind: 'lost', visit, problem: one.problem };
    return { kind: 'looked', visit, looks: looks.filter(look => look.index === index) };
  });
  return { visited, leftOut: planned.length - visits.length + all.length - places.length };
}

/** Where the backends are, as connections would find them; the guard has its say. */
async function locateAll(visits: readonly Visit[], config: CheckedConfig): Promise<Found[]> {
  const names = new AddressCache(config.resolver);
  const guard = createAddressGuard({ ...config, ownListeners: () => ownListeners(config) });
  const locate = async ({ plain: { backend }, serverName }: Visit): Promise<Found> => {
    const literal = literalEndpoint(backend);
    if (literal !== null) return { endpoints: [literal] };
    const fromClient = backend.kind === 'server-name';
    const host = fromClient ? serverName : (lookUpName(backend) ?? '');
    try {
      const found = await names.resolve(host, { timeoutMs: config.dialTimeoutMs, fromClient });
      return { endpoints: guard.filter(dialOrder(found, portOf(backend)), fromClient) };
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  };
  try {
    return await mapBounded(visits, locate);
  } finally {
    names.close();
  }
}

/** The results in the order of the items, with DOCTOR_AT_ONCE of them under way at most. */
async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const workOff = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: DOCTOR_AT_ONCE }, workOff));
  return results;
}
