import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkConfig } from './config/check-config.ts';
import type { CheckedConfig } from './config/check-config.ts';
import { SniwayError } from './errors.ts';
import { BACKENDS_SPARE, LIMIT_SCOPES_SPARE, NUMBERS_RESTING } from './limits.ts';
import { listBackends } from './live.ts';
import { Numbering } from './numbering.ts';

const FREE = { backend: () => false, slot: () => false };

/** Routes by name, each with counted backends at these ports. */
function configOf(routes: Readonly<Record<string, readonly number[]>>, limited = false): CheckedConfig {
  return checkConfig({
    listen: '127.0.0.1:1',
    routes: Object.entries(routes).map(([name, ports]) => ({
      name,
      match: `${name}.example.com`,
      backends: ports.map(port => ({ address: `10.0.0.1:${port}`, maxConnections: 5 })),
      ...(limited ? { limits: { connections: 5 } } : {}),
    })),
  });
}

function idsOf(config: CheckedConfig): Record<string, number> {
  return Object.fromEntries(
    listBackends(config).map(({ route, plain: { backend, id } }) => [
      `${route} ${'port' in backend ? backend.port : ''}`,
      id,
    ]),
  );
}

describe('Numbering', () => {
  test('what stays keeps its number, whatever comes before it; what is new gets one that nothing had', () => {
    const numbering = new Numbering(configOf({ a: [1], b: [2, 3] }));
    const { config, newBackends, commit } = numbering.renumber(configOf({ z: [9], b: [3, 2], a: [4] }), FREE);
    assert.deepEqual(idsOf(config), { 'z 9': 3, 'b 3': 2, 'b 2': 1, 'a 4': 4 });
    assert.deepEqual(newBackends, [3, 4]);
    commit();
    assert.deepEqual(idsOf(numbering.renumber(configOf({ a: [4] }), FREE).config), { 'a 4': 4 });
  });

  test('nothing has changed before it is committed', () => {
    const numbering = new Numbering(configOf({ a: [1] }));
    numbering.renumber(configOf({ b: [1] }), FREE);
    const { config, newBackends } = numbering.renumber(configOf({ a: [1], c: [1] }), FREE);
    assert.deepEqual(idsOf(config), { 'a 1': 0, 'c 1': 1 });
    assert.deepEqual(newBackends, [1]);
  });

  test('numbers are used again, but not while connections hold them, however many reloads there are', () => {
    const numbering = new Numbering(configOf({ a0: [1] }));
    const busy = new Set([1]);
    const seen = new Set<number>();
    for (let round = 1; round <= BACKENDS_SPARE * 2; round++) {
      const { config, commit } = numbering.renumber(configOf({ [`a${round}`]: [1] }), {
        ...FREE,
        backend: id => busy.has(id),
      });
      const id = idsOf(config)[`a${round} 1`] ?? -1;
      assert.ok(id >= 0 && id < numbering.room.backends);
      assert.ok(!(round > 2 && busy.has(id)), 'a number in use was given away');
      seen.add(id);
      commit();
    }
    assert.ok(seen.size <= NUMBERS_RESTING + 3, `${seen.size} numbers for one backend at a time`);
  });

  test('what is taken out and put back has its number again, unless that is another one by now', () => {
    const numbering = new Numbering(configOf({ a: [1] }));
    const reload = (routes: Readonly<Record<string, readonly number[]>>): Record<string, number> => {
      const { config, commit } = numbering.renumber(configOf(routes), FREE);
      commit();
      return idsOf(config);
    };
    reload({ b: [1] });
    assert.deepEqual(reload({ b: [1], a: [1] }), { 'b 1': 1, 'a 1': 0 });
    reload({ b: [1] });
    for (let round = 0; round <= NUMBERS_RESTING + 1; round++) reload({ [`c${round}`]: [1] });
    assert.notEqual(reload({ a: [1] })['a 1'], 0);
  });

  test('the slot of a limit stays with its route', () => {
    const numbering = new Numbering(configOf({ a: [1], b: [1] }, true));
    const { config } = numbering.renumber(configOf({ z: [1], b: [1] }, true), FREE);
    assert.deepEqual(config.slots.routes, [4, 3]);
    assert.ok(numbering.room.slots >= LIMIT_SCOPES_SPARE);
  });

  test('more new backends than there is room for are refused, and nothing changes', () => {
    const numbering = new Numbering(configOf({ a: [1] }));
    const many = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [
        `r${index}`,
        Array.from({ length: 300 }, (_unused, port) => port + 1),
      ]),
    );
    assert.throws(
      () => numbering.renumber(configOf(many), FREE),
      (error: unknown) => error instanceof SniwayError && error.code === 'ERR_STATE',
    );
    assert.deepEqual(idsOf(numbering.renumber(configOf({ a: [1] }), FREE).config), { 'a 1': 0 });
  });
});
