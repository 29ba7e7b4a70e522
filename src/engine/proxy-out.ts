/** The PROXY header in front of the hello, alike for every engine. */
import type { Decision, FunctionQuestion } from '../decide.ts';
import type { ClientAddress } from '../events.ts';
import type { ProxyOut } from '../verdict.ts';
import { encodeProxyHeader } from '../wire/proxy-encoder.ts';
import type { ConnectionEnd } from '../wire/proxy-types.ts';
import type { ProxiedClient } from './proxy-in.ts';

/** What an engine knows of a connection whose backend wants a header. */
export interface ProxyOutFacts {
  readonly id: number;
  /** Of the proxy: no two runs have the same. */
  readonly instance: string;
  /** Who has connected. */
  readonly peer: ClientAddress;
  /** What a header has told of the connection; its own addresses count where it is null. */
  readonly proxied: ProxiedClient | null;
  /** The address the peer has connected to; asked for only where it counts. */
  readonly local: () => ConnectionEnd;
  readonly serverName: string | null;
  readonly alpnProtocols: readonly string[];
}

/** Encodes the header for one backend. */
export function proxyHeaderOf(out: ProxyOut, facts: ProxyOutFacts): Uint8Array {
  const { proxied, serverName, alpnProtocols } = facts;
  return encodeProxyHeader(out, {
    source: proxied?.source ?? endOfClient(facts.peer),
    destination: proxied?.destination ?? facts.local(),
    serverName,
    alpnProtocols,
    // The identifier that a connection has already is kept, so that it is the same along a chain of proxies.
    uniqueId: proxied?.uniqueId ?? `${facts.instance}-${facts.id}`,
  });
}

/** Both in one piece, so that they leave in one send. */
export function joinHeader(header: Uint8Array | null, bytes: Uint8Array): Uint8Array {
  return header === null ? bytes : Buffer.concat([header, bytes]);
}

/** Whether a header may have to tell the client's protocols, which then must outlive the hello. */
export function wantsAlpn(decision: Decision | FunctionQuestion): boolean {
  if (decision.kind === 'reject') return false;
  if (decision.kind === 'user') return wantsAlpn(decision.next);
  if (decision.kind === 'function') return decision.proxy?.alpn === true;
  const targets = decision.kind === 'relay' ? decision.candidates : decision.backends;
  // Mostly one, without a header: nothing is created for it.
  for (const { proxy } of targets) if (proxy !== null && proxy.alpn) return true;
  return false;
}

/** An address that is shown as an end of a connection; null for one that is not known. */
function endOfClient({ address, port }: ClientAddress): ConnectionEnd | null {
  if (address === 'unix') return { kind: 'unix', path: '' };
  if (address === 'unknown') return null;
  return { kind: 'tcp', address, port, family: address.includes(':') ? 6 : 4 };
}
