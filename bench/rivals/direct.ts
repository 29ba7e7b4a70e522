import type { Contender } from './contender.ts';

/** No proxy: what the load generator and the backend can do. */
export const direct: Contender = { name: 'direct', spread: false, prepare: null };
