/**
 * The second lock of an SNI proxy: which resolved addresses may be dialled. A client that chooses the name chooses
 * the address behind it, so that loopback, link-local and metadata addresses must not be reachable that way.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { OWN_ADDRESSES_TTL_MS } from '../limits.ts';
import type { Endpoint } from '../verdict.ts';

/** Refused for names that the client chose, unless an allowed network names them. */
export const GUARDED_NETWORKS: readonly (readonly [network: string, what: string])[] = [
  ['0.0.0.0/8', 'unspecified'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['100.100.100.200/32', 'metadata service'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
  ['fd00:ec2::254/128', 'metadata service'],
];

/** IPv6 prefixes that carry an IPv4 address in their last 32 bits: mapped, compatible, NAT64 (RFC 6052). */
const EMBEDDING_NETWORKS = ['::ffff:0:0/96', '::/96', '64:ff9b::/96'];

/** Dialling the unspecified address reaches this machine itself (Linux, BSD: connect(2) takes it as loopback). */
const UNSPECIFIED: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/** Every address of a backend was refused; the message names the first and why. */
export class GuardRefusal extends Error {}

/** A listener of this proxy, bound. */
export interface OwnListener {
  readonly address: string;
  readonly port: number;
}

export interface AddressGuard {
  /** Why an endpoint may not be dialled, or null if it may. */
  refusal(endpoint: Endpoint, fromClient: boolean): string | null;
  /**
   * The endpoints that may be dialled, in their order.
   * @throws GuardRefusal when none is left.
   */
  filter(endpoints: readonly Endpoint[], fromClient: boolean): readonly Endpoint[];
}

export interface GuardOptions {
  /** Networks in CIDR form that are let through although they are guarded. */
  readonly allowNets: readonly string[];
  /** Networks in CIDR form that are refused in any case. */
  readonly denyNets: readonly string[];
  /** Called at each check: listeners come and go. */
  readonly ownListeners: () => readonly OwnListener[];
}

export function createAddressGuard(options: GuardOptions): AddressGuard {
  const allowed = blockList(options.allowNets);
  const denied = blockList(options.denyNets);
  const guarded = GUARDED_NETWORKS.map(([network, what]) => [blockList([network]), what] as const);
  const isOwn = createOwnAddressCheck(options.ownListeners);

  const refusal = (endpoint: Endpoint, fromClient: boolean): string | null => {
    if (endpoint.kind === 'unix') return null;
    const address = unembedAddress(endpoint.address);
    if (isOwn(address, endpoint.port)) return `${endpoint.address} is a listener of this proxy`;
    if (!fromClient) return null;
    if (contains(denied, address)) return `${endpoint.address} is in a denied network`;
    if (contains(allowed, address)) return null;
    const hit = guarded.find(([list]) => contains(list, address));
    return hit === undefined ? null : `${endpoint.address} is ${hit[1]}`;
  };

  return {
    refusal,
    filter(endpoints, fromClient) {
      const reasons: string[] = [];
      const left = endpoints.filter(endpoint => {
        const reason = refusal(endpoint, fromClient);
        if (reason !== null) reasons.push(reason);
        return reason === null;
      });
      if (left.length === 0) throw new GuardRefusal(reasons[0] ?? 'no address');
      return left;
    },
  };
}

/** The IPv4 address that an IPv6 address carries, if it does; otherwise the address without its zone. */
export function unembedAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  if (!isIPv6(bare) || bare === '::' || bare === '::1') return bare;
  if (!contains(embedding, bare)) return bare;
  const dotted = /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/.exec(bare);
  if (dotted !== null) return dotted[0];
  const [high = 0, low = 0] = lastGroups(bare);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The last two 16-bit groups of an IPv6 address in hexadecimal text form. */
function lastGroups(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const groups = (tail ?? head).split(':').filter(group => group !== '');
  return ['0', '0', ...groups].slice(-2).map(group => Number.parseInt(group, 16));
}

const embedding = blockList(EMBEDDING_NETWORKS);

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function createOwnAddressCheck(listeners: () => readonly OwnListener[]) {
  let local: ReadonlySet<string> = new Set();
  let readAtMs = Number.NEGATIVE_INFINITY;
  const isLocal = (address: string): boolean => {
    const now = performance.now();
    if (now - readAtMs > OWN_ADDRESSES_TTL_MS) {
      local = localAddresses();
      readAtMs = now;
    }
    return local.has(address) || address.startsWith('127.') || address === '::1';
  };
  return (address: string, port: number): boolean => {
    const dialled = UNSPECIFIED.get(address) ?? address;
    return listeners().some(
      own =>
        own.port === port &&
        (unembedAddress(own.address) === dialled ||
          ((own.address === '::' || own.address === '0.0.0.0') && isLocal(dialled))),
    );
  };
}

function localAddresses(): ReadonlySet<string> {
  return new Set(
    Object.values(networkInterfaces()).flatMap(entries => (entries ?? []).map(entry => entry.address)),
  );
}
