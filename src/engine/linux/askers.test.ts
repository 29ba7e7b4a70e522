import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Askers } from './askers.ts';

test('Askers tells whose answer is wanted no more, once, and nobody who was answered', () => {
  const askers = new Askers();
  const gone: number[] = [];
  for (const question of [1, 2, 3, 4]) askers.open(question).gone = () => void gone.push(question);
  askers.open(5);
  askers.close(1);
  askers.forget(1);
  askers.forget(2);
  askers.forget(2);
  askers.forget(9);
  assert.deepEqual(gone, [2]);
  askers.forgetAll();
  askers.forgetAll();
  assert.deepEqual(gone, [2, 3, 4]);
});
