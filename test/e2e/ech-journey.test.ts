/** From nothing to a browser that hides the name, and on to the next keys, by the commands that docs/ech.md has. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { BORINGSSL, WEB, startBoringServers } from '../support/boringssl.ts';
import { CHROMIUM_PROGRAMS, startChromium } from '../support/chromium.ts';
import { startDohServer } from '../support/doh-server.ts';
import { writePair } from '../support/ech-bench.ts';
import { echOut } from '../support/ech-command.ts';
import { makeFolder } from '../support/folders.ts';
import { eventually } from '../support/peers.ts';
import { needs, run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { startSniway } from '../support/sniway-process.ts';
import type { SniwayProcess } from '../support/sniway-process.ts';
import { createTrustedAuthority } from '../support/tls-backends.ts';

const SECRET = 'secret.example';
const PUBLIC = 'public.example';

/** A proxy that has the keys of a folder, hides one name, and answers by itself for the public one. */
async function startProxy(
  t: TestContext,
  { keys, pidFile, backend, certificate }: Record<string, string>,
): Promise<SniwayProcess> {
  const config = join(makeFolder(t, {}), 'sniway.yaml');
  const retry = `{ certificate: ${certificate}.crt, key: ${certificate}.key }`;
  const routes = `routes: [{ match: ${SECRET}, backend: '${backend}', ech: required }]`;
  writeFileSync(config, `listen: 127.0.0.1:0\nech: { keys: ${keys}, retry: ${retry} }\n${routes}\n`);
  return await startSniway(t, ['-c', config, '--pid-file', String(pidFile)]);
}

test(
  'a browser hides the name by the printed record, and does so through every rotation',
  needs(BORINGSSL, ...CHROMIUM_PROGRAMS),
  async t => {
    const authority = await createTrustedAuthority(t);
    const [secret] = [await writePair(authority, SECRET), await writePair(authority, PUBLIC)];
    const backend = await startBoringServers(t, WEB, '-cert', secret.cert, '-key', secret.key);
    const doh = await startDohServer(t, authority);
    const [keys, pidFile] = [makeFolder(t, {}), join(makeFolder(t, {}), 'pid')];

    const made = await echOut(t, 'keygen', '--public-name', PUBLIC, '--out', keys);
    const certificate = join(authority.folder, PUBLIC);
    const sniway = await startProxy(t, { keys, pidFile, backend: `127.0.0.1:${backend}`, certificate });
    const publish = async (): Promise<void> => {
      const said = await echOut(t, 'dns', keys, '--name', SECRET, '--port', String(sniway.port));
      const [, owner = '', hex = ''] = /^(\S+)\. 300 IN TYPE65 \\# \d+ ([0-9a-f]+)$/m.exec(said) ?? [];
      doh.httpsRecords.set(owner, Buffer.from(hex, 'hex'));
    };
    const rotate = async (...flags: string[]): Promise<string> => {
      const said = await echOut(t, 'rotate', keys, ...flags);
      const { code, stderr } = await run(t, [process.execPath, commandFile, 'reload', '--pid-file', pidFile]);
      assert.equal(code, 0, stderr);
      return said;
    };
    /** A browser that knows nothing yet shows the page; the proxy says this of it: outcome and key, once each. */
    const visit = (what: string, expected: readonly string[]): Promise<void> =>
      t.test(what, async visiting => {
        const since = new Date().toISOString();
        const chromium = await startChromium(visiting, authority, { doh: doh.template });
        const { text, error, isEncrypted } = await chromium.visit(`https://${SECRET}:${sniway.port}/`);
        const shown = /Client sent SNI: (\S+)/.exec(text)?.[1];
        assert.deepEqual([error, isEncrypted, shown], [null, true, SECRET]);
        // Lines begin with the time at which a connection came.
        const seen = (): string[] =>
          sniway.lines().flatMap(line => {
            const [, outcome, id] = / ech=(\S+).* ech-id=(\d+)/.exec(line) ?? [];
            return outcome === undefined || line < since ? [] : [`${outcome} ${id}`];
          });
        await eventually('it is logged', () => seen().includes(expected.at(-1) ?? ''));
        assert.deepEqual([...new Set(seen())], expected);
      });
    const idIn = (said: string): string => /config id (\d+)/.exec(said)?.[1] ?? '';

    await publish();
    await visit('with the first key', [`accepted ${idIn(made)}`]);
    await rotate();
    await visit('with the old record, whose key still opens', [`accepted ${idIn(made)}`]);
    const fresh = idIn(await rotate('--keep', '0', '--ttl', '0'));
    await visit('with the old record, whose key is gone', [
      `undecryptable ${idIn(made)}`,
      `accepted ${fresh}`,
    ]);
    await publish();
    await visit('with the new record', [`accepted ${fresh}`]);
  },
);
