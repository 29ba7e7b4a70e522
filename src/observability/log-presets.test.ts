import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { END_REASONS } from '../events.ts';
import type { ConnectionEnded } from '../events.ts';
import { formatHaproxyLine, formatNginxLine } from './log-presets.ts';

const record: ConnectionEnded = {
  id: 7,
  client: { address: '192.0.2.1', port: 33_313 },
  listener: '[::]:443',
  peer: null,
  startedAtMs: new Date(2026, 1, 6, 12, 12, 51, 443).getTime(),
  serverName: 'www.example.com',
  rawName: null,
  alpnProtocols: ['h2'],
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
  attempts: 2,
  helloMs: 0.5,
  resolveMs: 0.2,
  dialMs: 1.6,
  totalMs: 5_007.4,
  bytesFromClient: 517,
  bytesFromBackend: 212,
  endReason: 'done',
  detail: null,
};
const refused: ConnectionEnded = {
  ...record,
  serverName: null,
  rawName: '10.0.0.1',
  route: null,
  backend: null,
  attempts: 0,
  resolveMs: null,
  dialMs: null,
  endReason: 'no-sni',
};

/** As HAProxy's manual has the fields of a TCP line (section 8.2.2). */
const HAPROXY_LINE =
  /^\S+:\d+ \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] \S+ [^\s/]\S*\/\S+ -?\d+\/-?\d+\/\d+ \d+ [-CSPLRIDKUcs][-RQCHDLT] \d+\/\d+\/\d+\/\d+\/\d+ \d+\/\d+$/;
const NGINX_LINE =
  /^\S+ \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] TCP [2-5]\d\d \d+ \d+ \d+\.\d{3} "\S+" "\d+" "\d+" "(-|\d+\.\d{3})" "[^"\s]+"$/;

describe('formatHaproxyLine()', () => {
  test('writes a line of option tcplog', () => {
    assert.equal(
      formatHaproxyLine(record),
      '192.0.2.1:33313 [06/Feb/2026:12:12:51.443] [::]:443 web/10.0.0.5:443 0/2/5007 212 -- 0/0/0/0/1 0/0',
    );
    assert.equal(
      formatHaproxyLine(refused),
      '192.0.2.1:33313 [06/Feb/2026:12:12:51.443] [::]:443 [::]:443/<NOSRV> -1/-1/5007 212 PR 0/0/0/0/0 0/0',
    );
  });

  test('tells by whom and in which phase a connection was ended', () => {
    const stateOf = (part: Partial<ConnectionEnded>): string | undefined =>
      / ([^ ]{2}) 0\/0\/0\/0/.exec(formatHaproxyLine({ ...record, ...part }))?.[1];
    assert.equal(stateOf({ endReason: 'client-reset' }), 'CD');
    assert.equal(stateOf({ endReason: 'client-gone', dialMs: null }), 'CC');
    assert.equal(stateOf({ endReason: 'client-gone', dialMs: null, helloMs: null }), 'CR');
    assert.equal(stateOf({ endReason: 'dial-timeout', dialMs: null }), 'sC');
    assert.equal(stateOf({ endReason: 'killed' }), 'KD');
  });
});

describe('formatNginxLine()', () => {
  test('writes a line of the stream module', () => {
    const shown = (line: string): string => line.replace(/ [+-]\d{4}\]/, ' +0000]');
    assert.equal(
      shown(formatNginxLine(record)),
      '192.0.2.1 [06/Feb/2026:12:12:56 +0000] TCP 200 212 517 5.007 "10.0.0.5:443" "517" "212" "0.002" "www.example.com"',
    );
    assert.equal(
      shown(formatNginxLine(refused)),
      '192.0.2.1 [06/Feb/2026:12:12:56 +0000] TCP 403 212 517 5.007 "-" "0" "0" "-" "10.0.0.1"',
    );
  });
});

test('access lines of other proxies keep their shape, whatever ends a connection and whatever a route is called', () => {
  const routes = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(fc.constantFrom(...END_REASONS), routes, fc.boolean(), (endReason, route, isRelayed) => {
      const ended = { ...(isRelayed ? record : refused), endReason, route: `r${route}` };
      assert.match(formatHaproxyLine(ended), HAPROXY_LINE);
      assert.match(formatNginxLine({ ...ended, backend: `unix:/${route}` }), NGINX_LINE);
    }),
  );
});
