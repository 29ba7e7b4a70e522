import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { ConnectionEnded } from '../events.ts';
import { formatAccessLine } from './access-log.ts';

const record: ConnectionEnded = {
  id: 7,
  client: { address: '2001:db8::1', port: 50_000 },
  listener: '[::]:443',
  peer: null,
  startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  serverName: 'www.example.com',
  rawName: null,
  alpnProtocols: ['h2', 'http/1.1'],
  tlsVersions: ['1.3', '1.2'],
  ech: 'none',
  outerName: null,
  echConfigId: null,
  echRetried: false,
  echBackend: null,
  echOpenMs: null,
  ja3: null,
  ja4: null,
  route: '*.example.com',
  backend: '10.0.0.5:443',
  attempts: 1,
  helloMs: 0.512,
  resolveMs: 0,
  dialMs: 1.25,
  totalMs: 1234.5678,
  bytesFromClient: 517,
  bytesFromBackend: 4096,
  endReason: 'done',
  detail: null,
};

const refused: ConnectionEnded = {
  ...record,
  serverName: null,
  rawName: '10.0.0.1',
  alpnProtocols: [],
  tlsVersions: [],
  ech: null,
  route: null,
  backend: null,
  helloMs: null,
  resolveMs: null,
  dialMs: null,
  endReason: 'no-sni',
  detail: 'some detail',
};

describe('formatAccessLine()', () => {
  test('writes one line of text', () => {
    assert.equal(
      formatAccessLine(record, 'text'),
      '2026-01-02T03:04:05.678Z [2001:db8::1]:50000 www.example.com route=*.example.com backend=10.0.0.5:443 ' +
        'alpn=h2,http/1.1 tls=1.3 hello=0.5ms resolve=0ms dial=1.3ms total=1234.6ms in=517 out=4096 end=done',
    );
  });

  test('marks what is absent', () => {
    assert.equal(
      formatAccessLine(refused, 'text'),
      '2026-01-02T03:04:05.678Z [2001:db8::1]:50000 "10.0.0.1" route=- backend=- alpn=- hello=- resolve=- dial=- ' +
        'total=1234.6ms in=517 out=4096 end=no-sni detail="some detail"',
    );
  });

  test('tells of a hello what is special', () => {
    const special = {
      ...record,
      ech: 'offered',
      ja3: 'a'.repeat(32),
      ja4: 't13d1516h2_8daaf6152771_e5627efa2ab1',
    } as const;
    assert.match(
      formatAccessLine(special, 'text'),
      / alpn=h2,http\/1\.1 tls=1\.3 ech=offered ja3=a{32} ja4=t13d1516h2_8daaf6152771_e5627efa2ab1 hello=/,
    );
    const { ech, ja3, ja4 } = JSON.parse(formatAccessLine(special, 'json')) as Record<string, unknown>;
    assert.deepEqual([ech, ja3, ja4], [special.ech, special.ja3, special.ja4]);
  });

  test('tells what has come of an encrypted hello', () => {
    const opened = {
      ...record,
      ech: 'accepted',
      outerName: 'public.example',
      echConfigId: 7,
      echRetried: true,
      echBackend: 'confirmed',
      echOpenMs: 0.1234,
    } as const;
    assert.match(
      formatAccessLine(opened, 'text'),
      / ech=accepted outer=public\.example ech-id=7 ech-hellos=2 ech-backend=confirmed hello=/,
    );
    const json = JSON.parse(formatAccessLine(opened, 'json')) as Record<string, unknown>;
    assert.deepEqual([json.outerName, json.echConfigId, json.echRetried], ['public.example', 7, true]);
    assert.deepEqual([json.echBackend, json.echOpenMs], ['confirmed', 0.1]);
  });

  test('tells who has named the client', () => {
    const named = { ...record, peer: { address: 'fd00::1', port: 40_000 } };
    assert.match(
      formatAccessLine(named, 'text'),
      /^\S+ \[2001:db8::1\]:50000 www\.example\.com peer=\[fd00::1\]:40000 route=/,
    );
    const json = JSON.parse(formatAccessLine(named, 'json')) as object;
    assert.deepEqual({ ...json, peer: null, peerPort: null }, JSON.parse(formatAccessLine(record, 'json')));
    assert.match(
      formatAccessLine({ ...record, peer: { address: 'unix', port: 0 } }, 'text'),
      / peer=unix:0 /,
    );
  });

  test('writes one JSON object', () => {
    assert.deepEqual(JSON.parse(formatAccessLine(record, 'json')), {
      time: '2026-01-02T03:04:05.678Z',
      id: 7,
      client: '2001:db8::1',
      clientPort: 50_000,
      peer: null,
      peerPort: null,
      listener: '[::]:443',
      serverName: 'www.example.com',
      rawName: null,
      alpn: ['h2', 'http/1.1'],
      tlsVersion: '1.3',
      tlsVersions: ['1.3', '1.2'],
      ech: 'none',
      outerName: null,
      echConfigId: null,
      echRetried: false,
      echBackend: null,
      echOpenMs: null,
      ja3: null,
      ja4: null,
      route: '*.example.com',
      backend: '10.0.0.5:443',
      attempts: 1,
      helloMs: 0.5,
      resolveMs: 0,
      dialMs: 1.3,
      totalMs: 1234.6,
      bytesFromClient: 517,
      bytesFromBackend: 4096,
      endReason: 'done',
      detail: null,
    });
  });

  test('stays one printable line whatever a detail or a route name holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), detail => {
        for (const format of ['text', 'json'] as const) {
          const line = formatAccessLine({ ...record, detail }, format);
          assert.match(line, /^[\x20-\x7e]*$/);
          if (format === 'json') JSON.parse(line);
          else assert.match(line, / end=done detail=(\S+|"[^"]*")$/);
        }
      }),
    );
  });
});
