/** Layouts and constants against the C compiler's view of the headers, and addresses against Node's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { SocketAddress } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readIPv6, writeIPv6 } from '../../../wire/address-text.ts';
import * as constants from './constants.ts';
import * as layouts from './layouts.ts';
import type { Endpoint } from '../../../verdict.ts';

const HEADERS =
  'errno.h fcntl.h linux/sockios.h linux/tcp.h netinet/in.h poll.h sys/epoll.h sys/eventfd.h sys/ioctl.h sys/mman.h ' +
  'sys/resource.h sys/socket.h sys/time.h sys/uio.h sys/un.h unistd.h';

/** Our number beside the C expression that must have it. */
const LAYOUTS: readonly (readonly [string, number])[] = [
  ['sizeof(struct sockaddr_in)', layouts.SOCKADDR_IN_BYTES],
  ['sizeof(struct sockaddr_in6)', layouts.SOCKADDR_IN6_BYTES],
  ['sizeof(struct sockaddr_un)', layouts.SOCKADDR_UN_BYTES],
  ['sizeof(struct sockaddr_storage)', layouts.SOCKADDR_STORAGE_BYTES],
  ['sizeof(struct linger)', layouts.LINGER_BYTES],
  ['sizeof(struct timeval)', layouts.TIMEVAL_BYTES],
  ['sizeof(struct rlimit)', layouts.RLIMIT_BYTES],
  ['sizeof(struct iovec)', layouts.IOVEC_BYTES],
  ['sizeof(struct pollfd)', layouts.POLLFD_BYTES],
  ['sizeof(struct epoll_event)', layouts.EPOLL_EVENT_BYTES],
  ['offsetof(struct epoll_event, data)', layouts.EPOLL_DATA_OFFSET],
  ['offsetof(struct sockaddr_in, sin_port)', 2],
  ['offsetof(struct sockaddr_in, sin_addr)', 4],
  ['offsetof(struct sockaddr_in6, sin6_addr)', 8],
  ['offsetof(struct sockaddr_in6, sin6_scope_id)', 24],
  ['offsetof(struct sockaddr_un, sun_path)', 2],
  ['offsetof(struct timeval, tv_usec)', 8],
  ['offsetof(struct rlimit, rlim_max)', 8],
  ['offsetof(struct iovec, iov_len)', 8],
];

/** Values of C expressions here; null where no C compiler is installed. */
function askCompiler(expressions: readonly string[]): readonly number[] | null {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-layouts-'));
  try {
    const lines = expressions.map(expression => `printf("%lld\\n", (long long)(${expression}));`);
    const includes = ['stdio.h', 'stddef.h', ...HEADERS.split(' ')].map(header => `#include <${header}>`);
    const program = ['#define _GNU_SOURCE', ...includes, 'int main(void) {', ...lines, 'return 0; }'];
    writeFileSync(join(folder, 'ask.c'), program.join('\n'));
    const built = spawnSync('cc', ['-o', join(folder, 'ask'), join(folder, 'ask.c')], { encoding: 'utf8' });
    if (built.error !== undefined) return null;
    assert.equal(built.status, 0, built.stderr);
    const asked = spawnSync(join(folder, 'ask'), { encoding: 'utf8' });
    return asked.stdout.trim().split('\n').map(Number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('layouts and constants are those of the C headers', t => {
  const numbers = Object.entries<number>(constants);
  const ours = [...LAYOUTS, ...numbers];
  const theirs = process.platform === 'linux' ? askCompiler(ours.map(([expression]) => expression)) : null;
  if (theirs === null) {
    t.skip('needs Linux and a C compiler (cc)');
    return;
  }
  assert.ok(numbers.length > 100);
  const wrong = ours
    .map(([expression, value], index) => ({ expression, ours: value, headers: theirs[index] }))
    // EPOLLET is kept as a signed number.
    .filter(({ ours: value, headers }) => value !== headers && value !== Number(headers) - 2 ** 32);
  assert.deepEqual(wrong, []);
});

const view = new DataView(new ArrayBuffer(256), 64);
const roundTrip = (endpoint: Endpoint): Endpoint =>
  layouts.readSockaddr(view, 8, layouts.writeSockaddr(view, 8, endpoint));

test('socket addresses come back as they were written', () => {
  const endpoints: readonly Endpoint[] = [
    { kind: 'tcp', address: '192.0.2.255', port: 65_535, family: 4 },
    { kind: 'tcp', address: '::', port: 1, family: 6 },
    { kind: 'tcp', address: '::1', port: 443, family: 6 },
    { kind: 'tcp', address: '2001:db8::1:0:0:1', port: 443, family: 6 },
    { kind: 'tcp', address: 'fe80::1%4000000', port: 443, family: 6 },
    { kind: 'unix', path: '/run/app.sock' },
    { kind: 'unix', path: '\0abstract\0name' },
    { kind: 'unix', path: `/${'x'.repeat(106)}` },
  ];
  for (const endpoint of endpoints) assert.deepEqual(roundTrip(endpoint), endpoint);
});

test('an IPv4-mapped address comes back as IPv4', () => {
  const mapped = { kind: 'tcp', address: '::ffff:192.0.2.1', port: 443, family: 6 } as const;
  assert.deepEqual(roundTrip(mapped), { kind: 'tcp', address: '192.0.2.1', port: 443, family: 4 });
});

test('a Unix socket without a name has an empty path, one that is too long is refused', () => {
  layouts.writeSockaddr(view, 8, { kind: 'unix', path: '/left/over' });
  assert.deepEqual(layouts.readSockaddr(view, 8, 2), { kind: 'unix', path: '' });
  assert.throws(() => roundTrip({ kind: 'unix', path: `/${'x'.repeat(107)}` }), /at most 107 bytes/);
});

test('readIPv6() writes the text that Node writes', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  });
  fc.assert(
    fc.property(groups, parts => {
      const text = parts.map(part => part.toString(16)).join(':');
      writeIPv6(view, 0, text);
      const canonical = readIPv6(view, 0);
      const nodes = new SocketAddress({ address: text, family: 'ipv6' }).address;
      // Node shows the deprecated IPv4-compatible addresses (::/96) with dots, RFC 5952 does not ask for it.
      if (!/^::[0-9.]+$/.test(nodes)) assert.equal(canonical, nodes);
      writeIPv6(view, 32, canonical);
      for (let at = 0; at < 16; at++) assert.equal(view.getUint8(32 + at), view.getUint8(at));
    }),
  );
});

test('writeIPv6() reads every form of the text', () => {
  const same = ['2001:db8:0:0:0:0:c000:201', '2001:DB8::192.0.2.1', '2001:db8::c000:0201'];
  for (const text of same) {
    view.setBigUint64(0, -1n);
    view.setBigUint64(8, -1n);
    writeIPv6(view, 0, text);
    assert.equal(readIPv6(view, 0), '2001:db8::c000:201');
  }
});
