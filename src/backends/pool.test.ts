import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parsePeerAddress } from '../wire/peer-address.ts';
import { AddressBook } from './address-book.ts';
import { BackendLedger, createLedgerMemory } from './backend-ledger.ts';
import { BALANCES } from './plain-pool.ts';
import type { Balance, PlainBackend, PlainPool } from './plain-pool.ts';
import { Pool, knownCandidates } from './pool.ts';
import type { PoolFacts } from './pool.ts';

type Some = Partial<Pick<PlainBackend, 'weight' | 'backup' | 'maxConnections'>>;

interface Bench {
  readonly pool: Pool;
  readonly ledger: BackendLedger;
  /** Numbers of the backends in the order to try them. */
  order(client?: string, name?: string): number[];
  eject(backend: number): void;
}

function bench(balance: Balance, backends: readonly Some[], retry = 7): Bench {
  const ejection = { failures: 1, baseMs: 1_000, maxMs: 1_000 };
  const plain: PlainPool = {
    backends: backends.map((some, id) => ({
      id,
      backend: { kind: 'ip', address: `10.0.0.${id}`, port: 443, family: 4 },
      weight: 1,
      backup: false,
      maxConnections: 0,
      proxy: null,
      ...some,
    })),
    balance,
    retry,
    ejection,
    health: null,
    onDown: 'keep',
  };
  const tracked = plain.backends.map(backend => ({ plain: backend, ejection }));
  const memory = createLedgerMemory(tracked.length, 1);
  const ledger = new BackendLedger({ memory, backends: tracked, worker: 0, nowMs: () => 1 });
  const pool = new Pool(plain);
  const addresses = new AddressBook();
  return {
    pool,
    ledger,
    order(client = '192.0.2.1', serverName = 'a.example') {
      const facts: PoolFacts = { client: parsePeerAddress(client, 1), serverName, ledger, addresses };
      return pool.order(facts).map(({ id }) => id);
    },
    eject(backend) {
      ledger.take(backend);
      ledger.leave(backend, 'failed');
    },
  };
}

function countFirsts(
  made: Bench,
  rounds: number,
  client: (round: number) => string = () => '192.0.2.1',
): number[] {
  const counts = made.pool.plain.backends.map(() => 0);
  for (let round = 0; round < rounds; round++) counts[made.order(client(round))[0]!]! += 1;
  return counts;
}

const manyClients = (round: number): string => `10.${round >> 16}.${(round >> 8) & 255}.${round & 255}`;

describe('Pool', () => {
  for (const balance of BALANCES) {
    test(`${balance}: leaves out what is down, ejected or full while others are usable`, () => {
      const some = fc.constantFrom('up', 'down', 'ejected', 'full');
      fc.assert(
        fc.property(fc.array(fc.tuple(some, fc.boolean()), { minLength: 2, maxLength: 8 }), states => {
          const made = bench(
            balance,
            states.map(([, backup]) => ({ backup, maxConnections: 1 })),
            0,
          );
          for (const [backend, [state]] of states.entries()) {
            if (state === 'down') made.ledger.setDown(backend, true);
            if (state === 'ejected') made.eject(backend);
            if (state === 'full') made.ledger.take(backend);
          }
          const [first] = made.order();
          const isUsable = ([state]: readonly [string, boolean]): boolean => state === 'up';
          const primaries = states.filter(([, backup]) => !backup).some(isUsable);
          if (states.some(isUsable)) {
            assert.deepEqual(states[first!], ['up', !primaries]);
          } else {
            assert.notEqual(first, undefined);
          }
        }),
      );
    });

    test(`${balance}: tries each backend once, as many as it may`, () => {
      const made = bench(balance, [{}, {}, {}, { backup: true }], 2);
      for (let round = 0; round < 20; round++) {
        const order = made.order(manyClients(round));
        assert.equal(new Set(order).size, 3);
        assert.ok(!order.includes(3));
      }
    });
  }

  test('round-robin: takes turns by weight, spread over the round', () => {
    const made = bench('round-robin', [{ weight: 5 }, { weight: 1 }, { weight: 1 }]);
    const firsts = Array.from({ length: 14 }, () => made.order()[0]);
    assert.deepEqual(firsts, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
  });

  test('round-robin: the others of a lost backend share its turns', () => {
    const made = bench('round-robin', [{}, {}, {}]);
    made.eject(0);
    assert.deepEqual(countFirsts(made, 100), [0, 50, 50]);
  });

  test('least-connections: evens the connections out by weight', () => {
    const made = bench('least-connections', [{ weight: 1 }, { weight: 3 }]);
    for (let round = 0; round < 400; round++) made.ledger.take(made.order()[0]!);
    assert.deepEqual([made.ledger.open(0), made.ledger.open(1)], [100, 300]);
  });

  test('least-connections: those with equally few take turns', () => {
    const made = bench('least-connections', [{}, {}, {}]);
    assert.deepEqual(countFirsts(made, 300), [100, 100, 100]);
  });

  test('random-of-two: keeps connections nearly even, and gives shares by weight', () => {
    const even = bench('random-of-two', [{}, {}, {}, {}, {}]);
    for (let round = 0; round < 5_000; round++) even.ledger.take(even.order()[0]!);
    for (let backend = 0; backend < 5; backend++) assert.ok(Math.abs(even.ledger.open(backend) - 1_000) < 20);
    const weighted = bench('random-of-two', [{ weight: 1 }, { weight: 3 }]);
    for (let round = 0; round < 400; round++) weighted.ledger.take(weighted.order()[0]!);
    assert.ok(Math.abs(weighted.ledger.open(1) - 300) < 20);
  });

  test('hash-client: a client keeps its backend, and clients are shared out', () => {
    const made = bench('hash-client', [{}, {}, {}, {}]);
    for (let round = 0; round < 100; round++) {
      assert.deepEqual(made.order(manyClients(round)), made.order(manyClients(round)));
    }
    for (const count of countFirsts(made, 4_000, manyClients)) assert.ok(Math.abs(count - 1_000) < 150);
  });

  test('hash-client: only clients of a backend that leaves move, but for a few; all come back with it', () => {
    const made = bench('hash-client', [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]);
    const clients = Array.from({ length: 10_000 }, (_, index) => manyClients(index));
    const before = clients.map(client => made.order(client)[0]);
    made.ledger.setDown(3, true);
    const after = clients.map(client => made.order(client)[0]);
    const moved = before.filter((backend, index) => backend !== after[index]).length / clients.length;
    assert.ok(moved > 0.08 && moved < 0.16, `${moved} moved`);
    made.ledger.setDown(3, false);
    assert.deepEqual(
      clients.map(client => made.order(client)[0]),
      before,
    );
  });

  test('hash-name: the name decides, whatever the client', () => {
    const made = bench('hash-name', [{}, {}, {}, {}]);
    const firsts = new Set<number>();
    for (let index = 0; index < 100; index++) {
      const name = `n${index}.example`;
      assert.deepEqual(made.order('192.0.2.1', name), made.order('192.0.2.9', name));
      firsts.add(made.order('192.0.2.1', name)[0]!);
    }
    assert.equal(firsts.size, 4);
  });

  test('tries all of them when none is usable', () => {
    const made = bench('round-robin', [{}, {}]);
    made.ledger.setDown(0, true);
    made.ledger.setDown(1, true);
    assert.equal(made.order().length, 2);
    made.eject(0);
    made.eject(1);
    assert.equal(made.order().length, 2);
  });

  test('keeps what is ejected as the last resort, but not what is down', () => {
    const made = bench('round-robin', [{}, {}, {}]);
    made.eject(0);
    made.ledger.setDown(1, true);
    assert.deepEqual(made.order(), [2, 0]);
  });
});

test('knownCandidates() waits for a name until its addresses are published', () => {
  const backend: PlainBackend = {
    id: 0,
    backend: { kind: 'host', host: 'b.example', port: 443 },
    weight: 1,
    backup: false,
    maxConnections: 0,
    proxy: null,
  };
  const { ledger } = bench('round-robin', [{}]);
  const addresses = new AddressBook();
  const facts: PoolFacts = { client: parsePeerAddress('192.0.2.1', 1), serverName: 'a', ledger, addresses };
  assert.equal(knownCandidates(backend, facts), null);
  const target = {
    port: null,
    priority: 0,
    weight: 1,
    addresses: [{ address: '10.0.0.1', family: 4 }],
  } as const;
  addresses.update([{ host: 'b.example', port: 443, addresses: { targets: [target] } }]);
  const known = knownCandidates(backend, facts);
  assert.deepEqual(
    known?.map(({ endpoint }) => endpoint),
    [{ kind: 'tcp', address: '10.0.0.1', port: 443, family: 4 }],
  );
  addresses.update([{ host: 'b.example', port: 443, addresses: null }]);
  assert.equal(knownCandidates(backend, facts), null);
});
