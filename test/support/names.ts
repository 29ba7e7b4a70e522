/** Address caches and name sources under test, over a real DNS server, with a clock that only tests move. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { AddressCache } from '../../src/backends/address-cache.ts';
import type { AddressCacheOptions, CacheClock } from '../../src/backends/address-cache.ts';
import type { CachedAddresses, ResolverSettings } from '../../src/backends/names.ts';
import { readResolver } from '../../src/config/resolver.ts';
import type { DnsServer } from './dns-server.ts';

export interface TestClock extends CacheClock {
  /** Lets time pass, and runs what falls due, in its order. */
  readonly advance: (ms: number) => void;
}

export function createTestClock(): TestClock {
  let nowMs = 1_000;
  const timers = new Set<{ readonly dueMs: number; readonly run: () => void }>();
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { dueMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers]
          .filter(({ dueMs }) => dueMs <= endMs)
          .toSorted((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = Math.max(nowMs, next.dueMs);
        next.run();
      }
      nowMs = endMs;
    },
  };
}

/** The defaults, but for this server, no hosts file, and patience that tests have. */
export function settingsFor(server: DnsServer, more: Partial<ResolverSettings> = {}): ResolverSettings {
  return { ...readResolver({ servers: server.address, hosts: 'none' }), timeoutMs: 1_000, ...more };
}

export interface TestCache {
  readonly cache: AddressCache;
  readonly clock: TestClock;
  /** What was announced of watched names, in order: the host with its addresses. */
  readonly changes: readonly string[];
  readonly troubles: readonly string[];
  /** Resolves when that many changes were announced in all. */
  changed(count: number): Promise<void>;
  /** Resolves when no look-up is under way. */
  settled(): Promise<void>;
}

export function createTestCache(
  t: TestContext,
  settings: ResolverSettings,
  options: AddressCacheOptions = {},
): TestCache {
  const clock = createTestClock();
  const changes: string[] = [];
  const troubles: string[] = [];
  const waiters: (() => void)[] = [];
  const cache = new AddressCache(settings, {
    clock,
    onChange(host, found) {
      changes.push(`${host} ${found === null ? 'nowhere' : addressesOf(found).join(' ')}`);
      for (const waiter of waiters.splice(0)) waiter();
    },
    onTrouble: (host, code) => troubles.push(`${host} ${code ?? 'fine'}`),
    ...options,
  });
  t.after(() => cache.close());
  return {
    cache,
    clock,
    changes,
    troubles,
    async changed(count) {
      while (changes.length < count) {
        await new Promise<void>(resolve => {
          waiters.push(resolve);
        });
      }
    },
    async settled() {
      for (;;) {
        const { lookUpsUnderWay, clientLookUpsUnderWay } = cache.stats();
        if (lookUpsUnderWay + clientLookUpsUnderWay === 0) return;
        await new Promise(resolve => {
          setImmediate(resolve);
        });
      }
    },
  };
}

export function addressesOf({ targets }: CachedAddresses): string[] {
  return targets.flatMap(({ addresses }) => addresses.map(({ address }) => address));
}

/** A file in a folder of its own, gone at the end of the test. */
export function writeTemporary(t: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
