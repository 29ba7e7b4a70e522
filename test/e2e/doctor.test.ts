/** `sniway doctor` as an operator meets it, before real backends. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { PUBLIC_NAME, createTestKey } from '../support/ech-client.ts';
import { SECRET, startEchBackend } from '../support/ech-backends.ts';
import { makeKeyFolder } from '../support/ech-keys.ts';
import { makeFolder } from '../support/folders.ts';
import { startBackend } from '../support/peers.ts';
import { freePort } from '../support/ports.ts';
import { needs, run } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { commandFile } from '../support/project.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from '../support/tls-backends.ts';
import type { TlsBackend } from '../support/tls-backends.ts';

function doctor(t: TestContext, ...args: string[]): Promise<Finished> {
  return run(t, [process.execPath, commandFile, 'doctor', ...args]);
}

async function startNode(t: TestContext, name: string): Promise<TlsBackend> {
  return await startTlsBackend(t, await createTrustedAuthority(t), { name, serve: serveName('it') });
}

async function startWeb(t: TestContext): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The lines with their first words, and without what differs each time. */
function linesOf({ stdout }: Finished): string[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map(line => line.replace(/ in [0-9]+ ms/, '').replace(/ +/, ' '));
}

describe('sniway doctor', () => {
  test('finds a backend well that shows the certificate of its name', async t => {
    const { address } = await startNode(t, 'www.example.com');
    const done = await doctor(t, '-r', `www.example.com=${address}`);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(linesOf(done), [
      'route www.example.com',
      `ok ${address} for www.example.com: connected; TLS 1.3; certificate valid for 29 more days`,
      '',
      'ok: 1 address',
    ]);
  });

  test('names what is wrong with each of the others, with a remedy, and ends with 1', async t => {
    const { address: other } = await startNode(t, 'other.example.com');
    const [web, silent] = [await startWeb(t), (await startBackend(t)).address];
    const closed = `127.0.0.1:${await freePort()}`;
    const backends = [other, web, silent, closed].join(',');
    const done = await doctor(t, '--dial-timeout', '500ms', '-r', `www.example.com=${backends}`);
    assert.equal(done.code, 1);
    const name = 'for www.example.com';
    const lines = linesOf(done);
    assert.ok(
      lines[1]?.startsWith(`failed ${other} ${name}: its certificate is not valid for www.example.com;`),
    );
    // What exactly is wrong with plain text is told differently by each OpenSSL.
    assert.deepEqual(
      lines.slice(2, 5).map(line => line.replace(/ERR_SSL_\w+/, 'ERR_SSL')),
      [
        `failed ${web} ${name}: no TLS handshake: ERR_SSL; connected`,
        `failed ${silent} ${name}: no TLS handshake: timeout; connected`,
        `failed ${closed} ${name}: ECONNREFUSED`,
      ],
    );
    for (const [index, remedy] of [
      'give the backend a certificate for www.example.com',
      'clients speak TLS with the backend itself',
      'nothing listens at this address',
    ].entries()) {
      assert.ok(lines[5 + index]?.startsWith(`remedy ${remedy}`), done.stdout);
    }
    assert.equal(lines.at(-1), 'failed: 4 of 4 addresses');
  });

  test('asks for the names given, where the client gives the address too', async t => {
    const { port } = await startNode(t, 'localhost');
    const route = ['-r', `localhost={sni}:${port}`];
    const skipped = await doctor(t, '-r', `*.example.com={sni}:${port}`);
    assert.equal(skipped.code, 0);
    assert.match(skipped.stdout, /^skipped +route \*\.example\.com: .*--name$/m);
    const refused = await doctor(t, ...route, '--name', 'localhost');
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /it leads to no address: \S+ is loopback$/m);
    const done = await doctor(t, ...route, '--allow-net', '127.0.0.0/8', '--name', 'LOCALHOST');
    assert.equal(done.code, 0, done.stdout);
    assert.match(
      done.stdout,
      new RegExp(`^ok +\\{sni\\}:${port} at 127\\.0\\.0\\.1:${port} for localhost: `, 'm'),
    );
  });

  test('refuses a name that is none, and fails for one that no route takes', async t => {
    const route = ['-r', 'a.example={sni}:443'];
    const unfit = await doctor(t, ...route, '--name', 'no name');
    assert.deepEqual([unfit.code, unfit.stdout], [2, '']);
    assert.match(unfit.stderr, /^error: "no name" is not a host name/);
    const stranger = await doctor(t, '-s', '.example.com', '--name', 'b.example');
    assert.equal(stranger.code, 1);
    assert.match(stranger.stdout, /^failed +b\.example: no route takes this name$/m);
  });

  test('warns of certificates that expire soon, and ends well', async t => {
    const { address } = await startNode(t, 'a.example');
    const health = { check: 'tls', expiryDays: 60 };
    const config = JSON.stringify({ routes: [{ match: 'a.example', backend: address, health }] });
    const folder = makeFolder(t, { 'sniway.json': config });
    const done = await doctor(t, '-c', `${folder}/sniway.json`);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /^warning +.*: its certificate expires soon; /m);
    assert.match(done.stdout, /^ok: 1 address, 1 warning$/m);
  });
});

describe('sniway doctor, where hellos are encrypted', () => {
  test('says which backends fail those who do so', needs('bssl-tool', 'gnutls-serv'), async t => {
    const folder = makeKeyFolder(t, createTestKey());
    const boring = `127.0.0.1:${await startEchBackend(t, 'bssl-tool')}`;
    const retrying = `127.0.0.1:${await startEchBackend(t, 'bssl-tool', '-curves', 'P-384')}`;
    const { address: node } = await startNode(t, SECRET);
    const old = `127.0.0.1:${await startEchBackend(t, 'gnutls-serv', '--priority', 'NORMAL:-VERS-TLS1.3')}`;
    const { address: front } = await startNode(t, PUBLIC_NAME);
    const config = {
      ech: { keys: folder },
      routes: [
        { name: 'secret', match: SECRET, backends: [boring, retrying, node, old] },
        { name: 'in clear', match: `*.${SECRET}`, ech: 'off', backend: node },
        { name: 'front', match: PUBLIC_NAME, backend: front },
      ],
    };
    const file = `${makeFolder(t, { 'sniway.json': JSON.stringify(config) })}/sniway.json`;
    const done = await doctor(t, '-c', file, '--json');
    assert.equal(done.code, 1, done.stderr);
    const { ok, results } = JSON.parse(done.stdout) as {
      ok: boolean;
      results: { route: string; address: string; status: string; ech: string | null }[];
    };
    assert.equal(ok, false);
    assert.deepEqual(
      results.map(({ route, address, status, ech }) => [route, address, status, ech]),
      [
        ['secret', boring, 'ok', 'confirmed'],
        ['secret', retrying, 'ok', 'confirmed'],
        ['secret', node, 'failed', 'unconfirmed'],
        ['secret', old, 'failed', 'no-tls-1.3'],
        ['in clear', node, 'ok', null],
        ['front', front, 'ok', null],
      ],
    );
  });

  test('asks every backend, if told so', async t => {
    const { address } = await startNode(t, 'a.example');
    const done = await doctor(t, '-r', `a.example=${address}`, '--ech');
    assert.equal(done.code, 1);
    assert.match(done.stdout, /^failed +.*: it does not support Encrypted ClientHello; /m);
    assert.match(done.stdout, /^remedy +its TLS library has to know inner hellos/m);
  });
});
