import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { HEALTH_CHECKS_MAX } from '../limits.ts';
import { HealthChecker } from './health-checker.ts';
import type { ProbeResult } from './health-probe.ts';
import type { ProbeTarget } from './probe-socket.ts';
import type { PlainHealth } from './plain-pool.ts';

const HEALTH: PlainHealth = {
  check: 'tcp',
  serverName: '',
  ech: false,
  intervalMs: 1,
  timeoutMs: 1_000,
  rise: 2,
  fall: 3,
  expiryDays: 14,
};
const ENDPOINT = { kind: 'tcp', address: '10.0.0.1', port: 443, family: 4 } as const;
const WELL: ProbeResult = { problem: null, expiresAtMs: null };
const ILL: ProbeResult = { problem: 'ECONNREFUSED', expiresAtMs: null };

interface Told {
  readonly changes: string[];
  readonly expiries: number[];
}

/** Checks one backend with these answers, then hangs; resolves with what was told. */
async function check(t: TestContext, answers: readonly ProbeResult[], health = HEALTH): Promise<Told> {
  const told: Told = { changes: [], expiries: [] };
  let given = 0;
  await new Promise<void>(resolve => {
    const checker = new HealthChecker(
      [{ owner: 'a', health, proxy: null }],
      {
        locate: () => Promise.resolve([ENDPOINT]),
        changed: (owner, problem) => told.changes.push(`${given}: ${owner} ${problem ?? 'up'}`),
        expires: (_, expiresAtMs) => told.expiries.push(expiresAtMs),
      },
      {
        probe: () => {
          const answer = answers[given++];
          if (answer !== undefined) return Promise.resolve(answer);
          resolve();
          return new Promise(() => undefined);
        },
      },
    );
    t.after(() => checker.close());
    // The checker's timers keep no process alive.
    const alive = setInterval(() => undefined, 1_000);
    t.after(() => clearInterval(alive));
    checker.start();
  });
  return told;
}

describe('HealthChecker', () => {
  test('decides by the first check, then by several in a row', async t => {
    const told = await check(t, [ILL, WELL, ILL, WELL, WELL, ILL, ILL, WELL, ILL, ILL, ILL]);
    assert.deepEqual(told.changes, ['1: a ECONNREFUSED', '5: a up', '11: a ECONNREFUSED']);
  });

  test('tells nothing of a backend that is well from the beginning', async t => {
    assert.deepEqual((await check(t, [WELL, WELL, ILL, ILL, WELL])).changes, []);
  });

  test('warns once of a certificate that expires soon, and again of the next one', async t => {
    const inDays = (days: number): ProbeResult => ({
      problem: null,
      expiresAtMs: Date.now() + days * 86_400_000,
    });
    const [soon, sooner, late] = [inDays(13), inDays(5), inDays(15)];
    const { expiries } = await check(t, [late, soon, soon, late, sooner, sooner]);
    assert.deepEqual(expiries, [soon.expiresAtMs, sooner.expiresAtMs]);
  });

  test('finds a backend down whose name leads nowhere, and up with one address of several', async t => {
    const alive = setInterval(() => undefined, 1_000);
    t.after(() => clearInterval(alive));
    const problems = await new Promise<(string | null)[]>(resolve => {
      const found: (string | null)[] = [];
      let located = 0;
      const checker = new HealthChecker(
        [{ owner: 'a', health: { ...HEALTH, rise: 1 }, proxy: null }],
        {
          locate: () =>
            located++ === 0
              ? Promise.reject(new Error('ENOTFOUND'))
              : Promise.resolve([ENDPOINT, { ...ENDPOINT, address: '10.0.0.2' }]),
          changed: (_, problem) => {
            found.push(problem);
            if (found.length === 2) resolve(found);
          },
          expires: () => undefined,
        },
        {
          probe: ({ endpoint }: ProbeTarget) =>
            Promise.resolve(endpoint.kind === 'tcp' && endpoint.address === '10.0.0.2' ? WELL : ILL),
        },
      );
      t.after(() => checker.close());
      checker.start();
    });
    assert.deepEqual(problems, ['ENOTFOUND', null]);
  });

  test('checks a bounded number at once, and all of them', async t => {
    const alive = setInterval(() => undefined, 1_000);
    t.after(() => clearInterval(alive));
    let [underWay, most] = [0, 0];
    const checked = new Set<number>();
    await new Promise<void>(resolve => {
      const owners = Array.from({ length: 3 * HEALTH_CHECKS_MAX }, (_, owner) => owner);
      const checker = new HealthChecker(
        owners.map(owner => ({ owner, health: { ...HEALTH, intervalMs: 60_000 }, proxy: null })),
        {
          locate: owner => {
            checked.add(owner);
            most = Math.max(most, ++underWay);
            return Promise.resolve([ENDPOINT]);
          },
          changed: () => undefined,
          expires: () => undefined,
        },
        {
          probe: () =>
            new Promise(answer => {
              setImmediate(() => {
                underWay--;
                answer(WELL);
                if (checked.size === owners.length) resolve();
              });
            }),
        },
      );
      t.after(() => checker.close());
      checker.start();
    });
    assert.equal(most, HEALTH_CHECKS_MAX);
  });

  test('has many real checks under way without a warning of Node', async t => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error): void => void warnings.push(message);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const owners = Array.from({ length: HEALTH_CHECKS_MAX }, (_, owner) => owner);
    const down = new Set<number>();
    const health = { ...HEALTH, intervalMs: 60_000 };
    await new Promise<void>(resolve => {
      const checker = new HealthChecker(
        owners.map(owner => ({ owner, health, proxy: null })),
        {
          locate: () => Promise.resolve([{ kind: 'unix', path: '/nowhere/health.sock' }]),
          changed: owner => {
            if (down.add(owner).size === owners.length) resolve();
          },
          expires: () => undefined,
        },
      );
      t.after(() => checker.close());
      checker.start();
    });
    assert.deepEqual(warnings, []);
  });
});
