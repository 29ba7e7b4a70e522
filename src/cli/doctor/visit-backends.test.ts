import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBackend } from '../../../test/support/peers.ts';
import { checkConfig } from '../../config/check-config.ts';
import { DOCTOR_ADDRESSES_MAX } from '../../limits.ts';
import { planVisits } from './plan-visits.ts';
import { visitBackends } from './visit-backends.ts';

describe('visitBackends()', () => {
  test('tells of each backend in its order, and of one that leads nowhere', async t => {
    const open = await startBackend(t);
    const config = checkConfig({
      listen: 443,
      resolver: { servers: ['127.0.0.1:9'], timeout: '1s' },
      timeouts: { dial: '200ms' },
      routes: [
        { match: 'a.example', alpn: 'acme-tls/1', backends: ['name.invalid:443', open.address] },
        { match: 'b.example', backend: 'unix:/nowhere/b.sock' },
      ],
    });
    const { visits } = planVisits(config, { names: [], ech: false });
    const { visited, leftOut } = await visitBackends(visits, config);
    assert.equal(leftOut, 0);
    const told = visited.map(found =>
      found.kind === 'lost' ? 'lost' : found.looks.map(({ report }) => report.problem).join(),
    );
    assert.deepEqual(told, ['lost', '', 'ENOENT']);
  });

  test('looks at a bounded number of addresses, and counts the rest', async () => {
    const backends = Array.from({ length: 512 }, (_, index) => `unix:/nowhere/${index}.sock`);
    const routes = ['a.example', 'b.example'].map(match => ({ match, backends }));
    const config = checkConfig({ listen: 443, routes });
    const { visits } = planVisits(config, { names: [], ech: false });
    const { visited, leftOut } = await visitBackends(visits, config);
    assert.equal(visited.length, DOCTOR_ADDRESSES_MAX);
    assert.equal(leftOut, 1024 - DOCTOR_ADDRESSES_MAX);
    assert.ok(visited.every(found => found.kind === 'looked' && found.looks.length === 1));
  });
});
