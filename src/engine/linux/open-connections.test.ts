import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OpenConnections } from './open-connections.ts';

const member = (name: string) => ({ name, place: -1 });

describe('OpenConnections', () => {
  test('holds who was added and not taken out, whatever the order', () => {
    const [a, b, c, d] = [member('a'), member('b'), member('c'), member('d')];
    const open = new OpenConnections<typeof a>();
    for (const one of [a, b, c, d]) open.add(one);
    open.delete(b);
    open.delete(d);
    assert.deepEqual(open.list(), [a, c]);
    open.delete(a);
    open.add(b);
    assert.deepEqual(open.list(), [c, b]);
    assert.equal(open.size, 2);
  });

  test('delete() leaves the others alone when called twice', () => {
    const [a, b] = [member('a'), member('b')];
    const open = new OpenConnections<typeof a>();
    open.add(a);
    open.add(b);
    open.delete(a);
    open.delete(a);
    assert.deepEqual(open.list(), [b]);
  });
});
