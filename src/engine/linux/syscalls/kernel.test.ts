/** Real system calls on loopback; skipped where the linux engine cannot run. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Arena, Region } from './arena.ts';
import * as C from './constants.ts';
import * as layouts from './layouts.ts';
import { loadKernel } from './load-kernel.ts';
import { createSocketOptions } from './socket-options.ts';
import { orThrow } from './system-error.ts';
import type { Endpoint } from '../../../verdict.ts';

const loaded = loadKernel();
const skip = loaded.ok ? false : `no linux engine here: ${loaded.why}`;

const STREAM = C.SOCK_STREAM | C.SOCK_CLOEXEC;
const LOOPBACK = { kind: 'tcp', address: '127.0.0.1', port: 0, family: 4 } as const;

describe('kernel', { skip }, () => {
  assert.ok(loaded.ok);
  const { kernel } = loaded;
  const arena = loaded.createArena(1 << 20);
  const address = arena.allocate('address', layouts.SOCKADDR_STORAGE_BYTES);
  const scratch = arena.allocate('scratch', 64 * 1024);
  const opened: number[] = [];

  /** A descriptor that is closed when the tests are over. */
  const keep = (syscall: string, fd: number): number => {
    opened.push(orThrow(kernel, syscall, fd));
    return fd;
  };
  const nameOf = (fd: number, call: 'getsockname' | 'getpeername'): Endpoint => {
    scratch.view.setUint32(scratch.offset, address.length, true);
    orThrow(kernel, call, kernel[call](fd, address.address, scratch.address));
    return layouts.readSockaddr(address.view, address.offset, scratch.view.getUint32(scratch.offset, true));
  };
  const listenAt = (endpoint: Endpoint): { fd: number; endpoint: Endpoint } => {
    const fd = keep('socket', kernel.socket(layouts.familyOf(endpoint), STREAM, 0));
    const length = layouts.writeSockaddr(address.view, address.offset, endpoint);
    orThrow(kernel, 'bind', kernel.bind(fd, address.address, length));
    orThrow(kernel, 'listen', kernel.listen(fd, 16));
    return { fd, endpoint: nameOf(fd, 'getsockname') };
  };
  const connectTo = (endpoint: Endpoint): number => {
    const fd = keep('socket', kernel.socket(layouts.familyOf(endpoint), STREAM, 0));
    const length = layouts.writeSockaddr(address.view, address.offset, endpoint);
    orThrow(kernel, 'connect', kernel.connect(fd, address.address, length));
    return fd;
  };
  const socketPair = (): { client: number; server: number } => {
    const listener = listenAt(LOOPBACK);
    const client = connectTo(listener.endpoint);
    const flags = C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
    return { client, server: keep('accept4', kernel.accept4(listener.fd, 0, 0, flags)) };
  };
  const pipe = (): { from: number; into: number } => {
    orThrow(kernel, 'pipe2', kernel.pipe2(scratch.address, C.O_NONBLOCK | C.O_CLOEXEC));
    const from = keep('pipe2', scratch.view.getInt32(scratch.offset, true));
    return { from, into: keep('pipe2', scratch.view.getInt32(scratch.offset + 4, true)) };
  };

  after(() => {
    for (const fd of opened) kernel.close(fd);
    arena.close();
  });

  test('a failing call answers -1 and leaves its reason in errno', () => {
    assert.equal(kernel.close(-1), -1);
    assert.equal(kernel.errno(), C.EBADF);
    const { server } = socketPair();
    assert.equal(kernel.recv(server, scratch.address, 16, 0), -1);
    assert.equal(kernel.errno(), C.EAGAIN);
    const { fd } = listenAt(LOOPBACK);
    assert.equal(kernel.send(fd, scratch.address, 1, C.MSG_NOSIGNAL), -1);
    assert.equal(kernel.errno(), C.EPIPE);
  });

  test('errno survives the garbage collector at work', () => {
    const kept: object[] = [];
    for (let round = 0; round < 200_000; round++) {
      kept[round % 5000] = { round, text: `garbage ${round}` };
      assert.equal(kernel.close(-1), -1);
      if (kernel.errno() !== C.EBADF) assert.fail(`errno is ${kernel.errno()} in round ${round}`);
    }
  });

  test('orThrow() throws what Node would throw', () => {
    const free = listenAt(LOOPBACK);
    orThrow(kernel, 'close', kernel.close(free.fd));
    opened.splice(opened.indexOf(free.fd), 1);
    assert.throws(() => connectTo(free.endpoint), {
      message: 'connect ECONNREFUSED',
      code: 'ECONNREFUSED',
      errno: C.ECONNREFUSED,
      syscall: 'connect',
    });
  });

  for (const endpoint of [
    { kind: 'tcp', address: '127.0.0.1', port: 0, family: 4 },
    { kind: 'tcp', address: '::1', port: 0, family: 6 },
    { kind: 'unix', path: `\0sniway-test-${process.pid}` },
  ] as const) {
    test(`bytes travel between sockets of ${JSON.stringify(endpoint)}`, t => {
      let listener: { fd: number; endpoint: Endpoint };
      try {
        listener = listenAt(endpoint);
      } catch (error) {
        if (!/EAFNOSUPPORT|EADDRNOTAVAIL/.test(String(error))) throw error;
        t.skip(`this machine has no such addresses: ${String(error)}`);
        return;
      }
      const client = connectTo(listener.endpoint);
      const server = keep('accept4', kernel.accept4(listener.fd, 0, 0, C.SOCK_NONBLOCK | C.SOCK_CLOEXEC));
      assert.deepEqual(nameOf(client, 'getpeername'), listener.endpoint);
      assert.deepEqual(nameOf(server, 'getsockname'), listener.endpoint);
      const length = scratch.bytes.write('hello');
      assert.equal(kernel.send(client, scratch.address, length, C.MSG_NOSIGNAL), length);
      scratch.bytes.fill(0);
      assert.equal(kernel.recv(server, scratch.address + 8, 64, 0), length);
      assert.equal(scratch.bytes.toString('utf8', 8, 8 + length), 'hello');
      assert.equal(kernel.shutdown(client, C.SHUT_WR), 0);
      assert.equal(kernel.recv(server, scratch.address, 64, 0), 0);
    });
  }

  test('an IPv4 peer of a dual-stack listener reads as IPv4', t => {
    let listener: { fd: number; endpoint: Endpoint };
    try {
      listener = listenAt({ kind: 'tcp', address: '::', port: 0, family: 6 });
    } catch (error) {
      t.skip(`this machine has no IPv6: ${String(error)}`);
      return;
    }
    assert.ok(listener.endpoint.kind === 'tcp');
    const client = connectTo({ ...LOOPBACK, port: listener.endpoint.port });
    const server = keep('accept4', kernel.accept4(listener.fd, 0, 0, C.SOCK_CLOEXEC));
    assert.deepEqual(nameOf(server, 'getpeername'), nameOf(client, 'getsockname'));
  });

  test('splice moves bytes from socket to pipe to socket, and reports the end of file', () => {
    const [source, sink] = [socketPair(), socketPair()];
    const { from, into } = pipe();
    assert.ok(kernel.fcntl(into, C.F_SETPIPE_SZ, 256 * 1024) >= 256 * 1024);
    scratch.bytes.fill('x', 0, 10_000);
    assert.equal(kernel.send(source.client, scratch.address, 10_000, 0), 10_000);
    const flags = C.SPLICE_F_MOVE | C.SPLICE_F_NONBLOCK;
    assert.equal(kernel.splice(source.server, into, 1 << 20, flags), 10_000);
    assert.equal(kernel.splice(source.server, into, 1 << 20, flags), -1);
    assert.equal(kernel.errno(), C.EAGAIN);
    assert.equal(kernel.splice(from, sink.server, 1 << 20, flags), 10_000);
    scratch.bytes.fill(0);
    assert.equal(kernel.recv(sink.client, scratch.address, 20_000, 0), 10_000);
    assert.ok(scratch.bytes.subarray(0, 10_000).every(byte => byte === 0x78));
    kernel.shutdown(source.client, C.SHUT_WR);
    assert.equal(kernel.splice(source.server, into, 1 << 20, flags), 0);
  });

  test('epoll reports edges with the 64 bits of data it was given', () => {
    const { client, server } = socketPair();
    const epoll = keep('epoll_create1', kernel.epoll_create1(C.EPOLL_CLOEXEC));
    const change = layouts.createEpollEvents(arena, 'change', 1);
    const events = layouts.createEpollEvents(arena, 'events', 8);
    change.set(C.EPOLLIN | C.EPOLLRDHUP | C.EPOLLET, 0x7fff_fffe, -2);
    orThrow(kernel, 'epoll_ctl', kernel.epoll_ctl(epoll, C.EPOLL_CTL_ADD, server, change.address));
    const wait = (): number => kernel.epoll_wait(epoll, events.address, events.capacity, 0);
    assert.equal(wait(), 0);
    kernel.send(client, scratch.address, 3, 0);
    assert.equal(wait(), 1);
    assert.deepEqual([events.events(0), events.low(0), events.high(0)], [C.EPOLLIN, 0x7fff_fffe, -2]);
    assert.equal(wait(), 0, 'an edge is reported once');
    kernel.shutdown(client, C.SHUT_WR);
    assert.equal(wait(), 1);
    assert.equal(events.events(0), C.EPOLLIN | C.EPOLLRDHUP);
  });

  test('epoll_wait fills several entries', () => {
    const epoll = keep('epoll_create1', kernel.epoll_create1(C.EPOLL_CLOEXEC));
    const change = layouts.createEpollEvents(arena, 'change', 1);
    const events = layouts.createEpollEvents(arena, 'events', 8);
    for (let index = 0; index < 5; index++) {
      const fd = keep('eventfd', kernel.eventfd(1, C.EFD_NONBLOCK | C.EFD_CLOEXEC));
      change.set(C.EPOLLIN, index, index * 1000);
      orThrow(kernel, 'epoll_ctl', kernel.epoll_ctl(epoll, C.EPOLL_CTL_ADD, fd, change.address));
    }
    const count = kernel.epoll_wait(epoll, events.address, events.capacity, 0);
    const seen = Array.from({ length: count }, (_, index) => [events.low(index), events.high(index)]);
    assert.deepEqual(
      seen.toSorted(([a = 0], [b = 0]) => a - b),
      [0, 1, 2, 3, 4].map(index => [index, index * 1000]),
    );
  });

  test('socket options are set and read', () => {
    const { server } = socketPair();
    const options = createSocketOptions(kernel, arena);
    assert.equal(options.set(server, C.IPPROTO_TCP, C.TCP_NODELAY, 1), 0);
    assert.equal(options.get(server, C.IPPROTO_TCP, C.TCP_NODELAY), 1);
    assert.equal(options.set(server, C.IPPROTO_TCP, C.TCP_KEEPIDLE, 75), 0);
    assert.equal(options.get(server, C.IPPROTO_TCP, C.TCP_KEEPIDLE), 75);
    assert.equal(options.get(server, C.SOL_SOCKET, C.SO_TYPE), C.SOCK_STREAM);
    assert.equal(options.get(-1, C.SOL_SOCKET, C.SO_TYPE), -1);
    assert.equal(kernel.errno(), C.EBADF);
  });

  test('SO_LINGER with 0 seconds turns a close into a reset', () => {
    const { client, server } = socketPair();
    const length = layouts.writeLinger(scratch.view, scratch.offset, 0);
    orThrow(
      kernel,
      'setsockopt',
      kernel.setsockopt(client, C.SOL_SOCKET, C.SO_LINGER, scratch.address, length),
    );
    kernel.close(client);
    opened.splice(opened.indexOf(client), 1);
    assert.equal(kernel.recv(server, scratch.address, 1, 0), -1);
    assert.equal(kernel.errno(), C.ECONNRESET);
  });

  test('writev gathers, readv scatters, ioctl counts what waits', () => {
    const { client, server } = socketPair();
    const text = scratch.bytes.write('onetwo');
    const vectors = scratch.offset + 1024;
    const vectorsAddress = scratch.address + 1024;
    const point = (index: number, at: number): number =>
      layouts.writeIovec(scratch.view, vectors + index * layouts.IOVEC_BYTES, {
        address: scratch.address + at,
        length: 3,
      });
    point(0, 3);
    point(1, 0);
    assert.equal(kernel.writev(client, vectorsAddress, 2), text);
    assert.equal(kernel.ioctl(server, C.FIONREAD, scratch.address + 512), 0);
    assert.equal(scratch.view.getInt32(scratch.offset + 512, true), text);
    point(0, 100);
    point(1, 200);
    assert.equal(kernel.readv(server, vectorsAddress, 2), text);
    assert.equal(scratch.bytes.toString('latin1', 100, 103), 'two');
    assert.equal(scratch.bytes.toString('latin1', 200, 203), 'one');
  });

  test('the limit of open files is read and set', () => {
    orThrow(kernel, 'getrlimit', kernel.getrlimit(C.RLIMIT_NOFILE, scratch.address));
    const limit = layouts.readRlimit(scratch.view, scratch.offset);
    assert.ok(limit.soft > 0 && limit.soft <= limit.hard);
    layouts.writeRlimit(scratch.view, scratch.offset, limit);
    assert.equal(kernel.setrlimit(C.RLIMIT_NOFILE, scratch.address), 0);
  });

  test('regions of an arena do not overlap, and a full arena says so', () => {
    const small = loadedArena(4096);
    const one: Region = small.allocate('one', 10);
    const two = small.allocate('two', 10, 64);
    assert.equal(two.address % 64, 0);
    assert.ok(two.offset >= one.offset + one.length);
    two.bytes[0] = 7;
    assert.equal(small.view.getUint8(two.offset), 7);
    assert.throws(() => small.allocate('three', 4096), /no room for 'three'/);
    small.close();
    small.close();
    assert.equal(small.view.getUint8(two.offset), 0, 'a closed arena still reads');
  });

  function loadedArena(bytes: number): Arena {
    assert.ok(loaded.ok);
    return loaded.createArena(bytes);
  }
});

test('eight worker threads load the kernel at once and keep their own errno', { skip }, async () => {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.url).then(({ loadKernel }) => {
      const loaded = loadKernel();
      if (!loaded.ok) throw new Error(loaded.why);
      const { kernel, createArena } = loaded;
      const arena = createArena(1 << 16);
      let wrong = 0;
      for (let round = 0; round < 20000; round++) {
        const odd = (round + workerData.index) % 2 === 1;
        const answer = odd ? kernel.close(-1) : kernel.epoll_wait(0, 0, 0, 0);
        if (answer !== -1 || kernel.errno() !== (odd ? 9 : 22)) wrong++;
      }
      parentPort.postMessage({ wrong, address: arena.address });
      arena.close();
    });`;
  const url = new URL('load-kernel.js', import.meta.url).href;
  const answers = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const worker = new Worker(program, { eval: true, workerData: { url, index } });
      return await new Promise<{ wrong: number; address: number }>((resolve, reject) => {
        worker.once('message', resolve).once('error', reject);
      }).finally(() => void worker.terminate());
    }),
  );
  assert.deepEqual(
    answers.map(({ wrong }) => wrong),
    Array.from({ length: 8 }, () => 0),
  );
  assert.equal(new Set(answers.map(answer => answer.address)).size, 8);
});
