/** Encrypted ClientHello with all that may come with it: tickets, early data, small records and PROXY headers. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import type { SniwayConfig } from '../../src/index.ts';
import type { EngineName } from '../engine/conformance.ts';
import { BORINGSSL, WEB, startBoringServer } from '../support/boringssl.ts';
import { needsBun, startBun } from '../support/bun.ts';
import { recordedFacts, writePair } from '../support/ech-bench.ts';
import type { EchFacts } from '../support/ech-bench.ts';
import { PUBLIC_NAME, createTestKey } from '../support/ech-client.ts';
import { BORING, NSS } from '../support/ech-clients.ts';
import type { ClientKind } from '../support/ech-clients.ts';
import { makeKeyFolder } from '../support/ech-keys.ts';
import { eventually } from '../support/peers.ts';
import { needs } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';
import type { TestProxy } from '../support/proxies.ts';
import { startHaproxyFront, startHaproxyGate } from '../support/proxy-partners.ts';
import { startSmallRecords } from '../support/small-records.ts';
import { createTrustedAuthority } from '../support/tls-backends.ts';
import type { TrustedAuthority } from '../support/tls-backends.ts';

const NAME = 'secret.example';
const EARLY = '-early-data';
/** A group that no client guesses. */
const RETRYING = ['-curves', 'P-384'];

interface Bench {
  readonly authority: TrustedAuthority;
  /** The list of the key. */
  readonly offer: Uint8Array;
  readonly start: (backend: string, config?: Partial<SniwayConfig>) => Promise<TestProxy>;
  /** BoringSSL's server, with tickets; its port. */
  readonly startBoring: (...flags: string[]) => Promise<number>;
}

async function createBench(t: TestContext, engine: EngineName): Promise<Bench> {
  const authority = await createTrustedAuthority(t);
  const { cert, key } = await writePair(authority, NAME);
  const echKey = createTestKey();
  const ech = { keys: makeKeyFolder(t, echKey) };
  return {
    authority,
    offer: encodeEchConfigList([echKey.config]),
    start: (backend, config = {}) =>
      startProxy(t, { engine, ech, routes: [{ match: NAME, backend }], ...config }),
    startBoring: (...flags) => startBoringServer(t, WEB, '-cert', cert, '-key', key, ...flags),
  };
}

function opened(echRetried = false): EchFacts {
  return { ech: 'accepted', serverName: NAME, outerName: PUBLIC_NAME, echRetried, echBackend: 'confirmed' };
}

/** The proxy's records of so many connections say the same. */
async function assertRecorded(proxy: TestProxy, expected: EchFacts, count = 1): Promise<void> {
  const names = [NAME, PUBLIC_NAME];
  const records = () => proxy.ended.filter(({ serverName }) => names.includes(serverName ?? ''));
  await eventually(`${count} records`, () => records().length === count);
  assert.deepEqual(await recordedFacts(proxy, { since: 0, names }, [expected]), [expected]);
}

export function describeEchConditions(engine: EngineName): void {
  describe(`Encrypted ClientHello of others through the ${engine} engine`, () => {
    describeTickets(engine);
    describeSmallRecords(engine);
    describeHeaders(engine);
  });
}

function describeTickets(engine: EngineName): void {
  for (const early of [true, false]) {
    test(`is opened with a ticket of BoringSSL's, early data ${early}`, needs(BORINGSSL), async t => {
      const { authority, offer, start, startBoring } = await createBench(t, engine);
      const proxy = await start(`127.0.0.1:${await startBoring(...(early ? [EARLY] : []))}`);
      const client = await BORING.create(t, authority);
      const session = join(authority.folder, 'session');
      const ask = { port: proxy.port, name: NAME, offer };
      const first = await client.ask(t, ask, '-session-out', session);
      assert.match(first.output, /Resumed session: no/);
      const data = early ? [EARLY, 'GET / HTTP/1.0\r\n\r\n'] : [];
      const { output, isEncrypted } = await client.ask(t, ask, '-session-in', session, ...data);
      assert.match(output, /Resumed session: yes/);
      assert.match(output, early ? /Early data: yes/ : /Early data: no/);
      assert.equal(isEncrypted, true);
      await assertRecorded(proxy, opened(), 2);
    });

    test(
      `is opened with a ticket of NSS's, early data ${early}`,
      needs(...NSS.programs, BORINGSSL),
      async t => {
        const { authority, offer, start, startBoring } = await createBench(t, engine);
        const proxy = await start(`127.0.0.1:${await startBoring(...(early ? [EARLY] : []))}`);
        const client = await NSS.create(t, authority);
        const { output } = await client.ask(t, { port: proxy.port, name: NAME, offer }, ...TWICE);
        assert.deepEqual(pagesOf(output), [
          { resumed: 'no', early: 'no' },
          { resumed: 'yes', early: early ? 'yes' : 'no' },
        ]);
        await assertRecorded(proxy, opened(), 2);
      },
    );
  }

  test('is opened again behind early data that is in vain', needs(...NSS.programs, BORINGSSL), async t => {
    const { authority, offer, start, startBoring } = await createBench(t, engine);
    const proxy = await start(`127.0.0.1:${await startBoring(EARLY, ...RETRYING)}`);
    const client = await NSS.create(t, authority);
    const { output } = await client.ask(t, { port: proxy.port, name: NAME, offer }, ...TWICE);
    assert.match(output, /Early data rejected\. Re-sending/);
    assert.deepEqual(pagesOf(output), [
      { resumed: 'no', early: 'no' },
      { resumed: 'yes', early: 'no' },
    ]);
    await assertRecorded(proxy, opened(true), 2);
  });
}

/** NSS connects twice, with a ticket and early data where it may. */
const TWICE = ['-u', '-Z', '-L', '2'];

/** What the pages of BoringSSL's server tell of their connections. */
function pagesOf(output: string): { resumed: string; early: string }[] {
  const pages = output.matchAll(/Resumed session: (yes|no)[^]*?Early data: (yes|no)/g);
  return [...pages].map(([, resumed = '', early = '']) => ({ resumed, early }));
}

function describeSmallRecords(engine: EngineName): void {
  for (const kind of [BORING, NSS] satisfies ClientKind[]) {
    test(`is opened in small records: ${kind.name}`, needs(...kind.programs, BORINGSSL), async t => {
      const { authority, offer, start, startBoring } = await createBench(t, engine);
      const client = await kind.create(t, authority);
      for (const isRetried of [false, true]) {
        const proxy = await start(`127.0.0.1:${await startBoring(...(isRetried ? RETRYING : []))}`);
        const port = await startSmallRecords(t, proxy.port);
        const { page, error } = await client.ask(t, { port, name: NAME, offer });
        assert.deepEqual({ page, error }, { page: `Client sent SNI: ${NAME}`, error: null });
        await assertRecorded(proxy, opened(isRetried));
      }
    });
  }
}

function describeHeaders(engine: EngineName): void {
  const skip = needsBun().skip || needs('haproxy', BORINGSSL).skip;
  test('is opened behind a PROXY header, and the hidden name is told in one', { skip }, async t => {
    const { authority, offer, start } = await createBench(t, engine);
    const client = await BORING.create(t, authority);
    const { port, retryingPort } = await startBun(t, await writePair(authority, NAME));
    for (const to of [port, retryingPort]) {
      const gate = await startHaproxyGate(t, authority, { to, name: NAME });
      const route = { match: NAME, backend: gate.address, proxyProtocol: 'v2', tlvs: true } as const;
      const proxy = await start(gate.address, {
        listen: [{ address: '127.0.0.1:0', proxyProtocol: { from: '127.0.0.1' } }],
        routes: [route],
      });
      const front = await startHaproxyFront(t, authority, { to: proxy.port, server: 'send-proxy-v2' });
      const { page, error } = await client.ask(t, { port: front.port, name: NAME, offer });
      assert.deepEqual({ page, error }, { page: `Client sent SNI: ${NAME}`, error: null });
      await assertRecorded(proxy, opened(to === retryingPort));
      assert.ok(proxy.ended.some(({ peer, serverName }) => peer !== null && serverName === NAME));
    }
  });
}
