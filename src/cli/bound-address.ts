/**
 * What a listening socket that was handed over is bound to. Node cannot ask before it listens itself, and a client that
 * came meanwhile would be dropped; the kernel's lists of sockets tell (proc_pid_net(5)).
 */
import { closeSync, openSync, readSync, readlinkSync } from 'node:fs';
import { shortestIPv6 } from '../config/listen-target.ts';
import { SOCKET_LIST_BYTES_MAX } from '../limits.ts';

/** State of a listening TCP socket there. */
const LISTENING = '0A';

/** `127.0.0.1:8443`, `[::1]:8443` or `unix:/path`; null if it is no such socket, or the system does not tell. */
export function readBoundAddress(fd: number): string | null {
  const inode = readInode(fd);
  if (inode === null) return null;
  return (
    findTcp('/proc/self/net/tcp', inode) ?? findTcp('/proc/self/net/tcp6', inode) ?? findUnix(inode) ?? null
  );
}

function readInode(fd: number): string | null {
  try {
    return /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? null;
  } catch {
    return null;
  }
}

function findTcp(list: string, inode: string): string | undefined {
  for (const line of readLines(list)) {
    const fields = line.trim().split(/\s+/);
    if (fields[9] !== inode || fields[3] !== LISTENING) continue;
    return parseTcpAddress(fields[1] ?? '');
  }
  return undefined;
}

/** Addresses stand there as 32-bit words in the machine's order, which is little-endian wherever Sniway is tested. */
export function parseTcpAddress(text: string): string {
  const [address = '', port = ''] = text.split(':');
  const bytes = Buffer.from(address, 'hex').swap32();
  const number = Number.parseInt(port, 16);
  if (bytes.length === 4) return `${bytes.join('.')}:${number}`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return `[${shortestIPv6(groups.join(':'))}]:${number}`;
}

function findUnix(inode: string): string | undefined {
  for (const line of readLines('/proc/self/net/unix')) {
    // Num RefCount Protocol Flags Type St Inode Path, whose last part may hold spaces.
    const [, found, path] = /^(?:\S+\s+){6}([0-9]+) (.+)$/.exec(line) ?? [];
    if (found === inode && path !== undefined) return `unix:${path}`;
  }
  return undefined;
}

/** Listening sockets come first, so that a bound does no harm where there are many connections. */
function readLines(path: string): string[] {
  const buffer = Buffer.alloc(SOCKET_LIST_BYTES_MAX);
  let length = 0;
  let fd = -1;
  try {
    fd = openSync(path, 'r');
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
  } catch {
    // Whatever was read counts.
  } finally {
    if (fd !== -1) closeSync(fd);
  }
  return buffer.toString('utf8', 0, length).split('\n');
}
