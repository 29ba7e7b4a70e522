/** The page on Encrypted ClientHello, as somebody follows it: its shell lines are run, in their order. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ECH_OFFERS } from '../../src/events.ts';
import { RETRY_WORK_SHARE } from '../../src/limits.ts';
import { echOut, makeKey } from '../support/ech-command.ts';
import { makeFolder } from '../support/folders.ts';
import { eventually } from '../support/peers.ts';
import { run, start } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';

const page = readFileSync(join(projectRoot, 'docs', 'ech.md'), 'utf8');
const blocksOf = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(match => match[1] ?? '');
const [making = '', starting = '', publishing = '', looking = '', rotating = '', exchanging = '', ...others] =
  blocksOf('sh');

const SNIWAY = `sniway() { "${process.execPath}" "${commandFile}" "$@"; }`;
/** What the world sees: the record that is printed for the folder now. */
const DIG = `dig() { sniway -q ech dns /etc/sniway/ech --name "$3" | sed -n '2s/.* HTTPS //p'; }`;

/** A machine that the lines do not leave: its folders stand in a folder of the test. */
class Machine {
  readonly #t: TestContext;
  readonly root: string;

  constructor(t: TestContext) {
    this.#t = t;
    this.root = makeFolder(t, {});
    for (const name of ['etc/sniway', 'run', 'home']) mkdirSync(join(this.root, name), { recursive: true });
  }

  place(text: string): string {
    return text.replaceAll(/(?<![\w.])\/(etc|run)\//g, `${this.root}/$1/`);
  }

  async follow(script: string): Promise<Finished> {
    const lines = this.place(`${SNIWAY}; ${DIG}; ${script}`);
    const finished = await run(this.#t, ['sh', '-ec', lines], '', { cwd: join(this.root, 'home') });
    assert.equal(finished.code, 0, finished.stderr);
    return finished;
  }

  keys(): readonly string[] {
    return readdirSync(join(this.root, 'etc', 'sniway', 'ech'));
  }
}

/** Lists and numbers that differ from key to key, taken out. */
function withoutChance(text: string): string {
  return text.replaceAll(/ech=\S+/g, 'ech=LIST').replaceAll(/\\# (\d+) [0-9a-f]+/g, '\\# $1 HEX');
}

test('the lines lead from nothing to a record, and on to the next key', async t => {
  assert.deepEqual(others, []);
  const machine = new Machine(t);
  await machine.follow(making);
  assert.equal(machine.keys().length, 1);

  const [config = ''] = blocksOf('yaml');
  writeFileSync(
    join(machine.root, 'etc', 'sniway', 'sniway.yaml'),
    machine.place(config).replace(': 443', ': 127.0.0.1:0'),
  );
  const [checking = '', explaining = '', running = '', ...rest] = starting.trimEnd().split('\n');
  assert.deepEqual(rest, []);
  assert.match((await machine.follow(checking)).stdout, /./);
  assert.match((await machine.follow(explaining)).stdout, /^dials +10\.0\.0\.5:443$/m);
  const [, ...args] = machine.place(running.replace(/ &$/, '')).split(' ');
  const proxy = start(t, [process.execPath, commandFile, ...args]);
  await eventually('it listens', () => proxy.stderr().includes('listening on'), 30_000);

  const published = await machine.follow(publishing);
  assert.equal(withoutChance(published.stdout), withoutChance(blocksOf('text')[0] ?? ''));
  const seen = await machine.follow(looking);
  assert.match(seen.stdout, /^source {8}stdin\n[^]*\npublic name {3}public\.example\.com\n/);

  const rotated = await machine.follow(rotating);
  assert.equal(machine.keys().length, 2);
  assert.match(rotated.stdout, /\nreloaded: /);
  const [before, after] = [published, rotated].map(({ stdout }) => / ech=(\S+)/.exec(stdout)?.[1]);
  assert.notEqual(after, before);
  assert.ok(rotated.stdout.includes(`ech=${after}`) && after !== undefined);
});

test('the lines for other programs give the key back as it was', async t => {
  const machine = new Machine(t);
  const key = makeKey(makeFolder(t, {}));
  copyFileSync(key, join(machine.root, 'home', 'fallback.ech'));
  const { stdout } = await machine.follow(exchanging);
  assert.ok(stdout.includes(readFileSync(key, 'latin1')), stdout);
  assert.ok(stdout.includes(await echOut(t, 'export', key, '--format', 'go')), stdout);
  const files = ['fallback.config', 'fallback.ech', 'fallback.key', 'fallback.list'];
  assert.deepEqual(readdirSync(join(machine.root, 'home')).toSorted(), files);
});

describe('the page on Encrypted ClientHello', () => {
  const text = page.replaceAll(/\s+/g, ' ');

  test('has every word of the log', () => {
    const table = page.slice(page.indexOf('| `ech` '));
    const words = [...table.matchAll(/^\| `([a-z-]+)` /gm)].map(match => match[1]);
    assert.deepEqual(words.slice(1), [...ECH_OFFERS]);
  });

  test('tells the times and bounds that hold', async t => {
    const help = (await run(t, [process.execPath, commandFile, 'ech', 'dns', '--help'])).stdout;
    assert.match(
      help.replaceAll(/\s+/g, ' '),
      /--ttl <seconds> time to live of the record \(default: "300"\)/,
    );
    assert.ok(text.includes('how long the record may be kept (300 seconds)'));
    assert.ok(text.includes("at most a tenth of a worker's time"));
    assert.equal(RETRY_WORK_SHARE, 0.1);
  });
});
