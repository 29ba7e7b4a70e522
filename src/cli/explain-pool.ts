/** The part of `sniway explain` that tells of a route's backends and of how one is chosen. */
import { formatBackend } from '../backends/backend-address.ts';
import type { Balance, PlainBackend, PlainPool } from '../backends/plain-pool.ts';
import { escapeControls } from '../config/plain-text.ts';

/** A word and what is told about it; a line that goes on with the one before has no word. */
export type Line = readonly [word: string, text: string];

const BALANCE_TEXTS: Readonly<Record<Balance, string>> = {
  'round-robin': 'in turn, by weight',
  'least-connections': 'the fewest connections for its weight',
  'random-of-two': 'the less busy of two picked at random',
  'hash-client': 'always the same for a client address',
  'hash-name': 'always the same for a name',
};

/** Its backends, and how one is chosen where there are several. */
export function describePool(pool: PlainPool): Line[] {
  const backends = pool.backends.map((backend, index): Line => {
    const isAlone = pool.backends.length === 1;
    return [index > 0 ? '' : isAlone ? 'backend' : 'backends', describeBackend(backend)];
  });
  return [...backends, ...describeBalance(pool), ...describeHealth(pool)];
}

function describeBackend({ backend, weight, backup, maxConnections, proxy }: PlainBackend): string {
  const more = [
    ...(weight === 1 ? [] : [`weight ${weight}`]),
    ...(backup ? ['backup'] : []),
    ...(maxConnections === 0 ? [] : [`at most ${maxConnections} connections`]),
    ...(proxy === null ? [] : [`PROXY v${proxy.version}`]),
  ];
  const text = escapeControls(formatBackend(backend));
  return more.length === 0 ? text : `${text} (${more.join(', ')})`;
}

function describeBalance({ backends, balance, retry, ejection }: PlainPool): Line[] {
  if (backends.length === 1) return [];
  const retries = retry === 0 ? 'no other is tried' : `up to ${retry} more tried`;
  const ejected =
    ejection.failures === 0
      ? []
      : [
          [
            '',
            `left out for ${ejection.baseMs / 1000}s and longer after ${ejection.failures} failures in a row`,
          ] as const,
        ];
  return [['balance', `${balance}: ${BALANCE_TEXTS[balance]}; ${retries} when it fails`], ...ejected];
}

function describeHealth({ health, onDown }: PlainPool): Line[] {
  if (health === null) return [];
  const { check, serverName, ech, intervalMs } = health;
  const what = check === 'tls' ? `tls for ${escapeControls(serverName)}${ech ? ' and ECH' : ''}` : 'tcp';
  return [
    ['health', `${what} every ${intervalMs / 1000}s; connections of a backend that is down: ${onDown}`],
  ];
}
