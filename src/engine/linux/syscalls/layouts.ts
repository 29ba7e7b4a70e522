/**
 * Memory layouts of the structures passed to the kernel, for x86-64 and arm64, both little-endian and 64-bit.
 * `layouts.test.ts` checks sizes and offsets against the C headers of the machine it runs on.
 */
import { networkInterfaces } from 'node:os';
import type { Endpoint } from '../../../verdict.ts';
import { isIPv4Mapped, readIPv4, readIPv6, writeIPv4, writeIPv6 } from '../../../wire/address-text.ts';
import type { Arena } from './arena.ts';
import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';

/** struct sockaddr_in: family, port (network order), address, padding (ip(7)). */
export const SOCKADDR_IN_BYTES = 16;
/** struct sockaddr_in6: family, port, flow, address at 8, scope at 24 (ipv6(7)). */
export const SOCKADDR_IN6_BYTES = 28;
/** struct sockaddr_un: family, then the path (unix(7)). */
export const SOCKADDR_UN_BYTES = 110;
/** struct sockaddr_storage: room for any of them. */
export const SOCKADDR_STORAGE_BYTES = 128;
/** struct linger: two ints (socket(7)). */
export const LINGER_BYTES = 8;
/** struct timeval: seconds and microseconds, 64 bits each. */
export const TIMEVAL_BYTES = 16;
/** struct rlimit: soft and hard limit, 64 bits each (getrlimit(2)). */
export const RLIMIT_BYTES = 16;
/** struct iovec: address and length, 64 bits each (readv(2)). */
export const IOVEC_BYTES = 16;
/** struct pollfd: descriptor, then events and revents, 16 bits each (poll(2)). */
export const POLLFD_BYTES = 8;
/** struct epoll_event is packed on x86-64 and padded everywhere else (epoll_ctl(2), `EPOLL_PACKED`). */
export const EPOLL_EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
export const EPOLL_DATA_OFFSET = process.arch === 'x64' ? 4 : 8;

const UNIX_PATH_OFFSET = 2;
const UNIX_PATH_BYTES_MAX = SOCKADDR_UN_BYTES - UNIX_PATH_OFFSET;
const RLIMIT_INFINITY = 0xffff_ffff_ffff_ffffn;

/** An array of struct epoll_event. The 64 bits of data are two signed 32-bit numbers, `low` and `high`. */
export interface EpollEvents {
  readonly address: number;
  readonly capacity: number;
  /** Fills the first entry, for epoll_ctl. */
  set(events: number, low: number, high: number): void;
  /** Event bits of an entry that epoll_wait filled. */
  events(index: number): number;
  low(index: number): number;
  high(index: number): number;
}

/** Takes room for `capacity` events from the arena. */
export function createEpollEvents(arena: Arena, name: string, capacity: number): EpollEvents {
  const region = arena.allocate(name, capacity * EPOLL_EVENT_BYTES);
  const { buffer, byteOffset } = region.bytes;
  return new EpollEventArray(region.address, new Int32Array(buffer, byteOffset, region.length / 4));
}

const EVENT_WORDS = EPOLL_EVENT_BYTES / 4;
const DATA_WORD = EPOLL_DATA_OFFSET / 4;

class EpollEventArray implements EpollEvents {
  readonly address: number;
  readonly capacity: number;
  readonly #words: Int32Array;

  constructor(address: number, words: Int32Array) {
    this.address = address;
    this.capacity = words.length / EVENT_WORDS;
    this.#words = words;
  }

  set(events: number, low: number, high: number): void {
    this.#words[0] = events;
    this.#words[DATA_WORD] = low;
    this.#words[DATA_WORD + 1] = high;
  }

  events(index: number): number {
    return this.#words[index * EVENT_WORDS]!;
  }

  low(index: number): number {
    return this.#words[index * EVENT_WORDS + DATA_WORD]!;
  }

  high(index: number): number {
    return this.#words[index * EVENT_WORDS + DATA_WORD + 1]!;
  }
}

/** Address family of the socket that reaches `endpoint`. */
export function familyOf(endpoint: Endpoint): number {
  if (endpoint.kind === 'unix') return AF_UNIX;
  return endpoint.family === 6 ? AF_INET6 : AF_INET;
}

/** Writes `endpoint` at `offset` (SOCKADDR_STORAGE_BYTES of room) and gives the length that bind and connect want. */
export function writeSockaddr(view: DataView, offset: number, endpoint: Endpoint): number {
  if (endpoint.kind === 'unix') return writeUnix(view, offset, endpoint.path);
  view.setUint16(offset, familyOf(endpoint), true);
  view.setUint16(offset + 2, endpoint.port);
  if (endpoint.family === 4) {
    writeIPv4(view, offset + 4, endpoint.address);
    view.setBigUint64(offset + 8, 0n);
    return SOCKADDR_IN_BYTES;
  }
  const [address = '', zone = ''] = endpoint.address.split('%');
  view.setUint32(offset + 4, 0);
  writeIPv6(view, offset + 8, address);
  view.setUint32(offset + 24, zone === '' ? 0 : zoneNumber(zone), true);
  return SOCKADDR_IN6_BYTES;
}

/**
 * Reads the address of `length` bytes that accept4, getsockname or getpeername wrote. An IPv4-mapped IPv6 address
 * comes out as IPv4; a Unix socket without a name has the path ''.
 */
export function readSockaddr(view: DataView, offset: number, length: number): Endpoint {
  const family = view.getUint16(offset, true);
  if (family === AF_UNIX) return { kind: 'unix', path: readUnixPath(view, offset, length) };
  const port = view.getUint16(offset + 2);
  if (family === AF_INET) return { kind: 'tcp', address: readIPv4(view, offset + 4), port, family: 4 };
  if (family !== AF_INET6) throw new RangeError(`address family ${family} is none that was asked for`);
  if (isIPv4Mapped(view, offset + 8)) {
    return { kind: 'tcp', address: readIPv4(view, offset + 20), port, family: 4 };
  }
  const scope = view.getUint32(offset + 24, true);
  const zone = scope === 0 ? '' : `%${zoneName(scope)}`;
  return { kind: 'tcp', address: readIPv6(view, offset + 8) + zone, port, family: 6 };
}

function writeUnix(view: DataView, offset: number, path: string): number {
  const bytes = Buffer.from(path);
  if (bytes.length > UNIX_PATH_BYTES_MAX - 1) {
    throw new RangeError(
      `a socket path has at most ${UNIX_PATH_BYTES_MAX - 1} bytes, '${path}' has ${bytes.length}`,
    );
  }
  view.setUint16(offset, AF_UNIX, true);
  for (const [index, byte] of bytes.entries()) view.setUint8(offset + UNIX_PATH_OFFSET + index, byte);
  // A name that begins with NUL is abstract: all its bytes count, and no NUL ends it (unix(7)).
  if (bytes[0] === 0) return UNIX_PATH_OFFSET + bytes.length;
  view.setUint8(offset + UNIX_PATH_OFFSET + bytes.length, 0);
  return UNIX_PATH_OFFSET + bytes.length + 1;
}

function readUnixPath(view: DataView, offset: number, length: number): string {
  const start = view.byteOffset + offset + UNIX_PATH_OFFSET;
  const bytes = Buffer.from(view.buffer, start, Math.max(0, length - UNIX_PATH_OFFSET));
  const end = bytes[0] === 0 ? -1 : bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

/** Index of a network interface, as sin6_scope_id wants it; interfaces are few, and link-local backends rare. */
function zoneNumber(zone: string): number {
  if (/^[0-9]+$/.test(zone)) return Number(zone);
  const scope = networkInterfaces()[zone]?.find(entry => entry.family === 'IPv6' && entry.scopeid !== 0);
  if (scope?.scopeid === undefined)
    throw new RangeError(`there is no link-local address on interface '${zone}'`);
  return scope.scopeid;
}

function zoneName(scope: number): string {
  const found = Object.entries(networkInterfaces()).find(([, entries]) =>
    entries?.some(entry => entry.family === 'IPv6' && entry.scopeid === scope),
  );
  return found?.[0] ?? String(scope);
}

/** struct linger: closing with `seconds` 0 resets the connection (socket(7), SO_LINGER). */
export function writeLinger(view: DataView, offset: number, seconds: number): number {
  view.setInt32(offset, 1, true);
  view.setInt32(offset + 4, seconds, true);
  return LINGER_BYTES;
}

/** struct timeval. */
export function writeTimeval(view: DataView, offset: number, milliseconds: number): number {
  view.setBigInt64(offset, BigInt(Math.trunc(milliseconds / 1000)), true);
  view.setBigInt64(offset + 8, BigInt(Math.trunc((milliseconds % 1000) * 1000)), true);
  return TIMEVAL_BYTES;
}

/** struct rlimit; Infinity for RLIM_INFINITY. */
export function writeRlimit(view: DataView, offset: number, limit: { soft: number; hard: number }): number {
  view.setBigUint64(offset, limit.soft === Infinity ? RLIMIT_INFINITY : BigInt(limit.soft), true);
  view.setBigUint64(offset + 8, limit.hard === Infinity ? RLIMIT_INFINITY : BigInt(limit.hard), true);
  return RLIMIT_BYTES;
}

export function readRlimit(view: DataView, offset: number): { soft: number; hard: number } {
  const read = (at: number): number => {
    const value = view.getBigUint64(at, true);
    return value === RLIMIT_INFINITY ? Infinity : Number(value);
  };
  return { soft: read(offset), hard: read(offset + 8) };
}

/** struct iovec. */
export function writeIovec(
  view: DataView,
  offset: number,
  part: { address: number; length: number },
): number {
  view.setBigUint64(offset, BigInt(part.address), true);
  view.setBigUint64(offset + 8, BigInt(part.length), true);
  return IOVEC_BYTES;
}
