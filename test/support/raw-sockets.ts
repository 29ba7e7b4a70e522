/**
 * Peers straight on the system calls: what the kernel says is what the test sees. Node's sockets take a reset that
 * comes together with data for an end of file; these do not. Nothing blocks: they are polled from timers.
 */
import type { TestContext } from 'node:test';
import * as C from '../../src/engine/linux/syscalls/constants.ts';
import type { Arena, Region } from '../../src/engine/linux/syscalls/arena.ts';
import type { Kernel } from '../../src/engine/linux/syscalls/kernel.ts';
import {
  LINGER_BYTES,
  SOCKADDR_STORAGE_BYTES,
  readSockaddr,
  writeLinger,
  writeSockaddr,
} from '../../src/engine/linux/syscalls/layouts.ts';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { errnoName, orThrow, systemError } from '../../src/engine/linux/syscalls/system-error.ts';
import { eventually } from './peers.ts';

const SCRATCH_BYTES = 256 * 1024;
const WITHIN_MS = 10_000;
/** Up to Linux 4.6, which had the counters of segments first. */
const TCP_INFO_BYTES = 160;
const DATA_SEGMENTS_OFFSET = 152;

interface Loaded {
  readonly kernel: Kernel;
  readonly scratch: Region;
  readonly address: Region;
  readonly length: Region;
  readonly linger: Region;
}

let shared: Loaded | null = null;

function load(): Loaded {
  if (shared !== null) return shared;
  const loaded = loadKernel();
  if (!loaded.ok) throw new Error(loaded.why);
  const arena: Arena = loaded.createArena(SCRATCH_BYTES + 16 * 1024);
  const linger = arena.allocate('linger', LINGER_BYTES);
  writeLinger(linger.view, linger.offset, 0);
  shared = {
    kernel: loaded.kernel,
    scratch: arena.allocate('scratch', SCRATCH_BYTES),
    address: arena.allocate('address', SOCKADDR_STORAGE_BYTES),
    length: arena.allocate('length', 8),
    linger,
  };
  return shared;
}

function portOf(fd: number): number {
  const { kernel, address, length } = load();
  length.bytes.writeInt32LE(SOCKADDR_STORAGE_BYTES, 0);
  orThrow(kernel, 'getsockname', kernel.getsockname(fd, address.address, length.address));
  const local = readSockaddr(address.view, address.offset, length.bytes.readInt32LE(0));
  return local.kind === 'tcp' ? local.port : 0;
}

function putLoopback(port: number): number {
  const { address } = load();
  return writeSockaddr(address.view, address.offset, { kind: 'tcp', address: '127.0.0.1', port, family: 4 });
}

/** One connected socket. */
export class RawSocket {
  readonly fd: number;
  /** Of this end; 0 for an accepted socket. */
  readonly port: number;
  #open = true;

  constructor(fd: number, port = 0) {
    this.fd = fd;
    this.port = port;
  }

  /** Sends all of it, as the peer makes room; answers 'sent' or the error's code. */
  async send(bytes: Uint8Array): Promise<string> {
    let sent = 0;
    let code = 'sent';
    await eventually(
      `${bytes.length} bytes are taken`,
      () => {
        while (sent < bytes.length) {
          const count = this.sendNow(bytes.subarray(sent));
          if (count === -1) {
            code = errnoName(load().kernel.errno());
            return code !== 'EAGAIN';
          }
          sent += count;
        }
        code = 'sent';
        return true;
      },
      WITHIN_MS,
    );
    return code;
  }

  /** What the kernel takes at once, or -1. */
  sendNow(bytes: Uint8Array, flags: number = C.MSG_NOSIGNAL): number {
    const { kernel, scratch } = load();
    const length = Math.min(bytes.length, SCRATCH_BYTES);
    scratch.bytes.set(bytes.subarray(0, length));
    return kernel.send(this.fd, scratch.address, length, flags);
  }

  /** Bytes that have arrived, at most as many as asked for; or 'end', 'wait' or the error's code. */
  receiveNow(most = SCRATCH_BYTES): Buffer | string {
    const { kernel, scratch } = load();
    const count = kernel.recv(this.fd, scratch.address, Math.min(most, SCRATCH_BYTES), 0);
    if (count > 0) return Buffer.from(scratch.bytes.subarray(0, count));
    if (count === 0) return 'end';
    const code = errnoName(kernel.errno());
    return code === 'EAGAIN' ? 'wait' : code;
  }

  /** Segments with data that have come so far (struct tcp_info of linux/tcp.h, `tcpi_data_segs_in`). */
  dataSegments(): number {
    const { kernel, scratch, length } = load();
    length.bytes.writeInt32LE(TCP_INFO_BYTES, 0);
    const result = kernel.getsockopt(this.fd, C.IPPROTO_TCP, C.TCP_INFO, scratch.address, length.address);
    orThrow(kernel, 'getsockopt', result);
    return scratch.bytes.readUInt32LE(DATA_SEGMENTS_OFFSET);
  }

  /** Resolves when there is something to receive, which stays there. */
  async arrival(): Promise<void> {
    const { kernel, scratch } = load();
    await eventually('bytes arrive', () => kernel.recv(this.fd, scratch.address, 1, C.MSG_PEEK) !== -1);
  }

  /** Exactly this many bytes, or what there was before the end; the end as 'end' or the error's code. */
  async receive(count: number): Promise<{ bytes: Buffer; end: string | null }> {
    const chunks: Buffer[] = [];
    let left = count;
    let end: string | null = null;
    await eventually(
      `${count} bytes or an end arrive`,
      () => {
        while (left > 0) {
          const received = this.receiveNow(left);
          if (received === 'wait') return false;
          if (typeof received === 'string') {
            end = received;
            return true;
          }
          chunks.push(received);
          left -= received.length;
        }
        return true;
      },
      WITHIN_MS,
    );
    return { bytes: Buffer.concat(chunks), end };
  }

  /** Everything up to the end. */
  async receiveAll(): Promise<{ bytes: Buffer; end: string | null }> {
    return await this.receive(Number.MAX_SAFE_INTEGER);
  }

  /** Sends the end of file. */
  finish(): void {
    load().kernel.shutdown(this.fd, C.SHUT_WR);
  }

  reset(): void {
    const { kernel, linger } = load();
    if (this.#open) kernel.setsockopt(this.fd, C.SOL_SOCKET, C.SO_LINGER, linger.address, LINGER_BYTES);
    this.close();
  }

  close(): void {
    if (this.#open) load().kernel.close(this.fd);
    this.#open = false;
  }
}

/** A client whose connection is made, or as good as made, when this returns; it is the caller's to close. */
export function connectNow(port: number): RawSocket {
  const { kernel, address } = load();
  const fd = orThrow(
    kernel,
    'socket',
    kernel.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0),
  );
  if (kernel.connect(fd, address.address, putLoopback(port)) === -1 && kernel.errno() !== C.EINPROGRESS)
    throw systemError('connect', kernel.errno());
  return new RawSocket(fd, portOf(fd));
}

/** A connected client of a port on loopback, reset at the end of the test if it is open then. */
export async function connectRawSocket(t: TestContext, port: number): Promise<RawSocket> {
  const { kernel, address } = load();
  const fd = orThrow(
    kernel,
    'socket',
    kernel.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0),
  );
  await eventually('connected', () => {
    if (kernel.connect(fd, address.address, putLoopback(port)) === 0) return true;
    const errno = kernel.errno();
    if (errno === C.EISCONN) return true;
    if (errno === C.EINPROGRESS || errno === C.EALREADY || errno === C.EAGAIN) return false;
    throw systemError('connect', errno);
  });
  const socket = new RawSocket(fd, portOf(fd));
  t.after(() => socket.reset());
  return socket;
}

/** A listening socket on loopback. */
export class RawListener {
  readonly port: number;
  readonly fd: number;

  #ours = true;

  constructor(t: TestContext, { reusePort = false } = {}) {
    const { kernel, address, length } = load();
    this.fd = orThrow(
      kernel,
      'socket',
      kernel.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0),
    );
    if (reusePort) {
      length.bytes.writeInt32LE(1, 0);
      kernel.setsockopt(this.fd, C.SOL_SOCKET, C.SO_REUSEPORT, length.address, 4);
    }
    orThrow(kernel, 'bind', kernel.bind(this.fd, address.address, putLoopback(0)));
    orThrow(kernel, 'listen', kernel.listen(this.fd, 128));
    this.port = portOf(this.fd);
    t.after(() => (this.#ours ? kernel.close(this.fd) : 0));
  }

  /** Gives the descriptor away: whoever takes it closes it. */
  handOver(): number {
    this.#ours = false;
    return this.fd;
  }

  /** The next connection; it is the caller's to close. */
  async accept(): Promise<RawSocket> {
    let socket: RawSocket | null = null;
    await eventually('a connection to accept', () => {
      socket = this.acceptNow();
      return socket !== null;
    });
    return socket!;
  }

  /** A connection that waits, or null. */
  acceptNow(): RawSocket | null {
    const fd = load().kernel.accept4(this.fd, 0, 0, C.SOCK_NONBLOCK | C.SOCK_CLOEXEC);
    return fd === -1 ? null : new RawSocket(fd);
  }
}
