/** The page on home routers, word for word: its addresses, its dnsmasq and its command lines, in a network of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { writeTemporary } from '../support/names.ts';
import { needsNamespaces } from '../support/network.ts';
import { eventually } from '../support/peers.ts';
import { needs, run, start } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';
import { startSniway } from '../support/sniway-process.ts';
import { createTrustedAuthority } from '../support/tls-backends.ts';
import type { TrustedAuthority } from '../support/tls-backends.ts';

const page = readFileSync(join(projectRoot, 'docs', 'home-router.md'), 'utf8');
const blockOf = (language: string, index = 0): string =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))][index]?.[1] ?? '';

const NAS = 'nas.home.example';
const MAIL = 'mail.home.example';
const ROUTER = '192.168.1.1';
const SNIWAY = '192.168.1.2';
const PUBLIC = '203.0.113.7';
/** A DNS server outside, where every name is the public address. */
const OUTSIDE = '203.0.113.53';

/** A machine that has every address of the page, so that nothing of it needs another network. */
class Home {
  readonly prefix: readonly [string, ...string[]];
  readonly #t: TestContext;

  constructor(t: TestContext) {
    const name = `sniway-${randomBytes(4).toString('hex')}`;
    this.#t = t;
    this.prefix = ['ip', 'netns', 'exec', name];
    const addresses = [ROUTER, SNIWAY, '192.168.1.10', '192.168.1.11', PUBLIC, OUTSIDE];
    t.after(() => spawnSync('ip', ['netns', 'delete', name]));
    for (const args of [
      `netns add ${name}`,
      `-n ${name} link set lo up`,
      ...addresses.map(address => `-n ${name} addr add ${address}/32 dev lo`),
    ]) {
      const { status, stderr } = spawnSync('ip', args.split(' '), { encoding: 'utf8' });
      assert.equal(status, 0, `ip ${args}: ${stderr}`);
    }
  }

  async startDns(address: string, config: string): Promise<void> {
    const file = writeTemporary(this.#t, 'dnsmasq.conf', config);
    const server = start(this.#t, [
      ...this.prefix,
      'dnsmasq',
      '--keep-in-foreground',
      '--log-facility=-',
      `--conf-file=${file}`,
      '--pid-file=',
      '--user=root',
      '--no-resolv',
      '--no-hosts',
      '--bind-interfaces',
      `--listen-address=${address}`,
    ]);
    await eventually('dnsmasq has started', () => server.stderr().includes('started, version'), 20_000);
  }

  /** A TLS server whose certificate is for this name alone. */
  async startMachine(authority: TrustedAuthority, name: string, address: string): Promise<void> {
    const { cert, key } = await authority.issue([name]);
    const [certFile, keyFile] = [
      join(authority.folder, `${name}.pem`),
      join(authority.folder, `${name}.key`),
    ];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const options = ['-accept', `${address}:443`, '-cert', certFile, '-key', keyFile, '-www'];
    const server = start(this.#t, [...this.prefix, 'openssl', 's_server', ...options]);
    await eventually(`${name} listens`, () => server.stdout().includes('ACCEPT'), 20_000);
  }

  /** Runs a line of the page, with `sniway` as it is built here. */
  async shell(line: string, environment: NodeJS.ProcessEnv = {}): Promise<Finished> {
    const script = `node=$0; main=$1; sniway() { "$node" "$main" "$@"; }; ${line}`;
    const command = ['sh', '-c', script, process.execPath, commandFile];
    return await run(this.#t, [...this.prefix, ...command], '', { env: { ...process.env, ...environment } });
  }
}

const skip = needs('dnsmasq', 'openssl', 'curl').skip || needsNamespaces().skip;

test('the page on home routers works as it says', { skip }, async t => {
  const home = new Home(t);
  await home.startDns(ROUTER, `${blockOf('conf')}host-record=loop.home.example,${PUBLIC}\n`);
  const authority = await createTrustedAuthority(t);
  await home.startMachine(authority, NAS, '192.168.1.10');
  await home.startMachine(authority, MAIL, '192.168.1.11');
  const [, ...args] = blockOf('sh').trim().split(' ');
  const sniway = await startSniway(t, args, { prefix: home.prefix });
  const [explain = '', curl = ''] = blockOf('sh', 1).trim().split('\n');

  const explained = await home.shell(explain);
  assert.equal(explained.code, 0, explained.stderr);
  assert.match(explained.stdout, /192\.168\.1\.10:443/);

  const visit = (name: string): Promise<Finished> =>
    home.shell(curl.replace(NAS, name), { CURL_CA_BUNDLE: authority.caFile });
  for (const name of [NAS, MAIL]) {
    const { code, stderr } = await visit(name);
    assert.equal(code, 0, `${name}: ${stderr}`);
  }
  const refused = ['nothing.home.example', 'loop.home.example', 'www.example.com', 'home.example'];
  for (const name of refused) assert.notEqual((await visit(name)).code, 0, name);
  const lines = await sniway.accessLines(6);
  assert.deepEqual(
    lines.map(line => / (\S+) route=.* backend=(\S+) .* end=(\S+)/.exec(line)?.slice(1).join(' ')),
    [
      `${NAS} 192.168.1.10:443 done`,
      `${MAIL} 192.168.1.11:443 done`,
      'nothing.home.example - dns-failed',
      'loop.home.example - guard-refused',
      'www.example.com - unknown-name',
      'home.example - unknown-name',
    ],
  );
});

test('the file on that page rejects what is for inside, and does not go in circles', { skip }, async t => {
  const home = new Home(t);
  await home.startDns(OUTSIDE, `address=/home.example/${PUBLIC}\n`);
  const text = blockOf('yaml').replace(`resolver: ${ROUTER}`, `resolver: ${OUTSIDE}`);
  const file = writeTemporary(t, 'sniway.yaml', text);
  const sniway = await startSniway(t, ['-c', file], { prefix: home.prefix });
  for (const name of ['router.home.example', 'nas.inside.home.example', NAS]) {
    const to = ['--connect-to', `::${SNIWAY}:8443`];
    await run(t, [...home.prefix, 'curl', '--silent', ...to, `https://${name}/`]);
  }
  const ends = (await sniway.accessLines(3)).map(line => / end=(\S+)/.exec(line)?.[1]);
  assert.deepEqual(ends, ['denied', 'denied', 'guard-refused']);
});
