import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SniwayError } from '../errors.ts';
import type { ListenTarget } from './engine.ts';
import { describeTarget } from './listen-error.ts';
import { InheritedSockets, decodeSocketName, encodeSocketName, openingOrder } from './inherited-sockets.ts';
import { socketsOf } from './linux/listen-sockets.ts';

const tcp = (port: number, address = '127.0.0.1'): ListenTarget => ({ kind: 'tcp', address, port });
const handed = (fd: number, target: ListenTarget, address: string, manager: string | null = null) => ({
  fd,
  ...decodeSocketName(encodeSocketName({ target, address, manager })),
});
const given = (fd: number, name: string, address: string | null) => ({
  fd,
  ...decodeSocketName(name),
  address,
});

test('a name of a socket that is handed over holds its listener and its address, and no colon', () => {
  for (const [target, address] of [
    [tcp(0), '127.0.0.1:39999'],
    [tcp(443, '::'), '[::]:443'],
    [{ kind: 'unix', path: '/run/a=b:c%.sock' }, 'unix:/run/a=b:c%.sock'],
    [{ kind: 'fd', fd: 3 }, '[::1]:443'],
  ] as const) {
    for (const manager of [null, 'https']) {
      const name = encodeSocketName({ target, address, manager });
      assert.match(name, /^[^:\s]+$/);
      assert.deepEqual(decodeSocketName(name), { target: describeTarget(target), address, manager });
    }
  }
  for (const name of ['https', 'sniway.socket', 'a=b=c=d', '=x', 'a=%E0%A4%A'])
    assert.deepEqual(decodeSocketName(name), { target: null, address: null, manager: name });
});

test('a listener takes all sockets that were opened for it, once', () => {
  const inherited = new InheritedSockets(
    [3, 4, 5].map(fd => handed(fd, tcp(443), '127.0.0.1:443')),
    true,
  );
  assert.deepEqual(inherited.claim(tcp(443)), { fds: [3, 4, 5], isOurs: true });
  assert.equal(inherited.claim(tcp(443)), null);
  assert.equal(inherited.claim(tcp(444)), null);
  assert.deepEqual(inherited.unclaimed, []);
});

test('listeners on any port get one port each, the one they had', () => {
  const inherited = new InheritedSockets(
    [
      handed(3, tcp(0), '127.0.0.1:1001'),
      handed(4, tcp(0), '127.0.0.1:1001'),
      handed(5, tcp(0), '127.0.0.1:1002'),
      handed(6, tcp(1003), '127.0.0.1:1003'),
    ],
    true,
  );
  assert.deepEqual(inherited.claim(tcp(0))?.fds, [3, 4]);
  assert.deepEqual(inherited.claim(tcp(0))?.fds, [5]);
  assert.equal(inherited.claim(tcp(0)), null);
  assert.deepEqual(
    inherited.unclaimed.map(({ fd }) => fd),
    [6],
  );
});

test('a listener that now names the port it was given keeps its sockets', () => {
  const inherited = new InheritedSockets([handed(3, tcp(0), '127.0.0.1:1001')], true);
  assert.deepEqual(inherited.claim(tcp(1001))?.fds, [3]);
});

test("a service manager's sockets are taken by address, by number and by name, and stay its own", () => {
  const sockets = [
    given(3, 'https', '[::]:443'),
    given(4, 'https', 'unix:/run/sniway.sock'),
    given(5, 'other', null),
  ];
  const byAddress = new InheritedSockets(sockets);
  assert.deepEqual(byAddress.claim(tcp(443, '::')), { fds: [3], isOurs: false });
  assert.deepEqual(byAddress.claim({ kind: 'unix', path: '/run/sniway.sock' }), { fds: [4], isOurs: false });
  assert.deepEqual(byAddress.claim({ kind: 'fd', fd: 5 }), { fds: [5], isOurs: false });
  assert.deepEqual(byAddress.unclaimed, []);
  assert.deepEqual(new InheritedSockets(sockets).claim({ kind: 'fd', fd: 'other' })?.fds, [5]);
});

test("a service manager's sockets stay its own, and have their names, when they are handed on", () => {
  const sockets = [
    handed(3, { kind: 'fd', fd: 4 }, '[::]:443', 'https'),
    handed(4, tcp(80), '127.0.0.1:80', 'web'),
  ];
  for (const target of [{ kind: 'fd', fd: 4 }, { kind: 'fd', fd: 'https' }, tcp(443, '::')] as const)
    assert.deepEqual(new InheritedSockets(sockets, true).claim(target), { fds: [3], isOurs: false });
  assert.deepEqual(new InheritedSockets(sockets, true).claim(tcp(80))?.fds, [4]);
});

test('fd:N is whatever has this number, but not after a handover', () => {
  assert.deepEqual(new InheritedSockets().claim({ kind: 'fd', fd: 7 }), { fds: [7], isOurs: false });
  const target = { kind: 'fd', fd: 3 } as const;
  const handover = new InheritedSockets(
    [handed(3, tcp(443), '127.0.0.1:443'), handed(4, target, '[::]:444')],
    true,
  );
  assert.deepEqual(handover.claim(target)?.fds, [4]);
  assert.throws(() => handover.claim({ kind: 'fd', fd: 4 }), SniwayError);
  assert.throws(() => new InheritedSockets().claim({ kind: 'fd', fd: 'https' }), /fd:https.*EBADF/);
});

test('every socket has a worker, whatever the number of both', () => {
  for (let workers = 1; workers <= 5; workers++) {
    for (let count = 1; count <= 12; count++) {
      const fds = Array.from({ length: count }, (_, index) => index + 3);
      const shares = Array.from({ length: workers }, (_, worker) => socketsOf(fds, { worker, workers }));
      assert.deepEqual(new Set(shares.flat()), new Set(fds), `${count} sockets, ${workers} workers`);
      assert.ok(shares.every(share => share.length > 0));
    }
  }
  assert.deepEqual(socketsOf([3, 4], { worker: 1, workers: 2 }), [4]);
});

test('what has to be opened anew is opened before anything is taken over', () => {
  const inherited = new InheritedSockets([handed(3, tcp(443), '127.0.0.1:443')], true);
  assert.deepEqual(openingOrder([tcp(443), tcp(444), tcp(445)], inherited), [1, 2, 0]);
  assert.deepEqual(openingOrder([tcp(443), tcp(444)]), [0, 1]);
});
