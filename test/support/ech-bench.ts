/** A proxy with keys, the backends that others have made behind it, and servers for public names. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ConnectionEnded, SniwayConfig } from '../../src/index.ts';
import { BORINGSSL, WEB, keyFlags, startBoringServers } from './boringssl.ts';
import { needsBun, startBun } from './bun.ts';
import { createTestKey } from './ech-client.ts';
import type { TestKey } from './ech-client.ts';
import { makeKeyFolder } from './ech-keys.ts';
import { eventually } from './peers.ts';
import { needs } from './programs.ts';
import { startProxy } from './proxies.ts';
import type { TestProxy } from './proxies.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from './tls-backends.ts';
import type { TrustedAuthority } from './tls-backends.ts';

export interface BackendKind {
  readonly name: string;
  readonly needs: { skip: string | false };
  /** All names below it are hidden, and lead there. */
  readonly zone: string;
  /** A server of pages, and one that asks for a second hello first. */
  start(t: TestContext, files: PemFiles): Promise<{ port: number; retryingPort: number }>;
}

/** Those of its names whose server asks for a second hello; a browser remembers names, and is asked for each once. */
export function retryingNames({ zone }: BackendKind): { encrypted: string; pretence: string } {
  return { encrypted: `again.${zone}`, pretence: `again-pretence.${zone}` };
}

export interface PemFiles {
  readonly cert: string;
  readonly key: string;
}

export const BACKENDS: readonly BackendKind[] = [
  { name: 'Bun', needs: needsBun(), zone: 'bun.example', start: startBun },
  {
    name: 'BoringSSL',
    needs: needs(BORINGSSL),
    zone: 'boring.example',
    async start(t, { cert, key }) {
      const flags = [WEB, '-cert', cert, '-key', key];
      const [port, retryingPort] = await Promise.all([
        startBoringServers(t, ...flags),
        startBoringServers(t, ...flags, '-curves', 'P-384'),
      ]);
      return { port, retryingPort };
    },
  },
];

/** What stands at a public name, for clients whose key is too old. Each has a public name and a key of its own. */
export interface FallbackKind {
  readonly kind: 'untrusted' | 'unaware' | 'aware' | 'own';
  readonly what: string;
  readonly publicName: string;
  /** Whether it has a certificate for its public name. */
  readonly isTrusted: boolean;
  start(t: TestContext, authority: TrustedAuthority, key: TestKey): Promise<Fallback>;
}

/** A server at a port; or a certificate with which the proxy answers by itself. */
export type Fallback = { readonly port: number } | { readonly retry: PemFiles };

/** Like web servers, it ends a connection when its client has. */
const ORDINARY = { allowHalfOpen: false } as const;

export const FALLBACKS: readonly FallbackKind[] = [
  {
    kind: 'untrusted',
    what: 'a server without a certificate for the public name',
    publicName: 'untrusted.example',
    isTrusted: false,
    async start(t, authority) {
      const serve = serveName('untrusted');
      return await startTlsBackend(t, authority, { name: 'other.example', serve, tls: ORDINARY });
    },
  },
  {
    kind: 'unaware',
    what: 'a server of the public name without Encrypted ClientHello',
    publicName: 'unaware.example',
    isTrusted: true,
    async start(t, authority) {
      const serve = serveName('unaware');
      return await startTlsBackend(t, authority, { name: 'unaware.example', serve, tls: ORDINARY });
    },
  },
  {
    kind: 'aware',
    what: 'a server of the public name that knows the new key',
    publicName: 'aware.example',
    isTrusted: true,
    async start(t, authority, key) {
      const files = await writePair(authority, 'aware.example');
      const flags = ['-cert', files.cert, '-key', files.key, ...keyFlags(t, key)];
      return { port: await startBoringServers(t, WEB, ...flags) };
    },
  },
  {
    kind: 'own',
    what: 'the proxy itself, with a certificate for the public name',
    publicName: 'own.example',
    isTrusted: true,
    async start(_t, authority) {
      return { retry: await writePair(authority, 'own.example') };
    },
  },
];

export interface EchBench {
  readonly authority: TrustedAuthority;
  readonly proxy: TestProxy;
  /** The key in force of each public name. */
  readonly keys: Readonly<Record<FallbackKind['kind'], TestKey>>;
}

/** A proxy in front of all backends that are there, and of all fallbacks. */
export async function createEchBench(t: TestContext, config: Partial<SniwayConfig>): Promise<EchBench> {
  const authority = await createTrustedAuthority(t);
  const routes = BACKENDS.filter(backend => backend.needs.skip === false).map(async backend => {
    const files = await writePair(authority, `*.${backend.zone}`);
    const { port, retryingPort } = await backend.start(t, files);
    return [
      { match: `*.${backend.zone}`, backend: `127.0.0.1:${port}` },
      { match: Object.values(retryingNames(backend)), backend: `127.0.0.1:${retryingPort}` },
    ];
  });
  const starting = FALLBACKS.map(async (fallback, configId) => {
    const { kind, publicName } = fallback;
    const key = createTestKey({ configId, publicName });
    return { kind, key, publicName, found: await fallback.start(t, authority, key) };
  });
  const started = await Promise.all(starting);
  const keys = Object.fromEntries(started.map(({ kind, key }) => [kind, key])) as EchBench['keys'];
  const proxy = await startProxy(t, {
    ech: {
      keys: makeKeyFolder(t, ...Object.values(keys)),
      retry: started.flatMap(({ found }) =>
        'retry' in found ? [{ certificate: found.retry.cert, key: found.retry.key }] : [],
      ),
    },
    routes: [
      ...(await Promise.all(routes)).flat(),
      ...started.flatMap(({ found, publicName }) =>
        'port' in found ? [{ match: publicName, backend: `127.0.0.1:${found.port}` }] : [],
      ),
    ],
    ...config,
  });
  return { authority, proxy, keys };
}

/** A certificate for a name and its key, as files. */
export async function writePair(authority: TrustedAuthority, name: string): Promise<PemFiles> {
  const { cert, key } = await authority.issue([name]);
  const base = join(authority.folder, name.replace('*', 'any'));
  writeFileSync(`${base}.crt`, cert);
  writeFileSync(`${base}.key`, key);
  return { cert: `${base}.crt`, key: `${base}.key` };
}

/** What the record of a connection says of its hello. */
export type EchFacts = Pick<
  ConnectionEnded,
  'ech' | 'serverName' | 'outerName' | 'echRetried' | 'echBackend'
>;

/**
 * What the records of connections to these names say that were opened since a moment (of Date.now()): once they say what
 * is expected, or in vain for a while. In their order, each only once, since a client may do the same several times.
 */
export async function recordedFacts(
  { ended }: TestProxy,
  { since, names }: { readonly since: number; readonly names: readonly (string | null)[] },
  expected: readonly EchFacts[],
): Promise<readonly EchFacts[]> {
  const wanted = JSON.stringify(expected);
  const seen = (): readonly EchFacts[] =>
    distinct(
      ended.filter(({ startedAtMs, serverName }) => startedAtMs >= since && names.includes(serverName)),
    );
  await eventually('records', () => JSON.stringify(seen()) === wanted).catch(() => undefined);
  return seen();
}

function distinct(records: readonly ConnectionEnded[]): EchFacts[] {
  const facts = records
    .toSorted((a, b) => a.startedAtMs - b.startedAtMs)
    .map(({ ech, serverName, outerName, echRetried, echBackend }) =>
      JSON.stringify({ ech, serverName, outerName, echRetried, echBackend }),
    );
  return [...new Set(facts)].map(text => JSON.parse(text) as EchFacts);
}
