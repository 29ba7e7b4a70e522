/** Private keys that stand where their paths should be: no message of the command shows them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createKeyFile } from '../../src/ech/new-key.ts';
import { KEMS } from '../../src/ech/hpke-suites.ts';
import { makeFolder } from '../support/folders.ts';
import { run } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';

const PEM = createKeyFile({
  kem: KEMS.x25519,
  publicName: 'public.example',
  configId: 7,
  maximumNameLength: 64,
});
/** The line that is the key. */
const SECRET = PEM.split('\n')[1]!;
const CONTENT = 'expected the path of a file, found the content of one: write it to a file and give its path';
const HEAD = 'listen: 443\nroutes: [{ name: a, match: a.example, backend: "10.0.0.5:443" }]\n';
const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '    ');

/** What `check` complains of. */
async function complaint(t: TestContext, text: string, ...flags: readonly string[]): Promise<string> {
  const path = join(makeFolder(t, { 'sniway.yaml': text }), 'sniway.yaml');
  const { code, stdout, stderr } = await run(
    t,
    [process.execPath, commandFile, 'check', '-c', path, ...flags],
    '',
    { env: { ...process.env, ECH_KEY: PEM } },
  );
  assert.equal(code, 2, stdout);
  // Not a piece of it either.
  assert.ok(!`${stdout}${stderr}`.includes(SECRET.slice(-12)), stderr);
  return stderr;
}

describe('a private key where a path is expected', () => {
  for (const [what, ech] of [
    ['from the environment', 'ech: { keys: "${ECH_KEY}" }'],
    ['in a list', 'ech: { keys: [/nonexistent.ech, "${ECH_KEY}"] }'],
    ['as a block of YAML', `ech:\n  keys: |\n${indented(PEM)}`],
    ['on one line', `ech: { keys: ${JSON.stringify(PEM)} }`],
    ['for retries', 'ech: { keys: /nonexistent.ech, retry: { certificate: a.crt, key: "${ECH_KEY}" } }'],
    [
      'for retries, in a list',
      'ech: { keys: /nonexistent.ech, retry: [{ certificate: "${ECH_KEY}", key: a.key }] }',
    ],
  ] as const) {
    test(`is refused and not shown, ${what}`, async t => {
      const told = await complaint(t, `${HEAD}${ech}\n`);
      assert.ok(told.includes(CONTENT), told);
      assert.equal(told.split(CONTENT).length, 2, told);
    });
  }

  test('is refused and not shown, as a flag', async t => {
    assert.ok((await complaint(t, HEAD, '--ech-keys', PEM)).includes(`--ech-keys  error  ${CONTENT}`));
  });

  for (const [what, ech] of [
    ['as the name of a route', 'ech: { keys: /nonexistent.ech, fallback: "${ECH_KEY}" }'],
    ['as a switch', 'ech: { keys: /nonexistent.ech, trialDecryption: "${ECH_KEY}" }'],
    ['in place of all', 'ech: "${ECH_KEY}"'],
    ['as a key of its own', `ech: { keys: /nonexistent.ech, ${JSON.stringify(PEM)}: 1 }`],
    ['badly indented', `ech:\n  keys: |\n${PEM}`],
    ['in quotes that do not end', `ech:\n  keys: "${indented(PEM)}`],
  ] as const) {
    test(`is not shown ${what}`, async t => {
      await complaint(t, `${HEAD}${ech}\n`);
    });
  }
});

test('sniway ech does not show a private key that is given in place of a file', async t => {
  for (const args of [
    ['show', PEM],
    ['dns', PEM, '--name', 'a.example'],
    ['rotate', PEM],
    ['keygen', '--public-name', 'public.example', '--keys', PEM],
    ['keygen', '--public-name', 'public.example', '--out', PEM],
  ]) {
    const { code, stderr } = await run(t, [process.execPath, commandFile, 'ech', ...args], '');
    assert.equal(code, 2, stderr);
    assert.ok(!stderr.includes(SECRET.slice(-12)), stderr);
  }
});
