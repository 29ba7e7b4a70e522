import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectionEnded } from '../events.ts';
import { METRICS_ROUTES_MAX } from '../limits.ts';
import { Exposition } from './exposition.ts';
import { RecordTallies } from './record-tallies.ts';

const record: ConnectionEnded = {
  id: 1,
  client: { address: '127.0.0.1', port: 1 },
  listener: '127.0.0.1:8443',
  peer: null,
  startedAtMs: 0,
  serverName: 'www.example.com',
  rawName: null,
  alpnProtocols: [],
  tlsVersions: ['1.3', '1.2'],
  ech: 'none',
  outerName: null,
  echConfigId: null,
  echRetried: false,
  echBackend: null,
  echOpenMs: null,
  ja3: null,
  ja4: null,
  route: 'web',
  backend: '10.0.0.5:443',
  attempts: 3,
  helloMs: 2,
  resolveMs: 1,
  dialMs: 4,
  totalMs: 2_000,
  bytesFromClient: 10,
  bytesFromBackend: 20,
  endReason: 'done',
  detail: null,
};

function linesOf(tallies: RecordTallies): string[] {
  const to = new Exposition();
  tallies.writeTo(to);
  return to.text.split('\n').filter(line => line !== '' && !line.startsWith('#'));
}

describe('RecordTallies', () => {
  test('adds records up by route', () => {
    const tallies = new RecordTallies();
    tallies.add(record);
    tallies.add({ ...record, endReason: 'idle' });
    const lines = linesOf(tallies);
    for (const line of [
      'sniway_route_connections_total{route="web",reason="done"} 1',
      'sniway_route_connections_total{route="web",reason="idle"} 1',
      'sniway_route_bytes_total{route="web",from="client"} 20',
      'sniway_route_bytes_total{route="web",from="backend"} 40',
      'sniway_route_retries_total{route="web"} 4',
      'sniway_route_dial_seconds_bucket{route="web",le="0.0025"} 0',
      'sniway_route_dial_seconds_bucket{route="web",le="0.005"} 2',
      'sniway_route_connection_seconds_sum{route="web"} 4',
      'sniway_listener_connections_total{listener="127.0.0.1:8443"} 2',
      'sniway_hello_seconds_count 2',
    ])
      assert.ok(lines.includes(line), `${line} is not in\n${lines.join('\n')}`);
  });

  test('leaves times out that there were none of', () => {
    const tallies = new RecordTallies();
    tallies.add({ ...record, route: null, helloMs: null, resolveMs: null, dialMs: null });
    const lines = linesOf(tallies);
    assert.ok(lines.includes('sniway_route_dial_seconds_count{route="-"} 0'));
    assert.ok(lines.includes('sniway_hello_seconds_count 0'));
  });

  test('has a bound on routes, beyond which they share one set', () => {
    const tallies = new RecordTallies();
    for (let count = 0; count < METRICS_ROUTES_MAX; count++) tallies.add({ ...record, route: `r${count}` });
    tallies.add({ ...record, route: 'one more' });
    const series = linesOf(tallies).length;
    for (let count = 0; count < 100; count++) tallies.add({ ...record, route: `beyond ${count}` });
    const lines = linesOf(tallies);
    assert.equal(lines.length, series);
    assert.ok(lines.includes('sniway_route_connections_total{route="(others)",reason="done"} 101'));
    assert.ok(lines.includes('sniway_route_connections_total{route="r0",reason="done"} 1'));
  });
});
