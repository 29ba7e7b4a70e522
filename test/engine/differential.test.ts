/**
 * Both engines are driven with the same random scripts, and whatever their peers can see must be the same: the bytes,
 * how each stream ends, in which order, and the end reason.
 *
 * The peers are raw sockets, and each step waits until the one before has been seen at the other end, so that nothing
 * is left to the scheduler: two runs of one script have one outcome.
 *
 *   SNIWAY_DIFFERENTIAL_SEED  whole number; by default another one at each run. A failure names the one to repeat.
 *   SNIWAY_DIFFERENTIAL_RUNS  scripts; by default few enough for about 20 s.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { Random } from '../fuzz/random.ts';
import { RawListener } from '../support/raw-sockets.ts';
import { eventually } from '../support/peers.ts';
import { startProxy } from '../support/proxies.ts';
import type { TestProxy } from '../support/proxies.ts';
import type { EngineName } from './conformance.ts';
import { ScriptRun } from './differential/run-script.ts';
import type { Outcome } from './differential/run-script.ts';
import { writeScript } from './differential/script.ts';

const SEED = Number(process.env['SNIWAY_DIFFERENTIAL_SEED'] ?? randomInt(2 ** 31));
const RUNS = Number(process.env['SNIWAY_DIFFERENTIAL_RUNS'] ?? 300);
/** Scripts that run at once, each with a backend of its own. */
const LANES = 8;

interface Subject {
  readonly proxy: TestProxy;
  readonly backends: readonly RawListener[];
}

async function startSubject(t: TestContext, engine: EngineName): Promise<Subject> {
  const backends = Array.from({ length: LANES }, () => new RawListener(t));
  const closed = new RawListener(t).port;
  const proxy = await startProxy(t, {
    engine,
    workers: 2,
    timeouts: { hello: '10s' },
    routes: [
      ...backends.map(({ port }, lane) => ({
        match: `lane${lane}.example.com`,
        backend: `127.0.0.1:${port}`,
      })),
      { match: 'refused.example.com', backend: `127.0.0.2:${closed}` },
      { match: 'denied.example.com', reject: 'reset' },
    ],
  });
  return { proxy, backends };
}

async function outcomeOf(
  t: TestContext,
  { proxy, backends }: Subject,
  task: { seed: number; lane: number },
): Promise<Outcome> {
  const script = writeScript(new Random(task.seed), `lane${task.lane}.example.com`);
  const run = new ScriptRun(t, proxy, backends[task.lane]!);
  // Ports are used again and again.
  const earlier = proxy.ended.length;
  try {
    const outcome = await run.play(script);
    const isMine = ({ client }: { client: { port: number } }): boolean => client.port === run.clientPort;
    if (script.unseen !== true)
      await eventually('the record is announced', () => proxy.ended.slice(earlier).some(isMine), 10_000);
    const record = proxy.ended.slice(earlier).find(isMine);
    return {
      ...outcome,
      endReason: record?.endReason ?? 'none',
      bytes: script.exact ? [record?.bytesFromClient ?? 0, record?.bytesFromBackend ?? 0] : [],
    };
  } finally {
    run.close();
  }
}

const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

test('both engines show the same to their peers, whatever the script', needsKernel, async t => {
  t.diagnostic(`SNIWAY_DIFFERENTIAL_SEED=${SEED} SNIWAY_DIFFERENTIAL_RUNS=${RUNS}`);
  const portable = await startSubject(t, 'portable');
  const linux = await startSubject(t, 'linux');
  const kinds = new Map<string, number>();
  const runLane = async (lane: number): Promise<void> => {
    for (let index = lane; index < RUNS; index += LANES) {
      const seed = (SEED + index) >>> 0;
      const script = writeScript(new Random(seed), `lane${lane}.example.com`);
      const told = `SNIWAY_DIFFERENTIAL_SEED=${seed} SNIWAY_DIFFERENTIAL_RUNS=1: ${script.told.join(', ')}`;
      try {
        const expected = await outcomeOf(t, portable, { seed, lane });
        const actual = await outcomeOf(t, linux, { seed, lane });
        assert.deepEqual(actual, expected);
        kinds.set(expected.endReason, (kinds.get(expected.endReason) ?? 0) + 1);
      } catch (error) {
        throw new Error(told, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
  t.diagnostic([...kinds].map(([kind, count]) => `${kind} ${count}`).join(', '));
  for (const { proxy } of [portable, linux]) {
    await eventually('nothing is open', () => proxy.proxy.connectionCount === 0);
    assert.deepEqual(
      proxy.notices.filter(({ level }) => level === 'error'),
      [],
    );
  }
});
