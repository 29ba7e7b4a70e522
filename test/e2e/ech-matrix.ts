/**
 * Encrypted ClientHello between the clients and servers that others have made: every client with every backend, with a
 * key, without one, and with an old one in front of each kind of server that may stand at its public name.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import type { EngineName } from '../engine/conformance.ts';
import { BORINGSSL } from '../support/boringssl.ts';
import { BACKENDS, FALLBACKS, createEchBench, recordedFacts, retryingNames } from '../support/ech-bench.ts';
import type { BackendKind, EchBench, EchFacts, FallbackKind } from '../support/ech-bench.ts';
import { createTestKey } from '../support/ech-client.ts';
import { CLIENTS } from '../support/ech-clients.ts';
import type { Ask, ClientKind, Outcome, RealClient, Reported } from '../support/ech-clients.ts';
import { needs } from '../support/programs.ts';

/** Of the key that clients have where theirs is not old. */
const { publicName: PUBLIC_NAME } = FALLBACKS.find(({ kind }) => kind === 'aware')!;

export function describeEchMatrix(engine: EngineName): void {
  describe(`Encrypted ClientHello of others through the ${engine} engine`, () => {
    for (const kind of CLIENTS) {
      test(`from ${kind.name}`, needs(...kind.programs, BORINGSSL), async t => {
        const bench = await createEchBench(t, { engine });
        const client = await kind.create(t, bench.authority);
        for (const backend of BACKENDS) {
          await t.test(`before ${backend.name}`, backend.needs, async inner => {
            const matrix = new Matrix(bench, { kind, client, backend });
            await matrix.tryCurrentKey(inner);
            await matrix.tryWithoutKey(inner);
            for (const fallback of FALLBACKS) await matrix.tryOldKey(inner, fallback);
          });
        }
      });
    }
  });
}

interface Pairing {
  readonly kind: ClientKind;
  readonly client: RealClient;
  readonly backend: BackendKind;
}

class Matrix {
  readonly #bench: EchBench;
  readonly #pairing: Pairing;
  readonly #zone: string;
  readonly #retrying: ReturnType<typeof retryingNames>;

  constructor(bench: EchBench, pairing: Pairing) {
    this.#bench = bench;
    this.#pairing = pairing;
    this.#zone = pairing.backend.zone;
    this.#retrying = retryingNames(pairing.backend);
  }

  async tryCurrentKey(t: TestContext): Promise<void> {
    const offer = encodeEchConfigList([this.#bench.keys.aware.config]);
    await t.test('is opened', async () => {
      const name = `accepted.${this.#zone}`;
      assertPage(await this.#ask(t, { name, offer }, [opened(name)]), name, true);
    });

    await t.test('is opened, and again after a HelloRetryRequest', async () => {
      const name = this.#retrying.encrypted;
      const reported = await this.#ask(t, { name, offer }, [{ ...opened(name), echRetried: true }]);
      assertPage(reported, name, true);
    });
  }

  async tryWithoutKey(t: TestContext): Promise<void> {
    for (const name of [`pretence.${this.#zone}`, this.#retrying.pretence]) {
      await t.test(`as a pretence gets through as it is: ${name}`, async () => {
        const reported = await this.#ask(t, { name, offer: 'pretence' }, [inClear(name, 'not-ours')]);
        assertPage(reported, name, false);
      });
    }

    await t.test('gets through without anything encrypted', async () => {
      const name = `plain.${this.#zone}`;
      const reported = await this.#ask(t, { name, offer: null }, [inClear(name, 'none')]);
      assertPage(reported, name, false);
    });
  }

  async tryOldKey(t: TestContext, fallback: FallbackKind): Promise<void> {
    const { kind, what, publicName, isTrusted } = fallback;
    await t.test(`with an old key meets ${what}`, async () => {
      const { configId } = this.#bench.keys[kind].parsed;
      // The same number in it: the proxy tries its key, in vain.
      const offer = encodeEchConfigList([createTestKey({ configId, publicName }).config]);
      const name = `${kind}.${this.#zone}`;
      const outcome = this.#pairing.kind.stale[kind];
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
    const reported = await this.#pairing.client.ask(t, { port: proxy.port, ...ask });
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
