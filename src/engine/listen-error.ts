/** What can go wrong with opening a listener, alike for every engine. */
import { connect } from 'node:net';
import { SniwayError } from '../errors.ts';
import type { ListenTarget } from './engine.ts';
import { formatEndpoint } from './happy-eyeballs.ts';

/** `ERR_LISTEN` that names the address, the system's error and a remedy. */
export function listenError(target: ListenTarget, code: string, cause?: unknown): SniwayError {
  const where = describeTarget(target);
  return new SniwayError('ERR_LISTEN', `cannot listen on ${where}: ${code} (${remedyFor(code)})`, { cause });
}

/** The text form of a listen target: `127.0.0.1:8443`, `[::1]:8443`, `unix:/path`, `fd:3`. */
export function describeTarget(target: ListenTarget): string {
  if (target.kind === 'fd') return `fd:${target.fd}`;
  if (target.kind === 'unix') return `unix:${target.path}`;
  return formatEndpoint({ ...target, family: target.address.includes(':') ? 6 : 4 });
}

/** Whether a socket file is left over from a process that is gone: nobody answers on it. */
export function isStaleSocket(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'));
  });
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
      return 'it is not a listening socket of this process';
    default:
      return 'see the system error';
  }
}
