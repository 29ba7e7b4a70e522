/** What a worker does with sockets, on top of the bare system calls: no state of connections in here. */
import { BULK_SCRATCH_BYTES, SCRATCH_BYTES } from '../../limits.ts';
import type { TcpSettings } from '../engine.ts';
import type { Endpoint } from '../../verdict.ts';
import {
  EAGAIN,
  EINPROGRESS,
  EINVAL,
  IPPROTO_TCP,
  MSG_NOSIGNAL,
  MSG_PEEK,
  SHUT_RD,
  SHUT_WR,
  SIOCOUTQ,
  SO_ACCEPTCONN,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './syscalls/constants.ts';
import type { Arena, Region } from './syscalls/arena.ts';
import type { Kernel } from './syscalls/kernel.ts';
import {
  LINGER_BYTES,
  SOCKADDR_STORAGE_BYTES,
  familyOf,
  readSockaddr,
  writeLinger,
  writeSockaddr,
} from './syscalls/layouts.ts';
import { orThrow } from './syscalls/system-error.ts';
import { createSocketOptions } from './syscalls/socket-options.ts';
import type { SocketOptions } from './syscalls/socket-options.ts';
import type { DescriptorOwners } from './shared-state.ts';

const NONBLOCKING = SOCK_NONBLOCK | SOCK_CLOEXEC;

export class Sockets {
  readonly kernel: Kernel;
  /** Where small traffic is received and sent from. What it holds lives until the next receive. */
  readonly scratch: Region;
  /** The same for bulk traffic. */
  readonly bulk: Region;
  /** The peer of the last accept, as the kernel wrote it. */
  readonly peer: Region;
  /** Error number of the last call that failed. */
  errno = 0;
  /** Whether the last `connect` is still under way. */
  connecting = false;
  readonly #owners: DescriptorOwners;
  readonly #worker: number;
  readonly #options: SocketOptions;
  readonly #peerLength: Region;
  readonly #address: Region;
  readonly #linger: Region;
  readonly #number: Region;
  /** The kernel's form of the endpoints dialled so far; verdicts of static routes are the same object each time. */
  readonly #addresses = new WeakMap<Endpoint, Buffer>();
  readonly #reserve: number[] = [];

  constructor(kernel: Kernel, arena: Arena, owned: { owners: DescriptorOwners; worker: number }) {
    this.kernel = kernel;
    this.scratch = arena.allocate('scratch', SCRATCH_BYTES, 4096);
    this.bulk = arena.allocate('bulk scratch', BULK_SCRATCH_BYTES, 4096);
    this.peer = arena.allocate('peer address', SOCKADDR_STORAGE_BYTES);
    this.#peerLength = arena.allocate('length of the peer address', 4);
    this.#address = arena.allocate('address to dial', SOCKADDR_STORAGE_BYTES);
    this.#number = arena.allocate('number', 8);
    this.#linger = arena.allocate('linger', LINGER_BYTES);
    writeLinger(arena.view, this.#linger.offset, 0);
    this.#options = createSocketOptions(kernel, arena);
    this.#owners = owned.owners;
    this.#worker = owned.worker;
  }

  /** A connected, non-blocking socket, or -1. Its peer's address is in `peer`. */
  accept(listener: number): number {
    this.#peerLength.bytes.writeInt32LE(SOCKADDR_STORAGE_BYTES, 0);
    return this.#own(this.kernel.accept4(listener, this.peer.address, this.#peerLength.address, NONBLOCKING));
  }

  /** Starts to connect: a socket, `connecting` or connected already, or -1. */
  connect(endpoint: Endpoint): number {
    const fd = this.#own(this.kernel.socket(familyOf(endpoint), SOCK_STREAM | NONBLOCKING, 0));
    if (fd === -1) return -1;
    const length = this.#putAddress(endpoint);
    this.connecting = false;
    if (this.kernel.connect(fd, this.#address.address, length) === 0) return fd;
    this.errno = this.kernel.errno();
    if (this.errno === EINPROGRESS) {
      this.connecting = true;
      return fd;
    }
    this.close(fd);
    return -1;
  }

  /** A new socket of the caller's kind, or -1. */
  open(family: number, type: number): number {
    return this.#own(this.kernel.socket(family, type, 0));
  }

  /** 0, or -1. */
  bind(fd: number, endpoint: Endpoint): number {
    const length = this.#putAddress(endpoint);
    return this.#check(this.kernel.bind(fd, this.#address.address, length));
  }

  /** 0, or -1. */
  listen(fd: number, backlog: number): number {
    return this.#check(this.kernel.listen(fd, backlog));
  }

  /** Nobody can connect to a listening socket any more. Its queue is reset. */
  stopListening(fd: number): void {
    this.kernel.shutdown(fd, SHUT_RD);
  }

  /** Whether a descriptor is a listening socket; if not, `errno` says what is wrong with it. */
  isListening(fd: number): boolean {
    const answer = this.#options.get(fd, SOL_SOCKET, SO_ACCEPTCONN);
    if (answer === 1) return true;
    this.errno = answer === -1 ? this.kernel.errno() : EINVAL;
    return false;
  }

  /** Whether other sockets of this user may be bound to the same port (socket(7), SO_REUSEPORT). */
  sharesPort(fd: number): boolean {
    return this.#options.get(fd, SOL_SOCKET, SO_REUSEPORT) === 1;
  }

  /** The address a socket is bound to. */
  localAddress(fd: number): Endpoint {
    this.#peerLength.bytes.writeInt32LE(SOCKADDR_STORAGE_BYTES, 0);
    orThrow(
      this.kernel,
      'getsockname',
      this.kernel.getsockname(fd, this.peer.address, this.#peerLength.address),
    );
    return readSockaddr(this.peer.view, this.peer.offset, this.#peerLength.bytes.readInt32LE(0));
  }

  setOption(fd: number, level: number, option: number, value: number): void {
    this.#options.set(fd, level, option, value);
  }

  /** Bytes received into `region`, up to `most` of them, 0 at the end of file, or -1. */
  receive(fd: number, region: Region, most = region.length): number {
    const count = this.kernel.recv(fd, region.address, most, 0);
    if (count === -1) this.errno = this.kernel.errno();
    return count;
  }

  /** As `receive`, but leaves the bytes where they are. */
  look(fd: number, region: Region): number {
    const count = this.kernel.recv(fd, region.address, region.length, MSG_PEEK);
    if (count === -1) this.errno = this.kernel.errno();
    return count;
  }

  /** Takes bytes that `look` has shown off the socket; answers how many, or -1. Overwrites `scratch`. */
  skip(fd: number, count: number): number {
    const taken = this.kernel.recv(fd, this.scratch.address, count, 0);
    if (taken === -1) this.errno = this.kernel.errno();
    return taken;
  }

  /** 1 if there is a byte to receive, 0 at the end of file, or -1. */
  peek(fd: number): number {
    const count = this.kernel.recv(fd, this.#number.address, 1, MSG_PEEK);
    if (count === -1) this.errno = this.kernel.errno();
    return count;
  }

  /** Bytes of `region[start, end)` that the kernel took, or -1. */
  send(fd: number, region: Region, start: number, end: number): number {
    const count = this.kernel.send(fd, region.address + start, end - start, MSG_NOSIGNAL);
    if (count === -1) this.errno = this.kernel.errno();
    return count;
  }

  /** Sends bytes from JavaScript's memory, as many as fit `scratch`; overwrites it. */
  sendBytes(fd: number, bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.scratch.length);
    const { scratch } = this;
    const isThere = bytes.byteOffset === scratch.bytes.byteOffset && bytes.buffer === scratch.bytes.buffer;
    if (!isThere) scratch.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length));
    return this.send(fd, this.scratch, 0, length);
  }

  /** Bytes moved between a socket and a pipe, 0 at the end of file, or -1. */
  splice(from: number, to: number, length: number, flags: number): number {
    const count = this.kernel.splice(from, to, length, flags);
    if (count === -1) this.errno = this.kernel.errno();
    return count;
  }

  get wouldBlock(): boolean {
    return this.errno === EAGAIN;
  }

  /** Sends small segments at once. A Unix-domain socket has no such option, and no such delay. */
  setNoDelay(fd: number): void {
    this.#options.set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** Sends the end of file. A peer that has gone meanwhile is told of by epoll. */
  finish(fd: number): void {
    this.kernel.shutdown(fd, SHUT_WR);
  }

  /** Takes the pending error of a socket; 0 if there is none. */
  takeError(fd: number): number {
    const error = this.#options.get(fd, SOL_SOCKET, SO_ERROR);
    return error === -1 ? this.kernel.errno() : error;
  }

  /** Bytes sent that the peer has not acknowledged yet. */
  unacknowledged(fd: number): number {
    if (this.kernel.ioctl(fd, SIOCOUTQ, this.#number.address) === -1) return 0;
    return this.#number.bytes.readInt32LE(0);
  }

  /** Sets what listeners hand down to the sockets accepted there; see tcp(7). */
  keepAlive(fd: number, settings: TcpSettings): void {
    if (settings.userTimeoutMs > 0)
      this.#options.set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, settings.userTimeoutMs);
    if (settings.keepaliveIdleMs === 0) return;
    this.#options.set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    this.#options.set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(settings.keepaliveIdleMs));
    this.#options.set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(settings.keepaliveIntervalMs));
    this.#options.set(fd, IPPROTO_TCP, TCP_KEEPCNT, settings.keepaliveProbes);
  }

  close(fd: number): void {
    // Before the call: as soon as it is closed, another thread may be given the same number.
    this.#owners.clear(fd);
    this.kernel.close(fd);
  }

  /** Closes with a reset instead of an end of file (socket(7), SO_LINGER). A Unix-domain socket has no reset. */
  reset(fd: number): void {
    this.kernel.setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#linger.address, LINGER_BYTES);
    this.close(fd);
  }

  /** Takes down that a descriptor is this worker's, so that it is closed should the worker die. */
  adopt(fd: number): void {
    this.#owners.set(fd, this.#worker);
  }

  /** Keeps descriptors back for `spend`. */
  keepReserve(count: number): void {
    while (this.#reserve.length < count) {
      const fd = this.#own(this.kernel.eventfd(0, SOCK_CLOEXEC));
      if (fd === -1) return;
      this.#reserve.push(fd);
    }
  }

  /** Frees one descriptor that was kept back; false if none is left. */
  spendReserve(): boolean {
    const fd = this.#reserve.pop();
    if (fd === undefined) return false;
    this.close(fd);
    return true;
  }

  #check(result: number): number {
    if (result === -1) this.errno = this.kernel.errno();
    return result;
  }

  #own(fd: number): number {
    if (fd === -1) this.errno = this.kernel.errno();
    else this.#owners.set(fd, this.#worker);
    return fd;
  }

  #putAddress(endpoint: Endpoint): number {
    let bytes = this.#addresses.get(endpoint);
    if (bytes === undefined) {
      const length = writeSockaddr(this.#address.view, this.#address.offset, endpoint);
      bytes = Buffer.from(this.#address.bytes.subarray(0, length));
      this.#addresses.set(endpoint, bytes);
    } else {
      this.#address.bytes.set(bytes);
    }
    return bytes.length;
  }
}

function seconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}

/** Whether connect(2) to this endpoint is over when it returns. */
export function isLocal(endpoint: Endpoint): boolean {
  return endpoint.kind === 'unix' || endpoint.address.startsWith('127.') || endpoint.address === '::1';
}
