/** PROXY headers with the programs that others run: HAProxy and nginx behind Sniway, in front of it, and on both sides. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ConnectionEnded, RouteConfig } from '../../src/index.ts';
import { needs } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';
import type { TestProxy } from '../support/proxies.ts';
import {
  NAME,
  askWhatWasTold,
  startHaproxyBackend,
  startHaproxyFront,
  startNginxBackend,
  startNginxFront,
} from '../support/proxy-partners.ts';
import { createTrustedAuthority } from '../support/tls-backends.ts';
import type { TrustedAuthority } from '../support/tls-backends.ts';
import type { EngineName } from '../engine/conformance.ts';

const CUSTOM = [{ type: 0xe0, value: 'eu-west' }];

interface Bench {
  readonly authority: TrustedAuthority;
  /** Starts a proxy to this backend; `behind` another proxy, from which it takes headers. */
  readonly start: (
    backend: string,
    sent: Pick<RouteConfig, 'proxyProtocol' | 'tlvs'>,
    behind?: boolean,
  ) => Promise<TestProxy>;
}

async function createBench(t: TestContext, engine: EngineName): Promise<Bench> {
  return {
    authority: await createTrustedAuthority(t),
    start(backend, sent, behind = false) {
      const listen = behind
        ? { address: '127.0.0.1:0', proxyProtocol: { from: '127.0.0.1' } }
        : '127.0.0.1:0';
      return startProxy(t, { engine, listen: [listen], routes: [{ match: NAME, backend, ...sent }] });
    },
  };
}

async function nextEndOf(
  proxy: TestProxy,
  isMeant: (record: ConnectionEnded) => boolean,
): Promise<ConnectionEnded> {
  for (;;) {
    const record = await proxy.nextEnd();
    if (isMeant(record)) return record;
  }
}

export function describeProxyPartners(engine: EngineName): void {
  describe(`PROXY headers between the ${engine} engine and others`, () => {
    test('HAProxy reads back what it is sent, in every version', needs('haproxy'), async t => {
      const { authority, start } = await createBench(t, engine);
      const backend = await startHaproxyBackend(t, authority);
      const all = { proxyProtocol: 'v2', tlvs: { custom: CUSTOM } } as const;
      for (const sent of [all, { proxyProtocol: 'v2' }, { proxyProtocol: 'v1' }] as const) {
        const proxy = await start(backend.address, sent);
        const { words, clientPort } = await askWhatWasTold(t, authority, proxy.port);
        const { id } = await proxy.nextEnd();
        assert.equal(words['src'], `127.0.0.1:${clientPort}`);
        assert.equal(words['dst'], `127.0.0.1:${proxy.port}`);
        assert.equal(words['proxied'], '1');
        assert.equal(words['authority'], sent === all ? NAME : '');
        if (sent === all) assert.match(words['id'] ?? '', new RegExp(`^[0-9a-f]{16}-${id}$`));
        else assert.equal(words['id'], '');
      }
    });

    test('nginx reads back what it is sent, in every version', needs('nginx'), async t => {
      const { authority, start } = await createBench(t, engine);
      const backend = await startNginxBackend(t, authority);
      const all = { proxyProtocol: 'v2', tlvs: { custom: CUSTOM } } as const;
      for (const sent of [all, { proxyProtocol: 'v2' }, { proxyProtocol: 'v1' }] as const) {
        const proxy = await start(backend.address, sent);
        const { words, clientPort } = await askWhatWasTold(t, authority, proxy.port);
        assert.deepEqual(words, { src: `127.0.0.1:${clientPort}`, dst: `127.0.0.1:${proxy.port}` });
      }
    });

    for (const server of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,authority']) {
      test(`HAProxy in front names the client: ${server}`, needs('haproxy'), async t => {
        const { authority, start } = await createBench(t, engine);
        const backend = await startHaproxyBackend(t, authority);
        const proxy = await start(backend.address, { proxyProtocol: 'v2', tlvs: true }, true);
        const front = await startHaproxyFront(t, authority, { to: proxy.port, server });
        const { words, clientPort } = await askWhatWasTold(t, authority, front.port);
        assert.equal(words['src'], `127.0.0.1:${clientPort}`);
        assert.equal(words['dst'], `127.0.0.1:${front.port}`);
        assert.equal(words['authority'], NAME);
        // The front has been tried out before, by a client that left at once.
        const record = await nextEndOf(proxy, ({ serverName }) => serverName === NAME);
        assert.deepEqual(record.client, { address: '127.0.0.1', port: clientPort });
        assert.equal(record.peer?.address, '127.0.0.1');
        assert.notEqual(record.peer.port, clientPort);
      });
    }

    test('HAProxy on both sides sees one identifier of the connection', needs('haproxy'), async t => {
      const { authority, start } = await createBench(t, engine);
      const backend = await startHaproxyBackend(t, authority);
      const proxy = await start(backend.address, { proxyProtocol: 'v2', tlvs: true }, true);
      const front = await startHaproxyFront(t, authority, {
        to: proxy.port,
        server: 'send-proxy-v2 proxy-v2-options unique-id',
        more: 'unique-id-format front-%[src_port]',
      });
      const { words, clientPort } = await askWhatWasTold(t, authority, front.port);
      assert.equal(words['id'], `front-${clientPort}`);
    });

    test('nginx in front of HAProxy, and nginx on both sides', needs('haproxy', 'nginx'), async t => {
      const { authority, start } = await createBench(t, engine);
      for (const startBackend of [startHaproxyBackend, startNginxBackend]) {
        const backend = await startBackend(t, authority);
        for (const proxyProtocol of ['v1', 'v2'] as const) {
          const proxy = await start(backend.address, { proxyProtocol }, true);
          const front = await startNginxFront(t, authority, proxy.port);
          const { words, clientPort } = await askWhatWasTold(t, authority, front.port);
          assert.equal(words['src'], `127.0.0.1:${clientPort}`);
          assert.equal(words['dst'], `127.0.0.1:${front.port}`);
        }
      }
    });

    test(
      'health checks of HAProxy find the listener well, and end as clients that have gone',
      needs('haproxy'),
      async t => {
        const { authority, start } = await createBench(t, engine);
        const proxy = await start('127.0.0.1:1', { proxyProtocol: 'v2' }, true);
        const server = 'check inter 100ms send-proxy-v2 check-send-proxy';
        await startHaproxyFront(t, authority, { to: proxy.port, server });
        for (let count = 0; count < 3; count++) {
          const { endReason, client } = await nextEndOf(proxy, ({ peer }) => peer === null);
          assert.equal(endReason, 'client-gone');
          // The portable engine may hear of a check only when it is over.
          assert.match(client.address, /^(?:127\.0\.0\.1|unknown)$/);
        }
      },
    );
  });
}
