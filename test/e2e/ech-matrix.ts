/**
 * Encrypted ClientHello between the clients and servers that others have made: every client with every backend, with a
 * key, without one, and with an old one in front of each kind of server that may stand at its public name.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import type { EngineName } from '../engine/conformance.ts';
import {
  BACKENDS,
  FALLBACKS,
  RETRYING,
  SECRET_ZONE,
  createEchBench,
  recordedFacts,
} from '../support/ech-bench.ts';
import type { EchBench, EchFacts, FallbackKind } from '../support/ech-bench.ts';
import { createTestKey } from '../support/ech-client.ts';
import { CLIENTS } from '../support/ech-clients.ts';
import type { Ask, ClientKind, Outcome, RealClient, Reported } from '../support/ech-clients.ts';
import { needs } from '../support/programs.ts';

/** Of the key that clients have where theirs is not old. */
const { publicName: PUBLIC_NAME } = FALLBACKS.find(({ kind }) => kind === 'aware')!;

export function describeEchMatrix(engine: EngineName): void {
  describe(`Encrypted ClientHello of others through the ${engine} engine`, () => {
    for (const client of CLIENTS) {
      for (const backend of BACKENDS) {
        const { skip } = needs(...client.programs, 'bssl-tool');
        test(`${client.name} before ${backend.name}`, { skip: skip || backend.needs.skip }, async t => {
          const bench = await createEchBench(t, backend, { engine });
          const matrix = new Matrix(bench, await client.create(t, bench.authority));
          await matrix.tryCurrentKey(t);
          await matrix.tryWithoutKey(t);
          for (const fallback of FALLBACKS) await matrix.tryOldKey(t, client, fallback);
        });
      }
    }
  });
}

class Matrix {
  readonly #bench: EchBench;
  readonly #client: RealClient;

  constructor(bench: EchBench, client: RealClient) {
    this.#bench = bench;
    this.#client = client;
  }

  async tryCurrentKey(t: TestContext): Promise<void> {
    const offer = encodeEchConfigList([this.#bench.keys.aware.config]);
    const accepted = `accepted.${SECRET_ZONE}`;
    await t.test('is opened', async () => {
      const reported = await this.#ask(t, { name: accepted, offer }, [opened(accepted)]);
      assertPage(reported, accepted, true);
    });

    const again = RETRYING.encrypted;
    await t.test('is opened, and again after a HelloRetryRequest', async () => {
      const reported = await this.#ask(t, { name: again, offer }, [{ ...opened(again), echRetried: true }]);
      assertPage(reported, again, true);
    });
  }

  async tryWithoutKey(t: TestContext): Promise<void> {
    for (const name of [`pretence.${SECRET_ZONE}`, RETRYING.pretence]) {
      await t.test(`as a pretence gets through as it is: ${name}`, async () => {
        const reported = await this.#ask(t, { name, offer: 'pretence' }, [inClear(name, 'not-ours')]);
        assertPage(reported, name, false);
      });
    }

    await t.test('gets through without anything encrypted', async () => {
      const name = `plain.${SECRET_ZONE}`;
      const reported = await this.#ask(t, { name, offer: null }, [inClear(name, 'none')]);
      assertPage(reported, name, false);
    });
  }

  async tryOldKey(t: TestContext, { stale }: ClientKind, fallback: FallbackKind): Promise<void> {
    const { kind, what, publicName, isTrusted } = fallback;
    await t.test(`with an old key meets ${what}`, async () => {
      const { configId } = this.#bench.keys[kind].parsed;
      // The same number in it: the proxy tries its key, in vain.
      const offer = encodeEchConfigList([createTestKey({ configId, publicName }).config]);
      const name = `${kind}.${SECRET_ZONE}`;
      const outcome = stale[kind];
      const expected = [inClear(publicName, 'undecryptable'), ...afterwards(outcome, name, publicName)];
      const reported = await this.#ask(t, { name, offer, isFallbackTrusted: isTrusted }, expected);
      if ('page' in outcome) return assertPage(reported, name, outcome.page === 'encrypted');
      assert.deepEqual([reported.error, reported.page], [outcome.error, '']);
      if (reported.retryList !== null) await this.#tryAgain(t, { name, offer: reported.retryList }, kind);
      else assert.ok(!outcome.error.includes('WITH_ECH'), 'it has a list and tells it');
    });
  }

  /** The client comes again with the list that it was given. */
  async #tryAgain(
    t: TestContext,
    ask: { name: string; offer: Uint8Array },
    kind: FallbackKind['kind'],
  ): Promise<void> {
    const { config, parsed } = this.#bench.keys[kind];
    assert.deepEqual(Buffer.from(ask.offer), Buffer.from(encodeEchConfigList([config])));
    const reported = await this.#ask(t, ask, [opened(ask.name, parsed.publicName)]);
    assertPage(reported, ask.name, true);
  }

  /** Has the client ask for a page, and the records of the proxy say these facts. */
  async #ask(t: TestContext, ask: Omit<Ask, 'port'>, expected: readonly EchFacts[]): Promise<Reported> {
    const { proxy } = this.#bench;
    // A browser still asks for the icon of the page before.
    const names = [ask.name, ...expected.map(({ serverName }) => serverName)];
    const since = Date.now();
    const reported = await this.#client.ask(t, { port: proxy.port, ...ask });
    const recorded = await recordedFacts(proxy, { since, names }, expected);
    assert.deepEqual(recorded, expected, JSON.stringify(reported));
    return reported;
  }
}

/** A page tells the name that its server was asked for. */
function assertPage({ page, error, isEncrypted }: Reported, name: string, expected: boolean): void {
  assert.deepEqual({ page, error }, { page: `Client sent SNI: ${name}`, error: null });
  assert.ok(isEncrypted === null || isEncrypted === expected, `encrypted: ${isEncrypted}`);
}

function opened(serverName: string, outerName = PUBLIC_NAME): EchFacts {
  return { ech: 'accepted', serverName, outerName, echRetried: false, echBackend: 'confirmed' };
}

function inClear(serverName: string, ech: 'none' | 'not-ours' | 'undecryptable'): EchFacts {
  return { ech, serverName, outerName: null, echRetried: false, echBackend: null };
}

/** What comes behind a rejection by itself, with a client that tries again. */
function afterwards(outcome: Outcome, name: string, publicName: string): EchFacts[] {
  if ('error' in outcome) return [];
  return [outcome.page === 'encrypted' ? opened(name, publicName) : inClear(name, 'not-ours')];
}
