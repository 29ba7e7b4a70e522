/** Keys for Encrypted ClientHello from and for other programs, which are asked themselves. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readEchFiles } from '../../src/config/ech-files.ts';
import { BORINGSSL, boringClient, generateEch, startBoringServer } from '../support/boringssl.ts';
import { echOut, echRefusal, makeKey } from '../support/ech-command.ts';
import { makeFolder } from '../support/folders.ts';
import { needs, run } from '../support/programs.ts';
import { startSniway } from '../support/sniway-process.ts';

const NSS = 'tstclnt';
const ACCEPTED = 'Encrypted ClientHello: yes';

const idOf = (path: string): number => readEchFiles([path]).files[0]!.configs[0]!.configId;

describe('keys of BoringSSL', needs(BORINGSSL), () => {
  test('are imported, and open the hellos of its client', async t => {
    const folder = makeFolder(t, {});
    const { configFile, listFile, keyFile } = await generateEch(t);
    for (const [index, file] of [configFile, listFile].entries()) {
      await echOut(t, 'import', file, keyFile, '--out', join(folder, `${index}.ech`));
    }
    assert.deepEqual(readFileSync(join(folder, '0.ech')), readFileSync(join(folder, '1.ech')));
    assert.equal(await echOut(t, 'import', configFile, keyFile), readFileSync(join(folder, '0.ech'), 'utf8'));
    const backend = await startBoringServer(t, '-www');
    const route = ['-r', `secret.example=127.0.0.1:${backend}`];
    const sniway = await startSniway(t, [...route, '--ech-keys', join(folder, '0.ech')]);
    const { stderr } = await boringClient(t, sniway.port, '-ech-config-list', listFile);
    assert.ok(stderr.includes(ACCEPTED), stderr);
    assert.match((await sniway.accessLines(1))[0] ?? '', / secret\.example .*ech=accepted/);
  });

  test('come into a folder under names of their own', async t => {
    const folder = makeFolder(t, {});
    const { configFile, keyFile } = await generateEch(t, { configId: 9 });
    const said = await echOut(t, 'import', configFile, keyFile, '--out', folder);
    assert.match(said, /^wrote "\S+\/public\.example-\d{4}-\d\d-\d\dT\d{6}Z-9\.ech"\n$/);
    assert.deepEqual(readEchFiles([folder]).warnings, []);
  });

  test('are what keys of ours are exported to, for its server and its client', async t => {
    const path = makeKey(makeFolder(t, {}));
    const out = join(makeFolder(t, {}), 'bssl');
    const said = await echOut(t, 'export', path, '--format', 'boringssl', '--out', out);
    assert.deepEqual(
      said.split('\n').slice(0, -1),
      ['key', 'config', 'list'].map(end => `wrote "${out}.${end}"`),
    );
    const port = await startBoringServer(t, '-www', '-ech-key', `${out}.key`, '-ech-config', `${out}.config`);
    const { stderr } = await boringClient(t, port, '-ech-config-list', `${out}.list`);
    assert.ok(stderr.includes(ACCEPTED), stderr);
    assert.match(
      await echRefusal(t, 'export', path, '--format', 'boringssl', '--out', out),
      /bssl\.key" is there already/,
    );
    assert.match(
      await echRefusal(t, 'export', path, '--format', 'boringssl'),
      /three files: name what they begin with by --out/,
    );
  });

  test('of which one is there already, are not written at all', async t => {
    const path = makeKey(makeFolder(t, {}));
    const folder = makeFolder(t, { 'bssl.list': 'mine' });
    await echRefusal(t, 'export', path, '--format', 'boringssl', '--out', join(folder, 'bssl'));
    assert.deepEqual(readdirSync(folder), ['bssl.list']);
    assert.equal(readFileSync(join(folder, 'bssl.list'), 'utf8'), 'mine');
  });

  test('that do not belong together are refused, and so is half of one', async t => {
    const [one, two] = [await generateEch(t), await generateEch(t)];
    assert.match(
      await echRefusal(t, 'import', one.configFile, two.keyFile),
      /its private key belongs to none of its configurations; give/,
    );
    assert.match(await echRefusal(t, 'import', one.configFile), /has no private key: name its file as well/);
    assert.match(
      await echRefusal(t, 'import', one.configFile, one.configFile),
      /the private key has not 32 bytes/,
    );
    assert.match(
      await echRefusal(t, 'export', one.listFile, '--format', 'go'),
      /has no private key to export/,
    );
    assert.match(
      await echRefusal(t, 'export', one.listFile, '--format', 'pem'),
      /Allowed choices are boringssl, go/,
    );
    assert.match(
      await echRefusal(t, 'import', makeKey(makeFolder(t, {}))),
      /is PEM already: use it as it is/,
    );
  });
});

describe('keys of Go', () => {
  test('come back as they were, one and several', async t => {
    const folder = makeFolder(t, {});
    const [one, two] = [makeKey(folder), makeKey(folder)];
    const read = async (path: string): Promise<unknown[]> =>
      JSON.parse(await echOut(t, 'export', path, '--format', 'go')) as unknown[];
    const json = join(makeFolder(t, {}), 'keys.json');
    await echOut(t, 'export', one, '--format', 'go', '--out', json);
    assert.equal(statSync(json).mode & 0o777, 0o600);
    assert.equal(await echOut(t, 'import', json), readFileSync(one, 'utf8'));
    writeFileSync(json, JSON.stringify([...(await read(one)), ...(await read(two))]));
    assert.match(
      await echRefusal(t, 'import', json),
      /has 2 keys, and a file takes one: name a folder by --out/,
    );
    const back = makeFolder(t, {});
    await echOut(t, 'import', json, '--out', back);
    assert.deepEqual(
      new Set(readdirSync(back).map(name => idOf(join(back, name)))),
      new Set([idOf(one), idOf(two)]),
    );
    assert.match(await echRefusal(t, 'import', json, one), /has private keys of its own: leave "\S+" out/);
    writeFileSync(json, '[{"Config": "AAAA", "PrivateKey": ""}]');
    assert.match(await echRefusal(t, 'import', json), /keys\.json" cannot be imported: /);
  });
});

describe('a list of ours', needs(BORINGSSL, NSS), () => {
  test('is what NSS encrypts to', async t => {
    const path = makeKey(makeFolder(t, {}));
    const list = (await echOut(t, 'show', '--list', path)).trim();
    const backend = await startBoringServer(t);
    const sniway = await startSniway(t, ['-r', `secret.example=127.0.0.1:${backend}`, '--ech-keys', path]);
    const address = ['-h', '127.0.0.1', '-p', String(sniway.port), '-a', 'secret.example'];
    await run(t, [NSS, ...address, '-D', '-o', '-Q', '-N', list]);
    assert.match((await sniway.accessLines(1))[0] ?? '', / secret\.example .*ech=accepted/);
  });
});
