import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { formatBackend } from '../../backends/backend-address.ts';
import { createTestKey } from '../../../test/support/ech-client.ts';
import { makeKeyFolder } from '../../../test/support/ech-keys.ts';
import { checkConfig } from '../../config/check-config.ts';
import { planVisits } from './plan-visits.ts';
import type { DoctorPlan } from './plan-visits.ts';

const BACKEND = '10.0.0.5:443';

function plan(input: object, names: readonly string[] = [], ech = false): DoctorPlan {
  return planVisits(checkConfig({ listen: 443, ...input }), { names, ech });
}

/** Each visit in a few words. */
function told({ visits }: DoctorPlan): string[] {
  return visits.map(({ route, plain, check, serverName, ech }) =>
    [route, formatBackend(plain.backend), check, serverName, ...(ech ? ['ech'] : [])].join(' '),
  );
}

describe('planVisits()', () => {
  test('asks each backend for the name of its health check, or else the first exact pattern', () => {
    const routes = [
      { match: ['*.a.example', 'www.a.example', 'x.a.example'], backends: [BACKEND, '10.0.0.6:443'] },
      { match: '*.b.example', backend: BACKEND, health: { check: 'tls', name: 'www.b.example' } },
      { match: '/c.*/', backend: 'unix:/run/c.sock' },
      { match: 'd.example', reject: 'close' },
    ];
    assert.deepEqual(told(plan({ routes })), [
      '*.a.example 10.0.0.5:443 tls www.a.example',
      '*.a.example 10.0.0.6:443 tls www.a.example',
      '*.b.example 10.0.0.5:443 tls www.b.example',
      '/c.*/ unix:/run/c.sock tls ',
    ]);
  });

  test('asks for the names that are given at the routes that take them, and names those that none does', () => {
    const routes = [
      { match: 'www.a.example', backend: BACKEND },
      { match: '*.a.example', backend: '10.0.0.6:443' },
      { match: '**.a.example', alpn: 'h2', backend: '10.0.0.7:443' },
    ];
    const found = plan({ routes }, ['x.a.example', 'www.a.example', 'y.a.example', 'other.example']);
    assert.deepEqual(told(found), [
      'www.a.example 10.0.0.5:443 tls www.a.example',
      '*.a.example 10.0.0.6:443 tls x.a.example',
      '*.a.example 10.0.0.6:443 tls y.a.example',
      '**.a.example 10.0.0.7:443 tls ',
    ]);
    assert.deepEqual(found.strangers, ['other.example']);
    assert.deepEqual(found.skipped, []);
  });

  test('skips what leads somewhere only once a client comes', () => {
    const routes = [{ match: 'f.example', decide: () => null }];
    const { visits, skipped } = plan({ routes, suffixes: '.s.example' });
    assert.deepEqual(visits, []);
    assert.deepEqual(
      skipped.map(({ why }) => why),
      ['a function says where it leads', 'it dials the name that a client asks for: give one with --name'],
    );
    const named = plan({ suffixes: '.s.example' }, ['x.s.example']);
    assert.deepEqual(told(named), ['**.s.example {sni}:443 tls x.s.example']);
    assert.deepEqual(named.skipped, []);
  });

  test('only connects where certificates are asked for', () => {
    const routes = [{ match: 'a.example', alpn: 'acme-tls/1', backend: BACKEND }];
    assert.deepEqual(told(plan({ routes })), ['a.example 10.0.0.5:443 tcp a.example']);
  });
});

describe('planVisits(), asked for Encrypted ClientHello', () => {
  const routes = [
    { match: 'a.example', backend: BACKEND },
    { match: 'off.example', ech: 'off', backend: BACKEND },
    { match: 'public.example', backend: BACKEND },
    { name: 'old keys', match: 'old.example', backend: BACKEND },
  ];
  const keys = (t: TestContext): string => makeKeyFolder(t, createTestKey({ publicName: 'public.example' }));

  test('wants it where inner hellos go', t => {
    assert.deepEqual(told(plan({ routes, ech: { keys: keys(t), fallback: 'old keys' } })), [
      'a.example 10.0.0.5:443 tls a.example ech',
      'off.example 10.0.0.5:443 tls off.example',
      'public.example 10.0.0.5:443 tls public.example',
      'old keys 10.0.0.5:443 tls old.example',
    ]);
  });

  test('wants it nowhere without keys, and everywhere if told so', () => {
    const wanted = (ech: boolean): boolean[] => plan({ routes }, [], ech).visits.map(visit => visit.ech);
    assert.deepEqual(wanted(false), [false, false, false, false]);
    assert.deepEqual(wanted(true), [true, true, true, true]);
  });
});
