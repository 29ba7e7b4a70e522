/** Keys for Encrypted ClientHello by command: made, looked at, published and rotated. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { rotateKeys } from '../../src/cli/ech/rotate.ts';
import { readEchFiles } from '../../src/config/ech-files.ts';
import { ech, echOut, echRefusal, makeKey } from '../support/ech-command.ts';
import { makeFolder } from '../support/folders.ts';
import { run } from '../support/programs.ts';
import { commandFile, projectRoot } from '../support/project.ts';

const PUBLIC = 'public.example';

describe('sniway ech keygen', () => {
  test('prints PEM alone, and beside it what to do next', async t => {
    const { code, stdout, stderr } = await ech(t, ['keygen', '--public-name', 'Public.Example']);
    assert.equal(code, 0);
    assert.match(stdout, /^-----BEGIN PRIVATE KEY-----\n[^]*-----END ECHCONFIG-----\n$/);
    assert.match(stderr, /^x25519 key for public\.example, config id \d+\n/);
    assert.match(stderr, /ech: \{ keys: \[FILE\] \}\n[^]*sniway ech dns FILE --name NAME\n$/);
    const quiet = await run(t, [
      process.execPath,
      commandFile,
      '-q',
      'ech',
      'keygen',
      '--public-name',
      PUBLIC,
    ]);
    assert.deepEqual([quiet.code, quiet.stderr], [0, '']);
  });

  test('writes a file that is the owner’s alone and loads without a warning', async t => {
    const folder = makeFolder(t, {});
    const path = join(folder, 'a.ech');
    const said = await echOut(
      t,
      'keygen',
      '--public-name',
      PUBLIC,
      '--out',
      path,
      '--kem',
      'p256',
      '--max-name-length',
      '99',
      '--config-id',
      '0',
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(
      said.includes(`ech: { keys: [${folder}] }`) && said.includes(`sniway ech dns ${path} --name NAME`),
      said,
    );
    const { files, problems, warnings } = readEchFiles([folder]);
    assert.deepEqual([problems, warnings], [[], []]);
    const { configId, kem, maximumNameLength } = files[0]!.configs[0]!;
    assert.deepEqual([configId, kem, maximumNameLength], [0, 0x0010, 99]);
    const before = readFileSync(path);
    assert.match(
      await echRefusal(t, 'keygen', '--public-name', PUBLIC, '--out', path),
      /is there already, and is left as it is/,
    );
    assert.deepEqual(readFileSync(path), before);
  });

  test('names the file itself, where it is given a folder', async t => {
    const folder = makeFolder(t, {});
    await echOut(t, 'keygen', '--public-name', PUBLIC, '--out', folder);
    const [name = '', ...others] = readdirSync(folder);
    assert.deepEqual(others, []);
    assert.match(name, /^public\.example-\d{4}-\d\d-\d\dT\d{6}Z-\d+\.ech$/);
  });

  test('takes no number that a key beside it has, or one of --keys', async t => {
    const [folder, elsewhere] = [makeFolder(t, {}), makeFolder(t, {})];
    const path = makeKey(folder, { configId: '7' });
    assert.match(
      await echRefusal(
        t,
        'keygen',
        '--public-name',
        PUBLIC,
        '--out',
        join(folder, 'b.ech'),
        '--config-id',
        '7',
      ),
      new RegExp(`--config-id 7: "${path}" has it already: leave the flag out`),
    );
    const other = join(elsewhere, 'b.ech');
    assert.match(
      await echRefusal(
        t,
        'keygen',
        '--keys',
        folder,
        path,
        '--public-name',
        PUBLIC,
        '--out',
        other,
        '--config-id',
        '7',
      ),
      /has it already/,
    );
    await echOut(t, 'keygen', '--public-name', PUBLIC, '--out', other, '--config-id', '7');
  });

  test('says of mistakes where they are and what mends them', async t => {
    for (const [args, expected] of [
      [['keygen'], /required option '--public-name <name>' not specified/],
      [
        ['keygen', '--public-name', PUBLIC, '--kem', 'rsa'],
        /argument 'rsa' is invalid\. Allowed choices are x25519, p256/,
      ],
      [['keygn'], /unknown command 'keygn'\n\(Did you mean keygen\?\)/],
    ] as const) {
      assert.match(await echRefusal(t, ...args), expected);
    }
  });
});

describe('sniway ech show', () => {
  test('reads what keygen writes, what --list prints, and a record, from a file and from stdin', async t => {
    const path = makeKey(makeFolder(t, {}));
    const shown = await echOut(t, 'show', path);
    assert.match(
      shown,
      new RegExp(`^source {8}"${path}"\\nwritten .* 0 minutes ago\\nprivate key {3}there is one\\n`),
    );
    const list = await echOut(t, 'show', path, '--list');
    assert.match(list, /^[A-Za-z0-9+/]+={0,2}\n$/);
    const record = await echOut(t, 'dns', path, '--name', 'secret.example');
    const fieldsOf = (text: string): string => text.slice(text.indexOf('public name'));
    for (const input of [list, record]) {
      const { code, stdout } = await ech(t, ['show', '-'], input);
      assert.deepEqual([code, fieldsOf(stdout)], [0, fieldsOf(shown)]);
    }
    const { stdout } = await ech(t, ['show', '--list', '-'], record);
    assert.equal(stdout, list);
  });

  test('takes no more from stdin than a file may have', async t => {
    const { code, stderr } = await ech(t, ['show', '-'], 'A'.repeat(1024 * 1024));
    assert.deepEqual(
      [code, stderr],
      [2, 'sniway: error: stdin has more than 128 KiB: give one key or list\n'],
    );
  });
});

describe('sniway ech dns', () => {
  test('prints nothing but the records, and tells the rest beside them', async t => {
    const path = makeKey(makeFolder(t, {}));
    const list = (await echOut(t, 'show', path, '--list')).trim();
    const { code, stdout, stderr } = await ech(t, [
      'dns',
      path,
      '--name',
      'secret.example',
      '--port',
      '8443',
    ]);
    assert.equal(code, 0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .filter(line => !line.startsWith(';'));
    const expected = `_8443._https.secret.example. 300 IN HTTPS 1 secret.example. alpn="h2,http/1.1" ech=${list}`;
    assert.deepEqual([lines.length, lines[0]], [2, expected]);
    assert.match(lines[1] ?? '', new RegExp(`TYPE65 .*${Buffer.from(list, 'base64').toString('hex')}$`));
    assert.match(stderr, /in clear is public\.example/);
  });

  test('says what is missing', async t => {
    const path = makeKey(makeFolder(t, {}));
    assert.match(await echRefusal(t, 'dns', path), /required option '--name <name>' not specified/);
    assert.match(await echRefusal(t, 'dns', '--name', 'a.example'), /missing required argument 'file'/);
    assert.match(
      await echRefusal(t, 'dns', makeFolder(t, {}), '--name', 'a.example'),
      /sniway ech keygen --public-name NAME --out "\S+" makes one/,
    );
  });
});

/** Ends a process at its n-th change of the disk, before it is made. */
const CRASH = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
let left = Number(process.env.CRASH_AT);
for (const name of ['openSync', 'writeFileSync', 'fchownSync', 'fchmodSync', 'fsyncSync', 'linkSync', 'renameSync', 'rmSync']) {
  const real = fs[name];
  fs[name] = (...args) => {
    // Files are opened to be read, too.
    if ((name !== 'openSync' || args[1] === 'wx') && left-- === 0) process.kill(process.pid, 'SIGKILL');
    return real(...args);
  };
}
syncBuiltinESMExports();
`;

describe('sniway ech rotate', () => {
  test('adds a key, keeps what clients may have, and says what comes next', async t => {
    const folder = makeFolder(t, {});
    const old = [makeKey(folder), makeKey(folder), makeKey(folder)];
    for (const [index, path] of old.entries()) utimesSync(path, 1_000_000_000 - index, 1_000_000_000 - index);
    const said = await echOut(t, 'rotate', folder, '--keep', '1');
    const [, made = ''] = /^public\.example: made "([^"]+)", config id \d+\n/.exec(said) ?? [];
    assert.deepEqual(said.split('\n').slice(1, 4), [
      `  kept "${old[0]}"`,
      `  removed "${old[2]}"`,
      `  removed "${old[1]}"`,
    ]);
    assert.ok(said.includes(`sniway ech dns ${made} --name NAME`), said);
    assert.match(
      said,
      /1\. every proxy [^]*\n2\. publish [^]*\n3\. rotate again no sooner than 2 times the TTL after that/,
    );
    const { files, warnings } = readEchFiles([folder]);
    assert.deepEqual([new Set(files.map(({ path }) => path)), warnings], [new Set([made, old[0]]), []]);
  });

  test('killed at whatever moment, leaves keys that load, and the old one until the new one is there', async t => {
    const hook = join(makeFolder(t, { 'crash.mjs': CRASH }), 'crash.mjs');
    const key = makeKey(makeFolder(t, {}));
    const rotate = join(projectRoot, 'dist', 'src', 'cli', 'ech', 'rotate.js');
    const script = `(await import('${rotate}')).rotateKeys(process.argv[1], { keep: '0', ttl: '0' })`;
    let crashes = 0;
    for (let isKilled = true; isKilled; crashes++) {
      assert.ok(crashes < 30, 'it comes to its end');
      const folder = makeFolder(t, {});
      copyFileSync(key, join(folder, 'old.ech'));
      const env = { ...process.env, CRASH_AT: String(crashes) };
      const command = ['--import', `file://${hook}`, '--input-type=module', '-e', script, folder] as const;
      const { signal, code, stderr } = await run(t, [process.execPath, ...command], '', { env });
      isKilled = signal === 'SIGKILL';
      if (!isKilled) assert.equal(code, 0, stderr);
      const { files, problems, warnings } = readEchFiles([folder]);
      assert.deepEqual([problems, warnings], [[], []]);
      assert.ok(
        files.length > 0 && files.every(({ hasPrivateKey }) => hasPrivateKey),
        `at change ${crashes}`,
      );
      if (!isKilled)
        assert.deepEqual(
          files.filter(({ path }) => path.endsWith('old.ech')),
          [],
        );
      // What a crash has left is in nobody's way.
      rotateKeys(folder, { keep: '0', ttl: '0' });
    }
    assert.ok(crashes > 5, `${crashes} moments`);
  });

  test('of several at once, each makes a key, and none removes that of another', async t => {
    const folder = makeFolder(t, {});
    makeKey(folder);
    await Promise.all([0, 1, 2].map(() => echOut(t, 'rotate', folder, '--keep', '0')));
    assert.equal(readEchFiles([folder]).keys.length, 4);
  });
});
