import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BackendReport } from '../../backends/ech-probe.ts';
import { checkConfig } from '../../config/check-config.ts';
import { judgeVisits } from './judge-visits.ts';
import type { Diagnosis } from './judge-visits.ts';
import { planVisits } from './plan-visits.ts';
import type { Visit } from './plan-visits.ts';
import { isAllWell, renderDoctor, renderDoctorJson } from './render-doctor.ts';

const NOW_MS = Date.parse('2026-06-01T00:00:00Z');
const DAY_MS = 86_400_000;
const WELL: BackendReport = {
  problem: null,
  expiresAtMs: NOW_MS + 20.5 * DAY_MS,
  connectMs: 3.4,
  protocol: 'TLSv1.3',
  ech: null,
};
const UNREACHABLE = { ...WELL, problem: 'ENETUNREACH', expiresAtMs: null, connectMs: null, protocol: null };

function visitOf(match: string): Visit {
  const config = checkConfig({ listen: 443, routes: [{ match, backend: 'web.internal:443' }] });
  return planVisits(config, { names: [], ech: false }).visits[0]!;
}

function judge(match: string, ...reports: readonly BackendReport[]): Diagnosis[] {
  const looks = reports.map((report, index) => ({
    endpoint: { kind: 'tcp', address: `10.0.0.${index + 1}`, port: 443, family: 4 } as const,
    report,
  }));
  return judgeVisits([{ kind: 'looked', visit: visitOf(match), looks }], NOW_MS);
}

const outcome = ({ status, problems }: Diagnosis): string => [status, ...problems].join(', ');

describe('judgeVisits()', () => {
  test('finds an address failed that does what no client can use', () => {
    const reports: readonly (readonly [Partial<BackendReport>, string])[] = [
      [{}, 'ok'],
      [
        { problem: 'its certificate is not valid for a.example' },
        'failed, its certificate is not valid for a.example',
      ],
      [{ ...UNREACHABLE, connectMs: 2, problem: 'timeout' }, 'failed, no TLS handshake: timeout'],
      [{ ech: { kind: 'confirmed' } }, 'ok'],
      [{ ech: { kind: 'unconfirmed' } }, 'failed, it does not support Encrypted ClientHello'],
      [{ ech: { kind: 'no-tls-1.3' } }, 'failed, it does not speak TLS 1.3'],
      [{ expiresAtMs: NOW_MS + 13 * DAY_MS }, 'warning, its certificate expires soon'],
    ];
    for (const [report, expected] of reports) {
      const [diagnosis] = judge('a.example', { ...WELL, ...report });
      assert.equal(outcome(diagnosis!), expected);
      assert.equal(diagnosis!.remedies.length, expected === 'ok' ? 0 : 1);
    }
  });

  test('only warns of an address without an answer where another one answers', () => {
    assert.deepEqual(judge('a.example', UNREACHABLE).map(outcome), ['failed, ENETUNREACH']);
    const both = judge('a.example', WELL, UNREACHABLE);
    assert.deepEqual(both.map(outcome), ['ok', 'warning, ENETUNREACH']);
  });

  test('only warns of what a backend may refuse because no name was asked for', () => {
    const refused = { ...UNREACHABLE, connectMs: 2, problem: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' };
    const unsure: BackendReport = { ...WELL, ech: { kind: 'unknown', reason: 'it resets the connection' } };
    for (const report of [refused, unsure]) {
      assert.equal(judge('a.example', report)[0]?.status, 'failed');
      assert.equal(judge('*.a.example', report)[0]?.status, 'warning');
    }
    const sure: BackendReport = { ...WELL, ech: { kind: 'unconfirmed' } };
    assert.equal(judge('*.a.example', sure)[0]?.status, 'failed');
  });
});

describe('renderDoctor()', () => {
  const nothing = { diagnoses: [], skipped: [], strangers: [], leftOut: 0 };

  test('has a block for each route, with each remedy once', () => {
    const bad: BackendReport = { ...WELL, ech: { kind: 'no-tls-1.3' }, protocol: 'TLSv1.2' };
    const diagnoses = judge('a.example', bad, { ...WELL, ech: { kind: 'confirmed' } }, bad);
    const facts = 'connected in 3 ms; TLS 1.2; certificate valid for 20 more days';
    const fault = 'it does not speak TLS 1.3';
    assert.deepEqual(renderDoctor({ ...nothing, diagnoses }, NOW_MS).split('\n'), [
      'route     a.example',
      `failed    web.internal:443 at 10.0.0.1:443 for a.example: ${fault}; ${facts}`,
      'ok        web.internal:443 at 10.0.0.2:443 for a.example: connected in 3 ms; TLS 1.3; certificate valid for 20 more days; supports Encrypted ClientHello',
      `failed    web.internal:443 at 10.0.0.3:443 for a.example: ${fault}; ${facts}`,
      'remedy    turn on TLS 1.3 at the backend, or publish no key for its names and write ech: "off"',
      '',
      'failed: 2 of 3 addresses',
      '',
    ]);
  });

  test('tells what was skipped, and counts a name that no route takes as a failure', () => {
    const skipped = [{ route: 'f', why: 'a function says where it leads' }];
    const report = { ...nothing, skipped, strangers: ['x.example'], leftOut: 7 };
    assert.equal(
      renderDoctor(report, NOW_MS),
      [
        'skipped   route f: a function says where it leads',
        'failed    x.example: no route takes this name',
        'skipped   7 addresses: at most 1000 are looked at',
        '',
        'failed: names that no route takes',
        '',
      ].join('\n'),
    );
    assert.equal(isAllWell(report), false);
    assert.equal(isAllWell({ ...report, strangers: [] }), true);
  });

  test('gives control characters of problems no way to a terminal', () => {
    const [diagnosis] = judge('a.example', { ...WELL, problem: 'an alert\u001b[2J' });
    assert.match(renderDoctor({ ...nothing, diagnoses: [diagnosis!] }, NOW_MS), /an alert\\x1b\[2J/);
  });

  test('tells programs the same', () => {
    const diagnoses = judge('a.example', WELL);
    const { ok, results } = JSON.parse(renderDoctorJson({ ...nothing, diagnoses })) as {
      ok: boolean;
      results: unknown[];
    };
    assert.equal(ok, true);
    assert.deepEqual(results, [
      {
        route: 'a.example',
        backend: 'web.internal:443',
        address: '10.0.0.1:443',
        name: 'a.example',
        status: 'ok',
        connectMs: 3,
        tls: 'TLSv1.3',
        expiresAt: '2026-06-21T12:00:00.000Z',
        ech: null,
        problems: [],
        remedies: [],
      },
    ]);
  });
});
