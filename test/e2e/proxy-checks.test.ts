/** Health checks of backends that expect a PROXY header. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeBackend } from '../../src/backends/health-probe.ts';
import { readProxyOut } from '../../src/config/read-proxy.ts';
import { needs } from '../support/programs.ts';
import { NAME, startHaproxyBackend, startNginxBackend } from '../support/proxy-partners.ts';
import { createTrustedAuthority } from '../support/tls-backends.ts';

for (const [program, startBackend] of [
  ['haproxy', startHaproxyBackend],
  ['nginx', startNginxBackend],
] as const) {
  test(`a check finds ${program} well that expects a PROXY header`, needs(program), async t => {
    const authority = await createTrustedAuthority(t);
    const { address } = await startBackend(t, authority);
    const endpoint = { kind: 'unix', path: address.slice('unix:'.length) } as const;
    const { signal } = new AbortController();
    const probe = { endpoint, serverName: NAME, alpnProtocols: [], timeoutMs: 5_000, signal };
    for (const check of ['tls', 'tcp'] as const) {
      for (const proxyProtocol of ['v1', 'v2']) {
        const proxy = readProxyOut({ proxyProtocol });
        const { problem } = await probeBackend({ ...probe, check, proxy });
        assert.equal(problem, null, `${proxyProtocol} ${check}`);
      }
    }
    assert.notEqual((await probeBackend({ ...probe, check: 'tls', proxy: null })).problem, null);
  });
}
