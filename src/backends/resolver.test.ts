import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LOOKUPS_MAX } from '../limits.ts';
import { ResolveError, createResolver } from './resolver.ts';
import type { LookUp } from './resolver.ts';

const answer = [{ address: '192.0.2.1', family: 4 }];

describe('createResolver()', () => {
  test('asks the system, hosts file included', async () => {
    const found = await createResolver().resolve('localhost', 5_000);
    assert.ok(found.some(({ address }) => address === '127.0.0.1' || address === '::1'));
  });

  test('shares the look-ups of one name that are under way, and asks anew afterwards', async () => {
    let asked = 0;
    const resolver = createResolver(async () => {
      asked++;
      await new Promise(resolve => {
        setImmediate(resolve);
      });
      return answer;
    });
    const all = await Promise.all([1, 2, 3].map(() => resolver.resolve('a.example', 1_000)));
    assert.equal(asked, 1);
    assert.deepEqual(all, [answer, answer, answer]);
    await resolver.resolve('a.example', 1_000);
    assert.equal(asked, 2);
  });

  test('rejects with the code of the system', async () => {
    const lookUp: LookUp = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
    await assert.rejects(createResolver(lookUp).resolve('a.example', 1_000), new ResolveError('ENOTFOUND'));
  });

  test('rejects a name without an address', async () => {
    const resolver = createResolver(() => Promise.resolve([]));
    await assert.rejects(resolver.resolve('a.example', 1_000), new ResolveError('no-address'));
  });

  test('rejects at its deadline and survives the late failure', async () => {
    let fail: (error: Error) => void = () => undefined;
    const resolver = createResolver(
      () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    );
    await assert.rejects(resolver.resolve('slow.example', 20), new ResolveError('timeout'));
    fail(new Error('late'));
    await new Promise(resolve => {
      setImmediate(resolve);
    });
  });

  test('bounds the look-ups under way', async () => {
    const release: (() => void)[] = [];
    const resolver = createResolver(
      () =>
        new Promise(resolve => {
          release.push(() => resolve(answer));
        }),
    );
    const running = Array.from({ length: LOOKUPS_MAX }, (_, index) =>
      resolver.resolve(`n${index}.example`, 5_000),
    );
    await assert.rejects(resolver.resolve('one.more.example', 5_000), new ResolveError('too-many-lookups'));
    const shared = resolver.resolve('n0.example', 5_000);
    for (const free of release) free();
    await Promise.all([...running, shared]);
    const later = resolver.resolve('one.more.example', 5_000);
    release.at(-1)?.();
    assert.deepEqual(await later, answer);
  });

  test('never hands an address literal to the system', async () => {
    await assert.rejects(createResolver().resolve('127.0.0.1', 1_000), new ResolveError('address-literal'));
  });
});
