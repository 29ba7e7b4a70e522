import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseTcpAddress, readBoundAddress } from './bound-address.ts';

const onLinux = { skip: process.platform === 'linux' ? false : 'the kernel tells only on Linux' };

async function listeningFd(t: TestContext, options: ListenOptions): Promise<{ fd: number; port: number }> {
  const server = createServer().listen(options);
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address() as AddressInfo | string;
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { fd, port: typeof address === 'string' ? 0 : address.port };
}

test('readBoundAddress() tells what a socket listens on that nobody accepts from', onLinux, async t => {
  const v4 = await listeningFd(t, { host: '127.0.0.1', port: 0 });
  assert.equal(readBoundAddress(v4.fd), `127.0.0.1:${v4.port}`);
  const v6 = await listeningFd(t, { host: '::1', port: 0 });
  assert.equal(readBoundAddress(v6.fd), `[::1]:${v6.port}`);
  const all = await listeningFd(t, { host: '::', port: 0 });
  assert.equal(readBoundAddress(all.fd), `[::]:${all.port}`);
  const path = join(tmpdir(), `sniway test ${process.pid}.sock`);
  const unix = await listeningFd(t, { path });
  assert.equal(readBoundAddress(unix.fd), `unix:${path}`);
});

test('readBoundAddress() knows nothing of what is no listening socket', () => {
  assert.equal(readBoundAddress(2), null);
  assert.equal(readBoundAddress(999_999), null);
});

test("parseTcpAddress() reads the kernel's words", () => {
  assert.equal(parseTcpAddress('0100007F:01BB'), '127.0.0.1:443');
  assert.equal(parseTcpAddress('00000000:0016'), '0.0.0.0:22');
  assert.equal(parseTcpAddress('00000000000000000000000001000000:20FB'), '[::1]:8443');
  assert.equal(parseTcpAddress('B80D01200000000000000000EFBE0000:01BB'), '[2001:db8::beef]:443');
});
