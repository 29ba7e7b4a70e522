/**
 * Metrics of one proxy, as text for Prometheus. Whatever changes often is counted by the proxy itself and read when
 * somebody asks; only what stands in records of connections is added up here, for which somebody has to listen to them.
 */
import type { BackendState, ConnectionEnded, NameStats, Notice, ProxyStats } from '../events.ts';
import { METRICS_BACKENDS_MAX } from '../limits.ts';
import { EXPOSITION_CONTENT_TYPE, Exposition } from './exposition.ts';
import type { Labels, Sample } from './exposition.ts';
import { writeProcessMetrics } from './process-metrics.ts';
import { RecordTallies } from './record-tallies.ts';

/** The part of a proxy that is looked at. */
export interface MetricsSource {
  readonly backends: readonly BackendState[];
  readonly engine: { readonly name: string };
  stats(): ProxyStats;
  measureLag(): Promise<readonly number[]>;
  on(event: 'ended', listener: (connection: ConnectionEnded) => void): unknown;
  on(event: 'notice', listener: (notice: Notice) => void): unknown;
  off(event: 'ended', listener: (connection: ConnectionEnded) => void): unknown;
  off(event: 'notice', listener: (notice: Notice) => void): unknown;
}

export interface MetricsOptions {
  /** Told as a label of `sniway_build_info`. */
  readonly version?: string;
  /** Lines that an access log has dropped so far. */
  readonly logLinesDropped?: () => number;
}

export interface Metrics {
  /** What `Content-Type` the text has. */
  readonly contentType: string;
  /** All metrics as they are now. */
  render(): Promise<string>;
  /** Listens no more. */
  close(): void;
}

/**
 * Metrics of a proxy from now on. Listens to `ended` and `notice` until `close`. Labels are names of routes, backends
 * as they are configured, listeners and closed lists of words: nothing that a client sends.
 */
export function createMetrics(proxy: MetricsSource, options: MetricsOptions = {}): Metrics {
  const tallies = new RecordTallies();
  const notices: Record<Notice['level'], number> = { debug: 0, info: 0, warn: 0, error: 0 };
  const onEnded = (record: ConnectionEnded): void => tallies.add(record);
  const onNotice = ({ level }: Notice): void => void notices[level]++;
  proxy.on('ended', onEnded);
  proxy.on('notice', onNotice);
  return {
    contentType: EXPOSITION_CONTENT_TYPE,
    async render() {
      const to = new Exposition();
      const { version = 'unknown', logLinesDropped } = options;
      const build = { version, engine: proxy.engine.name };
      to.gauge('sniway_build_info', 'Always 1; its labels tell what runs.', [[build, 1]]);
      writeConnections(to, proxy.stats());
      tallies.writeTo(to);
      writeBackends(to, proxy.backends);
      writeNames(to, proxy.stats().names);
      writeReloads(to, proxy.stats());
      writeEchKeys(to, proxy.stats());
      to.counter('sniway_notices_total', 'What was said to the operator.', labelled('level', notices));
      to.counter(
        'sniway_log_lines_dropped_total',
        'Access lines that could not be written.',
        logLinesDropped === undefined ? [] : [[{}, logLinesDropped()]],
      );
      to.gauge(
        'sniway_worker_lag_seconds',
        'Until the loop of a worker thread gets to something new.',
        (await proxy.measureLag()).map((ms, worker): Sample => [{ worker: String(worker) }, ms / 1_000]),
      );
      await writeProcessMetrics(to);
      return to.text;
    },
    close() {
      proxy.off('ended', onEnded);
      proxy.off('notice', onNotice);
    },
  };
}

function writeConnections(to: Exposition, { state, connections, limits }: ProxyStats): void {
  const { accepted, open, ended, recordsDropped } = connections;
  to.gauge('sniway_ready', '1 while new connections are accepted.', [[{}, state === 'listening' ? 1 : 0]]);
  to.counter('sniway_connections_accepted_total', 'Connections accepted.', [[{}, accepted]]);
  to.gauge('sniway_connections_open', 'Connections open now.', [[{}, open]]);
  to.counter('sniway_connections_ended_total', 'Connections ended.', labelled('reason', ended));
  to.counter(
    'sniway_records_dropped_total',
    'Ended connections that are missing in everything by route or listener, because records were not read in time.',
    [[{}, recordsDropped]],
  );
  to.counter('sniway_limit_forgotten_total', 'Rates forgotten to make room for other clients or names.', [
    [{}, limits.forgotten],
  ]);
  to.counter('sniway_limit_untracked_total', 'Connections not counted for their client or name.', [
    [{}, limits.untracked],
  ]);
}

function writeBackends(to: Exposition, states: readonly BackendState[]): void {
  const told = states.slice(0, METRICS_BACKENDS_MAX);
  const each = (valueOf: (state: BackendState) => number): Sample[] =>
    told.map(state => [{ route: state.route, backend: state.backend }, valueOf(state)]);
  to.gauge(
    'sniway_backend_up',
    '0 while health checks find it down.',
    each(({ state }) => (state === 'down' ? 0 : 1)),
  );
  to.gauge(
    'sniway_backend_ejected',
    '1 while it is left out because connections to it failed.',
    each(({ state }) => (state === 'ejected' ? 1 : 0)),
  );
  to.gauge(
    'sniway_backend_connections',
    'Connections open to it or being dialled.',
    each(({ open }) => open),
  );
  to.counter(
    'sniway_backend_dials_total',
    'Connections dialled.',
    each(({ dialed }) => dialed),
  );
  to.counter(
    'sniway_backend_failures_total',
    'Connections that failed before its first byte.',
    each(({ failed }) => failed),
  );
  to.counter(
    'sniway_backend_ejections_total',
    'Times it was left out.',
    each(({ ejections }) => ejections),
  );
}

function writeEchKeys(to: Exposition, { echKeys }: ProxyStats): void {
  // Two keys of one name and one number are one series, with the newer one's time.
  const times = new Map<string, Sample>();
  for (const { configId, publicName, modifiedAtMs } of echKeys) {
    const key = `${configId} ${publicName}`;
    const seconds = Math.max(modifiedAtMs / 1_000, times.get(key)?.[1] ?? 0);
    times.set(key, [{ config_id: String(configId), public_name: publicName }, seconds]);
  }
  to.gauge(
    'sniway_ech_key_timestamp_seconds',
    'When the file of each key for Encrypted ClientHello that is loaded was written.',
    [...times.values()],
  );
}

function writeReloads(to: Exposition, { reloads }: ProxyStats): void {
  const { succeeded, failed, lastSucceededAtMs } = reloads;
  to.counter('sniway_reloads_total', 'Reloads of the configuration, by what came of them.', [
    [{ result: 'success' }, succeeded],
    [{ result: 'failure' }, failed],
  ]);
  to.gauge(
    'sniway_last_reload_timestamp_seconds',
    'When the last reload was in force.',
    lastSucceededAtMs === null ? [] : [[{}, lastSucceededAtMs / 1_000]],
  );
}

function writeNames(to: Exposition, names: NameStats): void {
  to.gauge(
    'sniway_dns_names',
    'Names held; absent: chosen by clients, and without an address.',
    labelled('kind', {
      configured: names.configuredNames,
      client: names.clientNames,
      absent: names.absentNames,
    }),
  );
  to.gauge(
    'sniway_dns_lookups_running',
    'Look-ups under way.',
    labelled('kind', { configured: names.lookUpsUnderWay, client: names.clientLookUpsUnderWay }),
  );
  to.counter(
    'sniway_dns_answers_total',
    'How names were answered to connections.',
    labelled('answer', {
      fresh: names.hits,
      stale: names.staleHits,
      negative: names.negativeHits,
      waited: names.waits,
    }),
  );
  to.counter(
    'sniway_dns_lookups_total',
    'Look-ups by outcome; refused: not begun, too many were under way.',
    labelled('outcome', {
      found: names.found,
      none: names.none,
      failed: names.failed,
      refused: names.refused,
    }),
  );
  to.counter('sniway_dns_evicted_total', 'Names pushed out by others.', [[{}, names.evicted]]);
  to.counter('sniway_dns_changes_total', 'Changes of what configured names lead to.', [[{}, names.changes]]);
}

function labelled(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([word, value]): [Labels, number] => [{ [label]: word }, value]);
}
