/** The page on upgrades, as somebody follows it: each of its shell blocks is run. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as limits from '../../src/limits.ts';
import { makeFolder } from '../support/folders.ts';
import { run } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';

const page = readFileSync(join(projectRoot, 'docs', 'upgrade.md'), 'utf8');
const blocks = [...page.matchAll(/^```(sh|text)\n(.*?)^```/gms)].map(match => match[2] ?? '');
const [first = '', said = '', service = '', again = '', socket = ''] = blocks;

const SNIWAY = `sniway() { "${process.execPath}" "${commandFile}" "$@"; }`;
const CONFIG = 'listen: 127.0.0.1:0\nsuffixes: example.com\n';

/** Runs a block in a folder, which stands for that of the system's configuration too; `systemctl` prints its words. */
function follow(t: TestContext, folder: string, block: string): Promise<Finished> {
  const script = block.replaceAll('/etc/', `${folder}/`);
  const systemctl = 'systemctl() { echo "systemctl $*"; }';
  return run(t, ['sh', '-ec', `${SNIWAY}; ${systemctl}; ${script}`], '', { cwd: folder });
}

/** Waits for the file with the number of the process. */
const AWAIT_PID_FILE = 'while [ ! -e sniway.pid ]; do sleep 0.01; done;';

test('the first lines upgrade a proxy, and print what the page shows', async t => {
  const folder = makeFolder(t, { 'sniway.yaml': CONFIG });
  const lines = first.trimEnd().split('\n');
  const upgrading = lines.findIndex(line => line.startsWith('sniway upgrade'));
  const before = lines.slice(0, upgrading).map(line => line.replace(/ &$/, ' 2>/dev/null >/dev/null &'));
  // The new process gets a moment to be asked to end.
  const script = [...before, AWAIT_PID_FILE, lines[upgrading], 'kill "$(cat sniway.pid)"'].join('\n');
  const { code, stdout, stderr } = await follow(t, folder, script);
  assert.equal(code, 0, stderr);
  const withoutNumbers = (text: string): string => text.replaceAll(/[0-9]+/g, 'N');
  assert.equal(withoutNumbers(stdout), withoutNumbers(said));
});

test('the lines for systemd write units that name their configuration', async t => {
  const folder = makeFolder(t, { 'sniway/sniway.yaml': CONFIG, 'systemd/system/keep': '' });
  for (const [block, name] of [
    [service, 'sniway.service'],
    [socket, 'sniway.socket'],
  ] as const) {
    const { code, stdout, stderr } = await follow(t, folder, block);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^systemctl daemon-reload\nsystemctl enable --now sniway/);
    assert.ok(existsSync(join(folder, 'systemd', 'system', name)));
  }
  const unit = readFileSync(join(folder, 'systemd', 'system', 'sniway.service'), 'utf8');
  assert.ok(unit.includes(`run -c ${folder}/sniway/sniway.yaml`), unit);
  assert.ok(unit.includes(again.trim()), 'it upgrades as the page says');
});

test('the page tells the bounds that hold', () => {
  const text = page.replaceAll('\n', ' ');
  assert.ok(text.includes(`up to ${limits.UPGRADE_TIMEOUT_MS / 1000} seconds`));
  assert.deepEqual([limits.DRAIN_REPORT_MS, limits.DRAIN_REPORT_CONNECTIONS], [10_000, 3]);
});
