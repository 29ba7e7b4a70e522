import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createTestKey } from '../../../test/support/ech-client.ts';
import { makeFolder } from '../../../test/support/folders.ts';
import { encodeEchConfigList } from '../../ech/ech-config.ts';
import { KEMS } from '../../ech/hpke-suites.ts';
import { parseKeyFile } from '../../ech/key-file.ts';
import { createKeyFile } from '../../ech/new-key.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { publishKey } from './dns.ts';
import type { DnsFlags } from './dns.ts';

const FLAGS: DnsFlags = { name: 'secret.example', port: '443', alpn: 'h2,http/1.1', ttl: '300' };

function fileWith(t: TestContext, publicName = 'public.example'): string {
  const path = join(makeFolder(t, {}), 'key.ech');
  writeFileSync(path, encodeEchConfigList([createTestKey({ publicName }).config]));
  return path;
}

async function recordOf(path: string, flags: Partial<DnsFlags> = {}): Promise<string> {
  const { out } = await publishKey(path, { ...FLAGS, ...flags });
  const [, record = '', , unknown = ''] = out.split('\n');
  assert.match(unknown, / IN TYPE65 \\# [0-9]+ [0-9a-f]+$/);
  assert.equal(unknown.split(' IN ')[0], record.split(' IN ')[0]);
  return record.replace(/ech=\S+$/, 'ech=LIST');
}

async function refusalOf(path: string, flags: Partial<DnsFlags>): Promise<string> {
  const error: unknown = await publishKey(path, { ...FLAGS, ...flags }).catch((reason: unknown) => reason);
  assert.ok(error instanceof CommandError && error.exitCode === EXIT.usage, String(error));
  return error.message;
}

describe('publishKey()', () => {
  test('makes the record that the flags ask for', async t => {
    const path = fileWith(t);
    assert.equal(await recordOf(path), 'secret.example. 300 IN HTTPS 1 . alpn="h2,http/1.1" ech=LIST');
    assert.equal(
      await recordOf(path, { name: 'SECRET.Example.', port: '8443', ttl: '60', alpn: 'h2', mandatory: true }),
      '_8443._https.secret.example. 60 IN HTTPS 1 secret.example. mandatory=ech alpn="h2" ech=LIST',
    );
    assert.equal(
      await recordOf(path, { port: '8443', target: 'Edge.example' }),
      '_8443._https.secret.example. 300 IN HTTPS 1 edge.example. alpn="h2,http/1.1" ech=LIST',
    );
    assert.equal(await recordOf(path, { target: '.' }), await recordOf(path));
    assert.match(await recordOf(path, { name: '*.example.com' }), /^\*\.example\.com\. 300 /);
    assert.match(await recordOf(path, { name: 'bücher.example' }), /^xn--bcher-kva\.example\. 300 /);
  });

  test('takes of a folder the newest key, of the public name that is meant', async t => {
    const folder = makeFolder(t, {});
    const lists = new Map<number, string>();
    for (const [configId, publicName, age] of [
      [1, 'a.example', 10],
      [2, 'a.example', 5],
      [3, 'b.example', 1],
    ] as const) {
      const text = createKeyFile({ kem: KEMS.x25519, publicName, configId, maximumNameLength: 0 });
      const path = join(folder, `${configId}.ech`);
      writeFileSync(path, text, { mode: 0o600 });
      utimesSync(path, Date.now() / 1_000 - age, Date.now() / 1_000 - age);
      const read = parseKeyFile(text);
      if (read.ok) lists.set(configId, Buffer.from(read.list).toString('base64'));
    }
    const { out } = await publishKey(folder, { ...FLAGS, publicName: 'A.example' });
    assert.ok(out.includes(`ech=${lists.get(2)}\n`), out);
    assert.match(
      await refusalOf(folder, {}),
      /has keys for "a\.example", "b\.example": say which by --public-name/,
    );
    const file = join(folder, '3.ech');
    assert.match(
      await refusalOf(file, { publicName: 'a.example' }),
      /--public-name "a\.example": "\S+" is for "b\.example"/,
    );
  });

  test('refuses what would not hide the name', async t => {
    const path = fileWith(t);
    assert.match(
      await refusalOf(path, { port: '8443', target: '.' }),
      /--target \. with --port 8443 would lead browsers to _8443\._https/,
    );
    assert.match(
      await refusalOf(path, { port: '8443', name: '*.example' }),
      /a wildcard in DNS stands in front/,
    );
    const numbered = fileWith(t, '192.0.2.1');
    assert.match(
      await refusalOf(numbered, {}),
      /has the public name "192\.0\.2\.1", which clients do not take: its last label is a number/,
    );
  });

  test('says which flag is wrong, and what it takes', async t => {
    const path = fileWith(t);
    const long = Array.from({ length: 4 }, () => 'a'.repeat(60)).join('.');
    const cases: readonly [Partial<DnsFlags>, RegExp][] = [
      [{ name: '192.0.2.1' }, /--name "192\.0\.2\.1" is not a host name: it is an IP address/],
      [{ name: 'a b' }, /--name "a b" is not a host name/],
      [
        { name: `${long}.example`, port: '8443' },
        /is too long for a record: with the port it has more than 253 bytes/,
      ],
      [{ target: 'a/b' }, /--target "a\/b" is not a host name/],
      [{ port: '0' }, /--port 0: give a whole number from 1 to 65535/],
      [{ port: '65536' }, /--port 65536/],
      [{ port: '0x50' }, /--port 0x50/],
      [{ ttl: '2147483648' }, /--ttl 2147483648: give a whole number from 0 to 2147483647/],
      [{ alpn: '' }, /--alpn "": "" is no protocol; give them parted by commas/],
      [{ alpn: 'h2,' }, /--alpn "h2,"/],
      [{ alpn: 'h2,a"b' }, /--alpn/],
      [{ alpn: 'a\\b' }, /--alpn/],
      [{ alpn: 'a'.repeat(256) }, /--alpn/],
      [{ name: 'a\x1b.example' }, /--name "a\\x1b\.example"/],
    ];
    for (const [flags, expected] of cases) assert.match(await refusalOf(path, flags), expected);
  });

  test('notes what is easily overlooked', async t => {
    const notesOf = async (flags: Partial<DnsFlags>): Promise<string> =>
      ((await publishKey(fileWith(t), { ...FLAGS, ...flags })).notes ?? []).join('\n');
    assert.match(await notesOf({}), /in clear is public\.example, which must lead to this proxy/);
    assert.doesNotMatch(await notesOf({}), /warn:|required/);
    assert.match(
      await notesOf({ name: 'public.example' }),
      /warn: public\.example is the public name of \S+ itself: nothing is hidden/,
    );
    assert.match(await notesOf({ alpn: 'h3,h2' }), /warn: h3 is for QUIC/);
    assert.match(await notesOf({ mandatory: true }), /ech: required on the route/);
  });
});
