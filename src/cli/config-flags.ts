/** The flags that make up a configuration, alone or on top of a file. */
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { isFileContent } from '../config/file-path.ts';
import { isObject } from '../config/read-value.ts';

export interface ConfigFlags {
  readonly config?: string;
  readonly listen?: readonly string[];
  readonly route?: readonly string[];
  readonly suffix?: readonly string[];
  readonly allowNet?: readonly string[];
  readonly denyNet?: readonly string[];
  readonly resolver?: readonly string[];
  readonly acceptProxyFrom?: readonly string[];
  readonly admin?: string;
  readonly adminRemote?: boolean;
  readonly echKeys?: readonly string[];
  readonly fingerprints?: boolean;
  readonly engine?: string;
  readonly workers?: string;
  readonly helloTimeout?: string;
  readonly dialTimeout?: string;
  readonly drain?: string;
}

type Path = readonly (string | number)[];

export interface MergedConfig {
  /** As it would stand in a file; not checked yet. */
  readonly input: unknown;
  /** The flag a value came from, such as `--route 'a=b'`; null if it stands in the file or nowhere. */
  readonly originOf: (path: Path) => string | null;
}

/** Declares the flags on a command. */
export function addConfigFlags(command: Command): void {
  const many = (flags: string, description: string): Option =>
    new Option(flags, description).argParser((value: string, all: readonly string[] | undefined) => [
      ...(all ?? []),
      value,
    ]);
  command
    .addOption(
      many(
        '-l, --listen <addr>',
        'listen here (repeatable; instead of what the file has): 443, 127.0.0.1:8443, [::1]:8443, unix:/path, fd:3',
      ),
    )
    .addOption(
      many(
        '-r, --route <pattern=backend,...>',
        'relay names that match (repeatable) to host:port, [v6]:port, unix:/path, {sni}:port or srv:name, or to several in turn',
      ),
    )
    .addOption(
      many(
        '-s, --suffix <suffix[:port]>',
        'dial every name under the suffix (repeatable) by itself, port 443 unless given',
      ),
    )
    .addOption(
      new Option(
        '-c, --config <file>',
        'read a YAML or JSON file, or run a .mjs or .mts one; flags add to it',
      ).argParser(onlyOnce),
    )
    .addOption(
      many('--allow-net <cidr>', 'let names that clients choose lead to this guarded network (repeatable)'),
    )
    .addOption(many('--deny-net <cidr>', 'never let them lead to this network (repeatable)'))
    .addOption(
      many(
        '--resolver <addr>',
        'ask this DNS server for names (repeatable), or system for the look-up of the system (default: auto)',
      ),
    )
    .addOption(
      many(
        '--accept-proxy-from <cidr>',
        'take client addresses from PROXY headers of proxies in this network (repeatable), on every listener',
      ),
    )
    .option('--admin <addr>', 'answer /metrics, /livez and /readyz here: 127.0.0.1:9090, 9090, unix:/path')
    .option('--admin-remote', 'let --admin be an address that other machines reach')
    .addOption(
      many(
        '--ech-keys <path>',
        'open encrypted hellos (ECH) with the keys of this file or folder (repeatable)',
      ),
    )
    .option('--fingerprints', 'tell JA3 and JA4 of clients in access lines')
    .option('--engine <engine>', 'auto, portable or linux (default: auto)')
    .option('--workers <n>', 'threads that move bytes, linux engine only (default: one for each processor)')
    .option('--hello-timeout <time>', 'time for the whole ClientHello (default: 5s)')
    .option('--dial-timeout <time>', 'time for look-up and connecting (default: 5s)')
    .option('--drain <time>', 'time for running connections to end at shutdown (default: 25s)');
}

/** A second file would silently replace the first. */
function onlyOnce(value: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError('Only one file can be read.');
  return value;
}

/** Puts the flags on top of what a file holds: listeners and DNS servers are replaced, everything else is added or set. */
export function mergeFlags(base: unknown, flags: ConfigFlags): MergedConfig {
  if (base !== undefined && (typeof base !== 'object' || base === null || Array.isArray(base))) {
    return { input: base, originOf: () => null };
  }
  const input: Record<string, unknown> = { ...base };
  const origins = new Map<string, string>();
  const put = (path: Path, flag: string, text: string): void => {
    origins.set(JSON.stringify(path), isFileContent(text) ? flag : `${flag} '${text}'`);
  };
  if (flags.listen !== undefined) {
    input['listen'] = flags.listen;
    for (const [index, text] of flags.listen.entries()) put(['listen', index], '--listen', text);
  }
  mergeProxies(input, flags, put);
  append(input, 'routes', (flags.route ?? []).map(parseRouteFlag), (path, index) =>
    put(path, '--route', flags.route?.[index] ?? ''),
  );
  append(input, 'suffixes', flags.suffix ?? [], (path, index) =>
    put(path, '--suffix', flags.suffix?.[index] ?? ''),
  );
  if (flags.engine !== undefined) {
    input['engine'] = flags.engine;
    put(['engine'], '--engine', flags.engine);
  }
  if (flags.workers !== undefined) {
    input['workers'] = /^[0-9]+$/.test(flags.workers) ? Number(flags.workers) : flags.workers;
    put(['workers'], '--workers', flags.workers);
  }
  if (flags.fingerprints === true) input['fingerprints'] = true;
  mergeEch(input, flags, put);
  mergeAdmin(input, flags, put);
  mergeGuard(input, flags, put);
  mergeResolver(input, flags.resolver, put);
  mergeTimeouts(input, flags, put);
  return { input, originOf: path => findOrigin(origins, path) };
}

/**
 * `PATTERN=BACKEND` or `PATTERN=BACKEND,BACKEND`: the first equals sign parts them, but behind a regular expression the
 * one after its closing slash. Without one the whole text stands as the pattern, and the check says what is missing.
 */
export function parseRouteFlag(text: string): { match: string; backend?: string; backends?: string[] } {
  const at = text.startsWith('/') ? text.lastIndexOf('/=') + 1 : text.indexOf('=');
  if (at <= 0) return { match: text };
  const [match, backend] = [text.slice(0, at), text.slice(at + 1)];
  const parts = backend.split(',');
  // The path of a socket may hold a comma of its own.
  const isList =
    parts.length > 1 && (parts.every(part => part.includes(':')) || !backend.startsWith('unix:'));
  return isList ? { match, backends: parts } : { match, backend };
}

function append(
  input: Record<string, unknown>,
  key: string,
  added: readonly unknown[],
  note: (path: Path, index: number) => void,
): void {
  if (added.length === 0) return;
  const present = input[key] === undefined ? [] : Array.isArray(input[key]) ? input[key] : [input[key]];
  input[key] = [...(present as unknown[]), ...added];
  for (const index of added.keys()) note([key, present.length + index], index);
}

type Put = (path: Path, flag: string, text: string) => void;

/** Listeners that say themselves whose headers they take keep to that. */
function mergeProxies(input: Record<string, unknown>, { acceptProxyFrom }: ConfigFlags, put: Put): void {
  const { listen } = input;
  if (acceptProxyFrom === undefined || listen === undefined) return;
  const listeners: readonly unknown[] = Array.isArray(listen) ? listen : [listen];
  input['listen'] = listeners.map((listener, index) => {
    const given = isObject(listener) ? listener : { address: listener };
    if (given['proxyProtocol'] !== undefined) return given;
    put(['listen', index, 'proxyProtocol'], '--accept-proxy-from', acceptProxyFrom.join(' '));
    return { ...given, proxyProtocol: { from: acceptProxyFrom } };
  });
}

function mergeAdmin(input: Record<string, unknown>, { admin, adminRemote }: ConfigFlags, put: Put): void {
  if (admin === undefined && adminRemote === undefined) return;
  const given = input['admin'];
  const merged: Record<string, unknown> = isObject(given)
    ? { ...given }
    : given === undefined
      ? {}
      : { listen: given };
  if (admin !== undefined) {
    merged['listen'] = admin;
    put(['admin', 'listen'], '--admin', admin);
  }
  if (adminRemote === true) merged['allowRemote'] = true;
  input['admin'] = merged;
}

function mergeEch(input: Record<string, unknown>, { echKeys }: ConfigFlags, put: Put): void {
  if (echKeys === undefined || isMisfit(input['ech'])) return;
  const ech: Record<string, unknown> = { ...(input['ech'] as object | undefined) };
  append(ech, 'keys', echKeys, (path, index) => put(['ech', ...path], '--ech-keys', echKeys[index] ?? ''));
  input['ech'] = ech;
  put(['ech', 'keys'], '--ech-keys', echKeys.join(' '));
}

function mergeGuard(input: Record<string, unknown>, flags: ConfigFlags, put: Put): void {
  if (flags.allowNet === undefined && flags.denyNet === undefined) return;
  if (isMisfit(input['guard'])) return;
  const guard: Record<string, unknown> = { ...(input['guard'] as object | undefined) };
  append(guard, 'allowNets', flags.allowNet ?? [], (path, index) =>
    put(['guard', ...path], '--allow-net', flags.allowNet?.[index] ?? ''),
  );
  append(guard, 'denyNets', flags.denyNet ?? [], (path, index) =>
    put(['guard', ...path], '--deny-net', flags.denyNet?.[index] ?? ''),
  );
  input['guard'] = guard;
}

/** The servers of the flags take the place of the file's; the rest of its resolver stays. */
function mergeResolver(
  input: Record<string, unknown>,
  servers: readonly string[] | undefined,
  put: Put,
): void {
  if (servers === undefined) return;
  const present = input['resolver'];
  input['resolver'] = isObject(present) ? { ...present, servers } : servers;
  const path = isObject(present) ? ['resolver', 'servers'] : ['resolver'];
  for (const [index, text] of servers.entries()) put([...path, index], '--resolver', text);
}

function mergeTimeouts(input: Record<string, unknown>, flags: ConfigFlags, put: Put): void {
  const given = [
    ['hello', '--hello-timeout', flags.helloTimeout],
    ['dial', '--dial-timeout', flags.dialTimeout],
    ['drain', '--drain', flags.drain],
  ] as const;
  for (const [key, flag, text] of given) {
    if (text === undefined || isMisfit(input['timeouts'])) continue;
    input['timeouts'] = { ...(input['timeouts'] as object | undefined), [key]: text };
    put(['timeouts', key], flag, text);
  }
}

/** Given, but no object: it is left as it stands in the file, for the check to name. */
function isMisfit(value: unknown): boolean {
  return value !== undefined && !isObject(value);
}

/** The flag of the value itself or of what holds it (a route's backend came with the route). */
function findOrigin(origins: ReadonlyMap<string, string>, path: Path): string | null {
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(JSON.stringify(path.slice(0, length)));
    if (origin !== undefined) return origin;
  }
  return null;
}
