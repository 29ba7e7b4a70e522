import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createTestClock, writeTemporary } from '../../test/support/names.ts';
import { HOSTS_BYTES_MAX, NAME_ADDRESSES_MAX, SYSTEM_FILE_CHECK_MS } from '../limits.ts';
import { followHostsFile, parseHosts } from './hosts-file.ts';

describe('parseHosts()', () => {
  test('reads addresses, names and aliases, and passes over the rest', () => {
    const hosts = parseHosts(
      [
        '# comment',
        '127.0.0.1\tlocalhost  Backend.Example. # not.this',
        'fe80::1%lo0 zoned.example',
        '127.1 short.example',
        '  ::1 localhost',
        '10.0.0.1',
        '10.0.0.2 backend.example\r',
        '10.0.0.2 backend.example',
        '',
      ].join('\n'),
    );
    assert.deepEqual(Object.fromEntries(hosts), {
      localhost: [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ],
      'backend.example': [
        { address: '127.0.0.1', family: 4 },
        { address: '10.0.0.2', family: 4 },
      ],
    });
  });

  test('bounds the addresses of one name', () => {
    const lines = Array.from({ length: 2 * NAME_ADDRESSES_MAX }, (_, index) => `10.0.0.${index} a`);
    assert.equal(parseHosts(lines.join('\n')).get('a')?.length, NAME_ADDRESSES_MAX);
  });
});

describe('followHostsFile()', () => {
  test('reads the file again when it has changed, at most once in its time', async t => {
    const clock = createTestClock();
    const path = writeTemporary(t, 'hosts', '10.0.0.1 a\n');
    const file = followHostsFile(path, clock.now);
    const addressOf = async (name: string) => (await file.read()).get(name)?.[0]?.address;
    assert.equal(await addressOf('a'), '10.0.0.1');
    writeFileSync(`${path}.new`, '10.0.0.2 a\n');
    renameSync(`${path}.new`, path);
    assert.equal(await addressOf('a'), '10.0.0.1', 'not looked at again yet');
    clock.advance(SYSTEM_FILE_CHECK_MS);
    assert.equal(await addressOf('a'), '10.0.0.2');
    rmSync(path);
    clock.advance(SYSTEM_FILE_CHECK_MS);
    assert.equal(await addressOf('a'), undefined);
  });

  test('reads the beginning of a file that is too large, whole lines only', async t => {
    const filler = `${'#'.repeat(1023)}\n`.repeat(HOSTS_BYTES_MAX / 1024 - 1);
    const path = writeTemporary(t, 'hosts', `10.0.0.1 first\n${filler}${'10.0.0.2 cut '.repeat(200)}\n`);
    const hosts = await followHostsFile(path, createTestClock().now).read();
    assert.deepEqual([...hosts.keys()], ['first']);
  });

  test('has no name without a file', async () => {
    const { now } = createTestClock();
    assert.equal((await followHostsFile('/no/such/file', now).read()).size, 0);
    assert.equal((await followHostsFile(null, now).read()).size, 0);
  });
});
