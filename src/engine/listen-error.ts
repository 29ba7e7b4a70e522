/** What can go wrong with opening a listener, alike for every engine. */
import { lstatSync } from 'node:fs';
import { connect } from 'node:net';
import { SniwayError } from '../errors.ts';
import type { ListenTarget } from './engine.ts';
import { formatEndpoint } from './happy-eyeballs.ts';

/** `ERR_LISTEN` that names the address, the system's error and a remedy. */
export function listenError(target: ListenTarget, code: string, cause?: unknown): SniwayError {
  const where = describeTarget(target);
  const isName = target.kind === 'fd' && typeof target.fd === 'string';
  if (isName && code === 'EBADF') {
    const remedy = 'no socket of this name was handed over: see FileDescriptorName= of its unit';
    return new SniwayError('ERR_LISTEN', `cannot listen on ${where}: ${code} (${remedy})`, { cause });
  }
  const inTheWay = code === 'EADDRINUSE' && target.kind === 'unix' && !isSocketFile(target.path);
  const remedy = inTheWay ? 'a file that is no socket has this path: choose another path' : remedyFor(code);
  return new SniwayError('ERR_LISTEN', `cannot listen on ${where}: ${code} (${remedy})`, { cause });
}

/** The text form of a listen target: `127.0.0.1:8443`, `[::1]:8443`, `unix:/path`, `fd:3`, `fd:https`. */
export function describeTarget(target: ListenTarget): string {
  if (target.kind === 'fd') return `fd:${target.fd}`;
  if (target.kind === 'unix') return `unix:${target.path}`;
  return formatEndpoint({ ...target, family: target.address.includes(':') ? 6 : 4 });
}

/** Whether a socket file is left over from a process that is gone: nobody answers on it. */
export async function isStaleSocket(path: string): Promise<boolean> {
  // connect(2) refuses for any other file too, and that one is somebody's data.
  if (!isSocketFile(path)) return false;
  return await new Promise(resolve => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'));
  });
}

function isSocketFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function remedyFor(code: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another process listens there: stop it, or choose another address';
    case 'EACCES':
      return 'no permission: ports below 1024 need root, CAP_NET_BIND_SERVICE or a socket handed over as fd:N';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'EBADF':
    case 'EINVAL':
    case 'ENOTSOCK':
    case 'ERR_INVALID_FD_TYPE':
      return 'it is not a listening socket of this process';
    case 'ENOENT':
      return 'the folder of the socket does not exist: create it';
    default:
      return 'see the system error';
  }
}
