/** The page on reloads, as somebody follows it: its shell lines are run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as limits from '../../src/limits.ts';
import { run } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';
import { startUpgradable } from '../support/upgradable.ts';

const page = readFileSync(join(projectRoot, 'docs', 'reload.md'), 'utf8');
const lines = [...page.matchAll(/^```sh\n(.*?)\n```/gms)].map(match => match[1] ?? '');

test('the lines start a proxy, and reload it as the page says', async t => {
  const [starting = '', reloading = '', ...others] = lines;
  assert.deepEqual(others, []);
  const config = 'listen: 127.0.0.1:0\nsuffixes: example.com\n';
  // The helper gives the pid file itself, as the page does.
  const [, ...args] = starting.replace(/ --pid-file \S+/, '').split(' ');
  assert.match(starting, / --pid-file \/run\/sniway\.pid$/);
  const placed = args.map(arg => arg.replace('/etc/', '{folder}/'));
  const proxy = await startUpgradable(t, placed, { files: { 'sniway.yaml': config } });
  const reload = (): ReturnType<typeof run> =>
    run(t, [
      process.execPath,
      commandFile,
      ...reloading.replace('/run/sniway.pid', proxy.pidFile).split(' ').slice(1),
    ]);
  proxy.write('sniway.yaml', `${config}timeouts: { drain: 5m }\n`);
  const { code, stdout } = await reload();
  assert.deepEqual([code, stdout], [0, 'reloaded: other timeouts\n']);
  proxy.write('sniway.yaml', 'nonsense');
  assert.equal((await reload()).code, 2);
});

test('the page tells how often files are looked at', () => {
  assert.ok(page.includes('once a second'));
  assert.equal(limits.WATCH_POLL_MS, 1_000);
});
