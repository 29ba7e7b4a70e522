/** The hosts file (hosts(5)), which wins over DNS. */
import { isIP } from 'node:net';
import { join } from 'node:path';
import { HOSTS_BYTES_MAX, NAME_ADDRESSES_MAX } from '../limits.ts';
import { followFile } from './followed-file.ts';
import type { FollowedFile } from './followed-file.ts';
import type { ResolvedAddress } from './names.ts';

/** Names in lower case to every address the file has for them, in its order. */
export type Hosts = ReadonlyMap<string, readonly ResolvedAddress[]>;

/** Where this system keeps its hosts file. */
export function systemHostsFile(): string {
  const windows = process.env['SystemRoot'] ?? 'C:\\Windows';
  return process.platform === 'win32' ? join(windows, 'System32', 'drivers', 'etc', 'hosts') : '/etc/hosts';
}

/** The hosts file as it stands now; null for none. `now` is a monotonic clock in milliseconds. */
export function followHostsFile(path: string | null, now: () => number): FollowedFile<Hosts> {
  if (path === null) return { read: () => Promise.resolve(new Map()) };
  return followFile({ path, bytesMax: HOSTS_BYTES_MAX, parse: parseHosts, now });
}

/** `address name alias ... # comment` on each line; what cannot be read is passed over. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, ResolvedAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/s, '').trim().split(/\s+/);
    const family = address.includes('%') ? 0 : isIP(address);
    if (family !== 4 && family !== 6) continue;
    for (const name of names) addHost(hosts, name, { address, family });
  }
  return hosts;
}

function addHost(hosts: Map<string, ResolvedAddress[]>, name: string, entry: ResolvedAddress): void {
  const key = name.toLowerCase().replace(/\.$/, '');
  const known = hosts.get(key);
  if (known === undefined) hosts.set(key, [entry]);
  else if (known.length < NAME_ADDRESSES_MAX && !known.some(({ address }) => address === entry.address)) {
    known.push(entry);
  }
}
