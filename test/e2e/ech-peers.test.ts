/** Encrypted hellos of BoringSSL and NSS, opened here, before servers that know inner hellos and one that does not. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeEchConfigList, parseEchConfigList } from '../../src/ech/ech-config.ts';
import type { EchKey } from '../../src/ech/ech-opener.ts';
import { BORINGSSL, WEB, boringClient, startBoringServer } from '../support/boringssl.ts';
import { startEchRelay } from '../support/ech-relay.ts';
import type { EchRelay } from '../support/ech-relay.ts';
import { makeFolder } from '../support/folders.ts';
import { needs, run } from '../support/programs.ts';
import type { Finished } from '../support/programs.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from '../support/tls-backends.ts';

const NSS = 'tstclnt';
const ACCEPTED = 'Encrypted ClientHello: yes';

interface Keys {
  readonly key: EchKey;
  /** The list as a file. */
  readonly listFile: string;
  readonly list: Uint8Array;
}

/** A key and its list, made by BoringSSL. */
async function generate(t: TestContext, folder = makeFolder(t, {}), configId = 7): Promise<Keys> {
  const file = (name: string): string => join(folder, `${configId}-${name}`);
  const { code, stderr } = await run(t, [
    BORINGSSL,
    'generate-ech',
    '-out-ech-config-list',
    file('list'),
    '-out-ech-config',
    file('config'),
    '-out-private-key',
    file('key'),
    '-public-name',
    'public.example',
    '-config-id',
    String(configId),
    '-max-name-length',
    '32',
  ]);
  assert.equal(code, 0, stderr);
  const list = readFileSync(file('list'));
  return {
    key: { config: readFileSync(file('config')), privateKey: readFileSync(file('key')) },
    listFile: file('list'),
    list,
  };
}

const ask = (t: TestContext, { port }: EchRelay, ...flags: string[]): Promise<Finished> =>
  boringClient(t, port, ...flags);

describe('a hello encrypted by BoringSSL', needs(BORINGSSL), () => {
  test('is accepted by a backend that has no keys, and the backend says so', async t => {
    const { key, listFile } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t, WEB));
    const { stderr } = await ask(t, relay, '-ech-config-list', listFile);
    assert.ok(stderr.includes(ACCEPTED), stderr);
    const [seen] = relay.seen;
    assert.deepEqual([seen?.outcome, seen?.name], ['accepted', 'secret.example']);
    assert.deepEqual([seen?.handshake?.confirmation, seen?.handshake?.isDone], ['confirmed', true]);
  });

  test('is accepted after a HelloRetryRequest', async t => {
    const { key, listFile } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t, WEB, '-curves', 'P-384'));
    const flags = ['-ech-config-list', listFile, '-curves', 'X25519:P-384'];
    const { stderr } = await ask(t, relay, ...flags);
    assert.ok(stderr.includes(ACCEPTED), stderr);
    assert.ok(stderr.includes('P-384'), stderr);
    const handshake = relay.seen[0]?.handshake;
    assert.deepEqual(
      [handshake?.wasRetried, handshake?.confirmation, handshake?.isDone],
      [true, 'confirmed', true],
    );
  });

  test('is accepted with a ticket, and with early data', async t => {
    const { key, listFile } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t, WEB, '-early-data'));
    const session = join(makeFolder(t, {}), 'session');
    const first = await ask(t, relay, '-ech-config-list', listFile, '-session-out', session);
    assert.ok(first.stderr.includes(ACCEPTED), first.stderr);
    const early = ['-session-in', session, '-early-data', 'GET / HTTP/1.0\r\n\r\n'];
    const { stderr } = await ask(t, relay, '-ech-config-list', listFile, ...early);
    for (const line of ['Resumed session: yes', 'Early data: yes', ACCEPTED])
      assert.ok(stderr.includes(line), stderr);
    assert.deepEqual(
      relay.seen.map(({ handshake }) => handshake?.confirmation),
      ['confirmed', 'confirmed'],
    );
  });

  test('with a stale key gets the new one from a server that has it', async t => {
    const folder = makeFolder(t, {});
    const [stale, fresh] = [await generate(t, folder, 1), await generate(t, folder, 2)];
    const config = join(folder, '2-config');
    const port = await startBoringServer(t, WEB, '-ech-key', join(folder, '2-key'), '-ech-config', config);
    const relay = await startEchRelay(t, [fresh.key], port);
    const { stderr, code } = await ask(t, relay, '-ech-config-list', stale.listFile);
    assert.notEqual(code, 0);
    assert.match(stderr, /ECH_REJECTED|ech_rejected/i);
    assert.deepEqual([relay.seen[0]?.outcome, relay.seen[0]?.name], ['undecryptable', 'public.example']);
  });

  test('as a pretence gets through as it is', async t => {
    const { key } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t, WEB));
    const { stderr } = await ask(t, relay, '-ech-grease');
    assert.ok(stderr.includes('Encrypted ClientHello: no'), stderr);
    assert.deepEqual([relay.seen[0]?.outcome, relay.seen[0]?.name], ['undecryptable', 'secret.example']);
  });

  test('is lost on a backend that knows no inner hellos, and we see it', async t => {
    const { key, listFile } = await generate(t);
    const authority = await createTrustedAuthority(t);
    const backend = await startTlsBackend(t, authority, { name: 'secret.example', serve: serveName('it') });
    const relay = await startEchRelay(t, [key], backend.port);
    const { code } = await ask(t, relay, '-ech-config-list', listFile);
    assert.notEqual(code, 0);
    assert.deepEqual(relay.seen[0]?.handshake?.confirmation, 'unconfirmed');
  });
});

describe('a hello encrypted by NSS', needs(BORINGSSL, NSS), () => {
  const nssClient = (t: TestContext, { port }: EchRelay, list: Uint8Array, ...flags: string[]) => {
    const command = [NSS, '-h', '127.0.0.1', '-p', String(port), '-D', '-o', '-Q', '-a', 'secret.example'];
    const encoded = Buffer.from(list).toString('base64');
    return run(t, [...command, '-N', encoded, ...flags] as [string, ...string[]]);
  };

  test('is accepted by a backend that has no keys', async t => {
    const { key, list } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t));
    await nssClient(t, relay, list);
    const [seen] = relay.seen;
    assert.deepEqual([seen?.outcome, seen?.name], ['accepted', 'secret.example']);
    assert.equal(seen?.handshake?.confirmation, 'confirmed');
  });

  test('is accepted after a HelloRetryRequest', async t => {
    const { key, list } = await generate(t);
    const relay = await startEchRelay(t, [key], await startBoringServer(t, '-curves', 'P-384'));
    await nssClient(t, relay, list);
    const handshake = relay.seen[0]?.handshake;
    assert.deepEqual([handshake?.wasRetried, handshake?.confirmation], [true, 'confirmed']);
  });

  test('uses the first of two configurations, and is opened by its key', async t => {
    const folder = makeFolder(t, {});
    const [one, two] = [await generate(t, folder, 1), await generate(t, folder, 2)];
    const list = encodeEchConfigList([one.key.config, two.key.config]);
    assert.ok(parseEchConfigList(list).ok);
    writeFileSync(join(folder, 'both'), list);
    const relay = await startEchRelay(t, [two.key, one.key], await startBoringServer(t));
    await nssClient(t, relay, list);
    assert.equal(relay.seen[0]?.outcome, 'accepted');
  });
});
