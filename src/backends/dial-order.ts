/** The order and the pace in which the addresses of one backend are dialled. */
import { DIAL_ADDRESSES_MAX, DIAL_ATTEMPT_DELAY_MS, DIAL_BACKEND_DELAY_MS } from '../limits.ts';
import type { Candidate, Endpoint } from '../verdict.ts';
import type { PlainBackend } from './plain-pool.ts';

/** Endpoints with the address families taking turns, the family of the first one first (RFC 8305 section 4). */
export function interleaveFamilies(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const familyOf = (endpoint: Endpoint): number => (endpoint.kind === 'tcp' ? endpoint.family : 0);
  const first = endpoints[0] === undefined ? 0 : familyOf(endpoints[0]);
  const preferred = endpoints.filter(endpoint => familyOf(endpoint) === first);
  const others = endpoints.filter(endpoint => familyOf(endpoint) !== first);
  if (others.length === 0) return endpoints;
  const turns = Math.max(preferred.length, others.length);
  return Array.from({ length: turns }, (_, turn) => [preferred[turn], others[turn]])
    .flat()
    .filter(endpoint => endpoint !== undefined);
}

/** The candidates of one backend: its addresses race each other, the next backend is given more time. */
export function candidatesOf(
  { id, proxy }: Pick<PlainBackend, 'id' | 'proxy'>,
  endpoints: readonly Endpoint[],
): readonly Candidate[] {
  const ordered = interleaveFamilies(endpoints).slice(0, DIAL_ADDRESSES_MAX);
  return ordered.map((endpoint, index) => ({
    endpoint,
    backend: id,
    proxy,
    delayMs: index === ordered.length - 1 ? DIAL_BACKEND_DELAY_MS : DIAL_ATTEMPT_DELAY_MS,
  }));
}
