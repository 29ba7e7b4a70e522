/** How two configurations differ, as somebody who reloads wants to hear it. */
import { isDeepStrictEqual } from 'node:util';
import type { CheckedConfig } from './config/check-config.ts';
import type { BoundAddress } from './events.ts';
import type { ReloadResult } from './sni-proxy.ts';
import type { PlainRoute } from './snapshot.ts';

/** Settings that a running process cannot change. */
const FIXED = ['engine', 'workers', 'spin', 'admin'] as const;

/** What becomes of the settings of the configuration, by their keys there. */
const SETTINGS: Readonly<Record<string, readonly (keyof CheckedConfig)[]>> = {
  listen: ['listeners'],
  policies: ['policies'],
  guard: ['allowNets', 'denyNets'],
  resolver: ['resolver'],
  timeouts: ['helloTimeoutMs', 'dialTimeoutMs', 'drainTimeoutMs'],
  limits: ['limits', 'pending'],
  ech: ['ech'],
  tcp: ['tcp'],
  fingerprints: ['fingerprints'],
};

/** A configuration as this process can carry it out: what it cannot change stays. */
export function keepFixed(before: CheckedConfig, next: CheckedConfig): CheckedConfig {
  const { engine, workers, spin, admin } = before;
  return { ...next, engine, workers, spin, admin };
}

interface Side {
  readonly config: CheckedConfig;
  readonly addresses: readonly BoundAddress[];
}

/** `next.config` is what was asked for. */
export function describeReload(before: Side, next: Side): ReloadResult {
  return {
    addresses: next.addresses,
    opened: missingFrom(before.addresses, next.addresses),
    closed: missingFrom(next.addresses, before.addresses),
    routes: compareRoutes(before.config.routes, next.config.routes),
    settings: Object.keys(SETTINGS).filter(key =>
      SETTINGS[key]!.some(part => !isDeepStrictEqual(before.config[part], next.config[part])),
    ),
    waiting: FIXED.filter(key => !isDeepStrictEqual(before.config[key], next.config[key])),
  };
}

/** Those of `others` that are not among `addresses`. */
function missingFrom(
  addresses: readonly BoundAddress[],
  others: readonly BoundAddress[],
): readonly BoundAddress[] {
  const texts = new Set(addresses.map(({ text }) => text));
  return others.filter(({ text }) => !texts.has(text));
}

function compareRoutes(before: readonly PlainRoute[], next: readonly PlainRoute[]): ReloadResult['routes'] {
  const known = new Map(before.map(route => [route.name, textOf(route)]));
  const names = new Set(next.map(({ name }) => name));
  return {
    added: next.flatMap(({ name }) => (known.has(name) ? [] : [name])),
    changed: next.flatMap(route =>
      known.has(route.name) && known.get(route.name) !== textOf(route) ? [route.name] : [],
    ),
    removed: before.flatMap(({ name }) => (names.has(name) ? [] : [name])),
  };
}

/** Numbers are given anew each time a file is read, and say nothing. */
function textOf(route: PlainRoute): string {
  return JSON.stringify(route, (key, value: unknown) => (key === 'id' ? undefined : value));
}
