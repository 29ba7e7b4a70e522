/** Metrics of running proxies, on both engines. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { createMetrics } from '../../src/index.ts';
import type { Metrics } from '../../src/index.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { connectRaw, readToEnd, startEchoBackend } from '../support/peers.ts';
import { isInstalled, run } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';
import type { TestProxy } from '../support/proxies.ts';

const NAME = 'www.example.com';
const STRANGERS = 10_000;
const AT_ONCE = 50;

const engines = [
  { engine: 'portable', skip: false },
  { engine: 'linux', skip: loadKernel().ok ? false : 'the linux engine cannot run here' },
] as const;

interface Measured extends TestProxy {
  readonly metrics: Metrics;
  /** Values by series. */
  readonly read: () => Promise<ReadonlyMap<string, number>>;
}

async function startMeasured(t: TestContext, engine: 'portable' | 'linux'): Promise<Measured> {
  const echo = await startEchoBackend(t);
  const other = await startEchoBackend(t);
  const backends = [echo.address, other.address];
  const proxied = await startProxy(t, {
    engine,
    workers: 2,
    routes: [{ name: 'web', match: NAME, backends }],
  });
  const metrics = createMetrics(proxied.proxy, { version: '1.2.3', logLinesDropped: () => 7 });
  return {
    ...proxied,
    metrics,
    async read() {
      const lines = (await metrics.render()).split('\n').filter(line => line !== '' && !line.startsWith('#'));
      const values = lines.map(line => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))] as const;
      });
      assert.equal(new Set(values.map(([series]) => series)).size, values.length, 'a series comes twice');
      return new Map(values);
    },
  };
}

async function visit(t: TestContext, port: number, serverName: string): Promise<void> {
  const client = await connectRaw(t, port);
  client.end(buildClientHello({ serverName }));
  await readToEnd(client);
}

for (const { engine, skip } of engines) {
  describe(`metrics on the ${engine} engine`, { skip }, () => {
    test('count what has happened', async t => {
      const measured = await startMeasured(t, engine);
      const { port, read, opened } = measured;
      await visit(t, port, NAME);
      await visit(t, port, 'other.example.com');
      const records = [await measured.nextEnd(), await measured.nextEnd()];
      const bytes = records.reduce((sum, { bytesFromClient }) => sum + bytesFromClient, 0);
      assert.equal(opened(), 2);
      const values = await read();
      const expected = {
        [`sniway_build_info{version="1.2.3",engine="${engine}"}`]: 1,
        sniway_ready: 1,
        sniway_connections_accepted_total: 2,
        sniway_connections_open: 0,
        'sniway_connections_ended_total{reason="done"}': 1,
        'sniway_connections_ended_total{reason="unknown-name"}': 1,
        'sniway_connections_ended_total{reason="killed"}': 0,
        'sniway_route_connections_total{route="web",reason="done"}': 1,
        'sniway_route_connections_total{route="-",reason="unknown-name"}': 1,
        'sniway_route_bytes_total{route="web",from="client"}': bytes,
        'sniway_route_bytes_total{route="web",from="backend"}': bytes,
        'sniway_route_dial_seconds_count{route="web"}': 1,
        'sniway_route_connection_seconds_bucket{route="web",le="+Inf"}': 1,
        sniway_hello_seconds_count: 2,
        [`sniway_listener_connections_total{listener="127.0.0.1:${port}"}`]: 2,
        sniway_records_dropped_total: 0,
        sniway_log_lines_dropped_total: 7,
        sniway_limit_untracked_total: 0,
        'sniway_dns_names{kind="configured"}': 0,
      };
      for (const [series, value] of Object.entries(expected)) assert.equal(values.get(series), value, series);
      const lags = [0, 1].map(worker => values.get(`sniway_worker_lag_seconds{worker="${worker}"}`));
      if (engine === 'portable') assert.deepEqual(lags, [undefined, undefined]);
      else for (const lag of lags) assert.ok(lag !== undefined && lag >= 0 && lag < 1, `${lag}`);
      const dials = [...values].flatMap(([series, value]) =>
        series.startsWith('sniway_backend_dials_total{route="web",backend="127.0.0.1:') ? [value] : [],
      );
      assert.deepEqual(
        dials.toSorted((a, b) => a - b),
        [0, 1],
      );
      for (const series of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'process_open_fds'])
        assert.ok((values.get(series) ?? 0) > 0, series);
    });

    test('have as many series after 10,000 different names', async t => {
      const { port, ended, read, proxy } = await startMeasured(t, engine);
      await visit(t, port, 'name-0.example.net');
      await visit(t, port, NAME);
      while (proxy.stats().connections.open > 0 || ended.length < 2) await new Promise(setImmediate);
      const before = [...(await read()).keys()];
      for (let first = 1; first <= STRANGERS; first += AT_ONCE) {
        await Promise.all(
          Array.from({ length: AT_ONCE }, (_, index) => visit(t, port, `name-${first + index}.example.net`)),
        );
      }
      while (ended.length < STRANGERS + 2) await new Promise(setImmediate);
      const after = await read();
      assert.deepEqual([...after.keys()], before);
      assert.equal(after.get('sniway_connections_ended_total{reason="unknown-name"}'), STRANGERS + 1);
    });

    test('listen to nothing once they are closed, and go on telling what the proxy counts', async t => {
      const measured = await startMeasured(t, engine);
      const { port, read, metrics, proxy } = measured;
      metrics.close();
      await visit(t, port, NAME);
      await measured.nextEnd();
      const values = await read();
      assert.equal(values.get('sniway_connections_accepted_total'), 1);
      assert.equal(values.get('sniway_hello_seconds_count'), 0);
      await proxy.close();
      const closed = await read();
      assert.equal(closed.get('sniway_ready'), 0);
      assert.equal(
        closed.get('sniway_connections_ended_total{reason="done"}'),
        1,
        'counts outlive the engine',
      );
    });

    test('are what promtool expects', async t => {
      if (!isInstalled('promtool')) return t.skip('promtool not installed');
      const measured = await startMeasured(t, engine);
      const { port, metrics } = measured;
      await visit(t, port, NAME);
      await measured.nextEnd();
      const { code, stdout, stderr } = await run(t, ['promtool', 'check', 'metrics'], await metrics.render());
      assert.equal(code, 0, stdout + stderr);
      assert.equal(stdout + stderr, '');
    });
  });
}
