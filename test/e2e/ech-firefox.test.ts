/** Encrypted ClientHello of Firefox: one page that holds one of each kind, and what the proxy's records say of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import { needsBun } from '../support/bun.ts';
import { startDohServer } from '../support/doh-server.ts';
import { BACKENDS, FALLBACKS, createEchBench, recordedFacts, retryingNames } from '../support/ech-bench.ts';
import type { EchFacts } from '../support/ech-bench.ts';
import { BORINGSSL } from '../support/boringssl.ts';
import { createTestKey } from '../support/ech-client.ts';
import { FIREFOX_PROGRAMS, visitWithFirefox } from '../support/firefox.ts';
import { needs } from '../support/programs.ts';
import { startTlsBackend } from '../support/tls-backends.ts';

interface Frame {
  readonly name: string;
  /** The list that DNS has for it; null if there is no record. */
  readonly list: Uint8Array | null;
  readonly expected: readonly EchFacts[];
}

function opened(serverName: string, outerName: string, echRetried = false): EchFacts {
  return { ech: 'accepted', serverName, outerName, echRetried, echBackend: 'confirmed' };
}

function inClear(serverName: string, ech: 'not-ours' | 'undecryptable'): EchFacts {
  return { ech, serverName, outerName: null, echRetried: false, echBackend: null };
}

const BUN = BACKENDS.find(({ name }) => name === 'Bun');

describe('Encrypted ClientHello of Firefox', () => {
  // A second browser takes its time to install and to start: Chromium stands for both where nobody asks for it.
  const isAsked = process.env['SNIWAY_FIREFOX'] === '1';
  const skip = isAsked
    ? needsBun().skip || needs(...FIREFOX_PROGRAMS, BORINGSSL).skip
    : 'asked for by SNIWAY_FIREFOX=1';
  for (const engine of ['linux', 'portable'] as const) {
    test(`through the ${engine} engine, with a key, without one and with old ones`, { skip }, async t => {
      assert.ok(BUN !== undefined);
      const { zone } = BUN;
      const { authority, proxy, keys } = await createEchBench(t, { engine });
      const { config, parsed } = keys.aware;
      const list = encodeEchConfigList([config]);
      const again = retryingNames(BUN).encrypted;
      const frames: Frame[] = [
        { name: `new.${zone}`, list, expected: [opened(`new.${zone}`, parsed.publicName)] },
        { name: again, list, expected: [opened(again, parsed.publicName, true)] },
        { name: `none.${zone}`, list: null, expected: [inClear(`none.${zone}`, 'not-ours')] },
        ...FALLBACKS.map(({ kind, publicName }): Frame => {
          const name = `${kind}.${zone}`;
          const { configId } = keys[kind].parsed;
          const old = createTestKey({ configId, publicName });
          const afterwards = {
            untrusted: [],
            unaware: [inClear(name, 'not-ours')],
            aware: [opened(name, publicName)],
            own: [opened(name, publicName)],
          }[kind];
          const expected = [inClear(publicName, 'undecryptable'), ...afterwards];
          return { name, list: encodeEchConfigList([old.config]), expected };
        }),
      ];
      const doh = await startDohServer(t, authority);
      for (const { name, list: published } of frames) {
        if (published !== null) doh.publish(name, proxy.port, published);
      }
      const html = frames
        .map(({ name }) => `<iframe src="https://${name}:${proxy.port}/"></iframe>`)
        .join('');
      const start = await startTlsBackend(t, authority, {
        name: 'start.example',
        serve: socket => {
          const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n';
          socket.once('data', () => socket.end(`${head}${html}`));
        },
      });
      await visitWithFirefox(t, authority, {
        doh: doh.template,
        url: `https://start.example:${start.port}/`,
      });
      for (const { name, expected } of frames) {
        const names = [name, ...expected.map(({ serverName }) => serverName)];
        const recorded = await recordedFacts(proxy, { since: 0, names }, expected);
        assert.deepEqual(recorded, expected, name);
      }
    });
  }
});
