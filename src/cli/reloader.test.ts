import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createTestKey } from '../../test/support/ech-client.ts';
import { makeKeyFolder, writeKey } from '../../test/support/ech-keys.ts';
import { makeFolder } from '../../test/support/folders.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import { ReadFiles } from '../config/watched-files.ts';
import type { ReloadResult } from '../sni-proxy.ts';
import type { ConfigFlags } from './config-flags.ts';
import { loadCommandConfig } from './load-config.ts';
import { Reloader } from './reloader.ts';

const NOTHING: ReloadResult = {
  addresses: [],
  opened: [],
  closed: [],
  routes: { added: [], changed: [], removed: [] },
  settings: [],
  waiting: [],
};

/** Watches this configuration; `reloaded` is called when one was read, before the reload is over. */
async function watch(
  t: TestContext,
  flags: ConfigFlags,
  reloaded: (config: CheckedConfig) => void,
): Promise<void> {
  const files = new ReadFiles();
  const { config } = await loadCommandConfig(flags, { reads: path => files.add(path) });
  const reloader = new Reloader(
    {
      flags,
      proxy: {
        async reloadFrom(load) {
          reloaded(await load());
          return NOTHING;
        },
      },
      operator: { say: () => undefined, close: () => Promise.resolve() },
      service: {
        reloadHindrance: null,
        reloading: () => Promise.resolve(),
        reloaded: () => Promise.resolve(),
      },
    },
    { config, files },
  );
  t.after(() => reloader.close());
  reloader.watch();
}

describe('Reloader', () => {
  test('sees what changes while it reloads, also where it has come to watch other files', async t => {
    const keys = makeKeyFolder(t, createTestKey({ configId: 1 }));
    const config = join(
      makeFolder(t, {
        'sniway.yaml': `listen: 443\nroutes: [{ match: a.example, backend: "b:1" }]\nech: { keys: ${keys} }\n`,
      }),
      'sniway.yaml',
    );
    const last = createTestKey({ configId: 2, publicName: 'last.example' });
    let reloads = 0;
    const names = await new Promise<readonly string[]>((resolve, reject) => {
      // The watch alone keeps no process alive.
      const deadline = setTimeout(() => reject(new Error(`no further reload after ${reloads}`)), 20_000);
      t.after(() => clearTimeout(deadline));
      const reloaded = ({ echKeys }: CheckedConfig): void => {
        reloads++;
        if (reloads === 1) writeKey(keys, last);
        else resolve(echKeys.map(({ publicName }) => publicName));
      };
      void watch(t, { config }, reloaded).then(() => writeKey(keys, createTestKey({ configId: 2 })), reject);
    });
    assert.deepEqual(names, ['public.example', 'last.example']);
  });
});
