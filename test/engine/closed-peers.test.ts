/**
 * Peers that are gone are found without a byte being written to them, by anybody: in network namespaces, with lowered
 * timers. The portable engine finds what Node lets it; docs/command.md says where it differs, and the last tests here
 * hold it to that.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { BACKEND, Network, PROXY_TO_CLIENTS, needsNamespaces } from '../support/network.ts';
import type { NetworkPeer } from '../support/network.ts';
import { eventually } from '../support/peers.ts';
import { startSniway } from '../support/sniway-process.ts';
import type { SniwayProcess } from '../support/sniway-process.ts';
import type { EngineName } from './conformance.ts';

const NAME = 'closed.example.com';
/** A peer that answers nothing is gone after one second of silence and two probes, one second apart. */
const PROBES = { keepaliveIdle: '1s', keepaliveInterval: '1s', keepaliveProbes: 2 };
/** Node has ten probes, a second apart, whatever is configured. */
const WITHIN_MS = 15_000;

interface Relay {
  readonly network: Network;
  readonly sniway: SniwayProcess;
  readonly client: NetworkPeer;
  readonly backend: NetworkPeer;
  /** Descriptors of the proxy before its first connection. */
  readonly files: number;
}

interface AccessLine {
  readonly endReason: string;
  readonly detail: string | null;
  readonly totalMs: number;
}

async function relay(t: TestContext, engine: EngineName, tcp: object): Promise<Relay> {
  const network = new Network(t);
  const backend = network.peer('backend');
  backend.tell(`listen ${BACKEND}`);
  const [, port] = await backend.said(/^listening ([0-9]+)$/m);
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'sniway.json');
  const routes = [{ match: NAME, backend: `${BACKEND}:${port}` }];
  writeFileSync(file, JSON.stringify({ engine, workers: 1, listen: `${PROXY_TO_CLIENTS}:0`, routes, tcp }));
  const sniway = await startSniway(t, ['-c', file, '--log-format', 'json'], {
    prefix: network.prefix('proxy'),
  });
  const files = descriptorsOf(sniway);
  const client = network.peer('client');
  client.tell(`connect ${PROXY_TO_CLIENTS} ${sniway.port}`);
  await client.said(/^open$/m);
  client.tell(`hello ${NAME}`);
  await backend.said(/^received [0-9]+$/m);
  return { network, sniway, client, backend, files };
}

function descriptorsOf({ pid }: SniwayProcess): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function expectEnd({ sniway, files }: Relay, endReason: string): Promise<AccessLine> {
  await eventually(`it ends as ${endReason}`, () => sniway.lines().length > 0, WITHIN_MS);
  const line = JSON.parse(sniway.lines()[0]!) as AccessLine;
  assert.equal(line.endReason, endReason);
  await eventually('its descriptors are closed', () => descriptorsOf(sniway) <= files);
  return line;
}

const namespaces = needsNamespaces();
const needsKernel = loadKernel().ok ? namespaces : { skip: 'the linux engine cannot run here' };

/** What both engines find. */
function describeFinds(engine: EngineName): void {
  test('a client behind a dropped link, by its silence', async t => {
    const link = await relay(t, engine, PROBES);
    link.network.cut('client');
    await expectEnd(link, 'client-timeout');
    await link.backend.said(/^(error ECONNRESET|end)$/m);
  });

  test('a backend behind a dropped link, by its silence', async t => {
    const link = await relay(t, engine, PROBES);
    link.network.cut('backend');
    await expectEnd(link, 'backend-timeout');
    await link.client.said(/^(error ECONNRESET|end)$/m);
  });

  test('nobody who is merely idle or half-closed, over many probes', async t => {
    const link = await relay(t, engine, PROBES);
    await sleep(3_000);
    assert.deepEqual(link.sniway.lines(), []);
    link.client.tell('finish');
    await link.backend.said(/^end$/m);
    await sleep(3_000);
    assert.deepEqual(link.sniway.lines(), []);
    link.backend.tell('send 5');
    await link.client.said(/^received 5$/m);
    link.backend.tell('finish');
    await expectEnd(link, 'done');
  });
}

describe('without a byte written by anybody', { concurrency: true }, () => {
  describe('the linux engine finds', { ...needsKernel, concurrency: 3 }, () => {
    describeFinds('linux');

    test('a backend that has closed wholly, while its client stays open and silent', async t => {
      const link = await relay(t, 'linux', PROBES);
      link.network.forgetClosedSoon('backend');
      link.backend.tell('close');
      await link.client.said(/^end$/m);
      await expectEnd(link, 'backend-gone');
    });

    test('a client that has closed wholly, while its backend stays open and silent', async t => {
      const link = await relay(t, 'linux', PROBES);
      link.network.forgetClosedSoon('client');
      link.client.tell('close');
      await link.backend.said(/^end$/m);
      await expectEnd(link, 'client-gone');
    });

    test('a client behind a dropped link, by the data it leaves unacknowledged', async t => {
      const link = await relay(t, 'linux', { keepaliveIdle: '0s', userTimeout: '1500ms' });
      link.network.cut('client');
      link.backend.tell('send 1000');
      await expectEnd(link, 'client-timeout');
    });

    test('a backend behind a dropped link, by the data it leaves unacknowledged', async t => {
      const link = await relay(t, 'linux', { keepaliveIdle: '0s', userTimeout: '1500ms' });
      link.network.cut('backend');
      link.client.tell('send 1000');
      await expectEnd(link, 'backend-timeout');
    });

    test('a backend that has reset, although its client does not read', async t => {
      const link = await relay(t, 'linux', PROBES);
      link.client.tell('pause');
      link.backend.tell('send 30000000');
      // Until nothing moves any more.
      await sleep(700);
      const resetAt = performance.now();
      link.backend.tell('reset');
      await expectEnd(link, 'backend-reset');
      const tookMs = performance.now() - resetAt;
      assert.ok(tookMs < 2_000, `found after ${tookMs} ms`);
    });
  });

  describe('the portable engine finds', { ...namespaces, concurrency: 3 }, () => {
    describeFinds('portable');

    test('a backend that has closed wholly only when its client says something', async t => {
      const link = await relay(t, 'portable', PROBES);
      link.network.forgetClosedSoon('backend');
      link.backend.tell('close');
      await link.client.said(/^end$/m);
      await sleep(3_000);
      assert.deepEqual(link.sniway.lines(), [], 'Node does not watch a socket that it has read to its end');
      link.client.tell('send 1');
      await expectEnd(link, 'backend-gone');
    });
  });
});
