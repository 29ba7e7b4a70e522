/** What is dialled of one backend, and at which pace. */
import { DIAL_ADDRESSES_MAX, DIAL_ATTEMPT_DELAY_MS, DIAL_BACKEND_DELAY_MS } from '../limits.ts';
import type { Candidate, Endpoint } from '../verdict.ts';
import type { PlainBackend } from './plain-pool.ts';

/** The candidates of one backend: its addresses race each other, the next backend is given more time. */
export function candidatesOf(
  { id, proxy }: Pick<PlainBackend, 'id' | 'proxy'>,
  endpoints: readonly Endpoint[],
): readonly Candidate[] {
  const last = Math.min(endpoints.length, DIAL_ADDRESSES_MAX) - 1;
  return endpoints.slice(0, DIAL_ADDRESSES_MAX).map((endpoint, index) => ({
    endpoint,
    backend: id,
    proxy,
    delayMs: index === last ? DIAL_BACKEND_DELAY_MS : DIAL_ATTEMPT_DELAY_MS,
  }));
}
