/** Listeners that stand in each other's way, and backends that are Sniway's own listeners: a relay in circles. */
import { isIPv4, isIPv6 } from 'node:net';
import { posix } from 'node:path';
import { unembedAddress } from '../backends/address-guard.ts';
import type { Backend } from '../backends/backend-address.ts';
import type { ListenTarget } from '../engine/engine.ts';
import { formatListenTarget, shortestIPv6 } from './listen-target.ts';

const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'];

/** Why a listener cannot be opened beside an earlier one, or null if it can. */
export function findListenerConflict(target: ListenTarget, earlier: readonly ListenTarget[]): string | null {
  for (const other of earlier) {
    const text = formatListenTarget(other);
    if (text === formatListenTarget(target) && !isAnyPort(target)) return `"${text}" is listed twice`;
    if (target.kind !== 'tcp' || other.kind !== 'tcp' || target.port !== other.port || isAnyPort(target))
      continue;
    if (takesAllLike(other, target)) return `"${text}" takes this address and port already`;
    if (takesAllLike(target, other)) return `it takes the address and port of "${text}" too`;
  }
  return null;
}

/** The listener that a backend would lead back to, or null. */
export type FindOwnListener = (backend: Backend) => ListenTarget | null;

/** Made once for all backends; `ownAddresses` are this machine's, as `os.networkInterfaces()` gives them. */
export function createOwnListenerSearch(
  listeners: readonly ListenTarget[],
  ownAddresses: readonly string[],
): FindOwnListener {
  const local = new Set([...LOOPBACK_ADDRESSES, ...ownAddresses.map(plainAddress)]);
  const openPorts = listeners.flatMap(own =>
    own.kind === 'tcp' ? [{ own, address: plainAddress(own.address) }] : [],
  );
  const openPaths = listeners.flatMap(own =>
    own.kind === 'unix' ? [{ own, path: posix.normalize(own.path) }] : [],
  );
  return backend => {
    if (backend.kind === 'server-name' || backend.kind === 'service') return null;
    if (backend.kind === 'unix') {
      const path = posix.normalize(backend.path);
      return openPaths.find(open => open.path === path)?.own ?? null;
    }
    const samePort = openPorts.filter(({ own }) => own.port === backend.port);
    if (samePort.length === 0) return null;
    const dialled = backend.kind === 'ip' ? dialledAddresses(backend.address) : namedAddresses(backend.host);
    return samePort.find(open => dialled.some(address => accepts(open.address, address, local)))?.own ?? null;
  };
}

type TcpTarget = Extract<ListenTarget, { kind: 'tcp' }>;

function accepts(listening: string, dialled: string, local: ReadonlySet<string>): boolean {
  if (listening === dialled) return true;
  if (listening !== '::' && !(listening === '0.0.0.0' && isIPv4(dialled))) return false;
  return local.has(dialled) || dialled.startsWith('127.');
}

/** Dialling the unspecified address reaches this machine itself (Linux, BSD: connect(2) takes it as loopback). */
function dialledAddresses(address: string): readonly string[] {
  const plain = plainAddress(address);
  if (plain === '0.0.0.0') return ['127.0.0.1'];
  return plain === '::' ? LOOPBACK_ADDRESSES : [plain];
}

/** RFC 6761 section 6.3: `localhost` and names under it are this machine. */
function namedAddresses(host: string): readonly string[] {
  return host === 'localhost' || host.endsWith('.localhost') ? LOOPBACK_ADDRESSES : [];
}

/** One text for each address: no zone, IPv6 at its shortest, IPv4 where it is only wrapped in IPv6. */
function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  return isIPv6(bare) ? unembedAddress(shortestIPv6(bare)) : bare;
}

function takesAllLike(wide: TcpTarget, narrow: TcpTarget): boolean {
  return wide.address === '::' || (wide.address === '0.0.0.0' && isIPv4(narrow.address));
}

function isAnyPort(target: ListenTarget): boolean {
  return target.kind === 'tcp' && target.port === 0;
}
