import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSystemLookUp } from './system-look-up.ts';
import type { SystemLookUp } from './system-look-up.ts';

const question = { fromClient: false, isOver: () => false };

describe('createSystemLookUp()', () => {
  test('asks the system, hosts file included', async () => {
    const found = await createSystemLookUp()({ ...question, name: 'localhost' });
    assert.ok(
      found.kind === 'found' && found.addresses.some(({ address }) => /^(127\.0\.0\.1|::1)$/.test(address)),
    );
  });

  test('tells a name that is not there from one nobody knows about', async () => {
    for (const [code, kind] of [
      ['ENOTFOUND', 'none'],
      ['EAI_AGAIN', 'failed'],
    ] as const) {
      const ask = createSystemLookUp(() => Promise.reject(Object.assign(new Error('x'), { code })));
      assert.deepEqual(await ask({ ...question, name: 'a.example' }), { kind, code });
    }
    const ask = createSystemLookUp(() => Promise.resolve([]));
    assert.deepEqual(await ask({ ...question, name: 'a.example' }), { kind: 'none', code: 'no-address' });
  });

  test('keeps a thread for configured names, whatever clients ask for, and drops what nobody waits for', async () => {
    const asked: string[] = [];
    const release: (() => void)[] = [];
    const lookUp: SystemLookUp = name => {
      asked.push(name);
      return new Promise(resolve => {
        release.push(() => resolve([{ address: '192.0.2.1', family: 4 }]));
      });
    };
    const ask = createSystemLookUp(lookUp);
    const fromClients = ['c1', 'c2', 'c3'].map(name =>
      ask({ name, fromClient: true, isOver: () => name === 'c2' }),
    );
    const configured = ask({ ...question, name: 'configured' });
    assert.deepEqual(asked, ['c1', 'configured']);
    release.shift()?.();
    await fromClients[0];
    assert.deepEqual(await fromClients[1], { kind: 'failed', code: 'timeout' });
    while (release.length > 0) release.shift()?.();
    await configured;
    while (asked.length < 3) await Promise.resolve();
    release.shift()?.();
    assert.equal((await fromClients[2])?.kind, 'found');
    assert.deepEqual(asked, ['c1', 'configured', 'c3']);
  });
});
