/** Whether backends support Encrypted ClientHello: asked of real servers. */
import assert from 'node:assert/strict';
import { createServer as createWebServer } from 'node:http';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { checkBackend, examineBackend, probeEch } from '../../src/backends/ech-probe.ts';
import type { BackendReport } from '../../src/backends/ech-probe.ts';
import { SECRET, startEchBackend } from '../support/ech-backends.ts';
import { eventually, readBytes, startBackend } from '../support/peers.ts';
import { freePort } from '../support/ports.ts';
import { needs } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from '../support/tls-backends.ts';

const PROXY = {
  version: 2,
  authority: false,
  alpn: false,
  uniqueId: false,
  crc32c: false,
  custom: [],
} as const;
const NAME = { serverName: SECRET, alpnProtocols: [] };
const CONFIRMED = { kind: 'confirmed' };
const UNCONFIRMED = { kind: 'unconfirmed' };
const TOO_OLD = { kind: 'no-tls-1.3' };

function targetAt(port: number, timeoutMs = 10_000) {
  const endpoint = { kind: 'tcp', address: '127.0.0.1', port, family: 4 } as const;
  return { endpoint, proxy: null, timeoutMs, signal: new AbortController().signal };
}

function checkAt(port: number) {
  return { ...targetAt(port), ...NAME, check: 'tls', ech: true } as const;
}

const probe = (port: number, timeoutMs?: number): ReturnType<typeof probeEch> =>
  probeEch(targetAt(port, timeoutMs), NAME);
const examine = (port: number): Promise<BackendReport> => examineBackend(checkAt(port));

async function portOf(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('the question for Encrypted ClientHello', () => {
  test('is confirmed by BoringSSL, after a HelloRetryRequest too', needs('bssl-tool'), async t => {
    const plain = await startEchBackend(t, 'bssl-tool');
    assert.deepEqual((await examine(plain)).ech, CONFIRMED);
    assert.equal((await checkBackend(checkAt(plain))).problem, null);
    for (const curve of ['P-256', 'P-384', 'P-521']) {
      assert.deepEqual(await probe(await startEchBackend(t, 'bssl-tool', '-curves', curve)), CONFIRMED);
    }
  });

  test('finds OpenSSL 3 unconfirmed, after a HelloRetryRequest too', needs('openssl'), async t => {
    assert.deepEqual((await examine(await startEchBackend(t, 'openssl'))).ech, UNCONFIRMED);
    const retrying = await startEchBackend(t, 'openssl', '-groups', 'P-384');
    assert.deepEqual(await probe(retrying), UNCONFIRMED);
  });

  test('finds GnuTLS unconfirmed', needs('gnutls-serv'), async t => {
    assert.deepEqual((await examine(await startEchBackend(t, 'gnutls-serv'))).ech, UNCONFIRMED);
  });

  test('finds Node unconfirmed, and a health check says so', async t => {
    const authority = await createTrustedAuthority(t);
    const { port } = await startTlsBackend(t, authority, { name: SECRET, serve: serveName('it') });
    const { problem, protocol, ech } = await examine(port);
    assert.deepEqual([problem, protocol, ech], [null, 'TLSv1.3', UNCONFIRMED]);
    const check = checkAt(port);
    assert.equal((await checkBackend(check)).problem, 'it does not support Encrypted ClientHello');
    assert.equal((await checkBackend({ ...check, ech: false })).problem, null);
  });

  test('finds servers without TLS 1.3, whatever their alert is', needs('openssl', 'gnutls-serv'), async t => {
    const openssl = await startEchBackend(t, 'openssl', '-tls1_2');
    assert.deepEqual(await probe(openssl), TOO_OLD);
    const priority = 'NORMAL:-VERS-ALL:+VERS-TLS1.2';
    const gnutls = await startEchBackend(t, 'gnutls-serv', '--priority', priority);
    assert.deepEqual(await probe(gnutls), {
      kind: 'unknown',
      reason: 'it answers with the alert handshake_failure',
    });
    for (const port of [openssl, gnutls]) {
      const { protocol, ech } = await examine(port);
      assert.deepEqual([protocol, ech], ['TLSv1.2', TOO_OLD]);
      assert.equal((await checkBackend(checkAt(port))).problem, 'it does not speak TLS 1.3');
    }
  });

  test('is left open by servers that speak no TLS, stay silent, hang up or are not there', async t => {
    const web = await portOf(t, createWebServer());
    const silent = (await startBackend(t)).port;
    const hangingUp = await portOf(
      t,
      createServer(socket => socket.end()),
    );
    const closed = await freePort();
    const reasonAt = async (port: number, timeoutMs?: number): Promise<string> => {
      const support = await probe(port, timeoutMs);
      return support.kind === 'unknown' ? support.reason : support.kind;
    };
    assert.equal(await reasonAt(web), 'its answer is no TLS handshake');
    assert.equal(await reasonAt(silent, 50), 'it does not answer in time');
    assert.equal(await reasonAt(hangingUp), 'it closes the connection without an answer');
    assert.equal(await reasonAt(closed), 'ECONNREFUSED');
  });

  test('has a PROXY header in front where the backend expects one', async t => {
    const backend = await startBackend(t);
    const asked = probeEch({ ...targetAt(backend.port), proxy: PROXY }, NAME);
    const socket = await backend.next();
    const bytes = await readBytes(socket, 18);
    assert.equal(bytes.subarray(0, 12).toString('latin1'), '\r\n\r\n\0\r\nQUIT\n');
    assert.deepEqual([...bytes.subarray(16)], [22, 3]);
    socket.destroy();
    assert.equal((await asked).kind, 'unknown');
  });
});

test(
  'a health check that wants Encrypted ClientHello takes a backend down without it',
  needs('bssl-tool'),
  async t => {
    const authority = await createTrustedAuthority(t);
    const node = await startTlsBackend(t, authority, { name: SECRET, serve: serveName('it') });
    const boring = `127.0.0.1:${await startEchBackend(t, 'bssl-tool')}`;
    const { proxy } = await startProxy(t, {
      engine: 'portable',
      routes: [{ match: SECRET, backends: [node.address, boring], health: { check: 'tls', ech: true } }],
    });
    const told: string[] = [];
    proxy.on('backend', ({ backend, state, detail }) => told.push(`${backend} ${state}: ${detail}`));
    await eventually('a backend is down', () => told.length > 0);
    assert.deepEqual(told, [`${node.address} down: it does not support Encrypted ClientHello`]);
    const states = proxy.backends.map(({ backend, state }) => `${backend} ${state}`);
    assert.deepEqual(states, [`${node.address} down`, `${boring} up`]);
  },
);
