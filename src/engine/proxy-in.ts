/**
 * The stage before the hello, alike for every engine: a trusted proxy says in a PROXY header whose connection it is.
 * A header from anybody else is no TLS, and refused as that.
 */
import type { ClientAddress } from '../events.ts';
import type { PlainListener, ProxyIn } from '../snapshot.ts';
import { NetworkList } from '../wire/network-list.ts';
import { UNIX_PEER, parsePeerAddress } from '../wire/peer-address.ts';
import type { PeerAddress } from '../wire/peer-address.ts';
import { mayBeProxyHeader, readProxyHeader } from '../wire/proxy-header.ts';
import type { ProxyErrorCode } from '../wire/proxy-header.ts';
import { TLV_TYPES } from '../wire/proxy-types.ts';
import type { ConnectionEnd } from '../wire/proxy-types.ts';

/** What a header has told of a connection. */
export interface ProxiedClient {
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
  /** Identifier the proxy gave the connection, a character for each byte; null for none. */
  readonly uniqueId: string | null;
}

export type ProxyStep =
  | { readonly kind: 'incomplete' }
  /** The hello begins behind `consumed` bytes; `client` is null where the peer itself counts as the client. */
  | { readonly kind: 'over'; readonly consumed: number; readonly client: ProxiedClient | null }
  | { readonly kind: 'invalid'; readonly code: ProxyErrorCode };

/** What one listener expects of those who connect to it. Made once for each listener. */
export class ProxyGate {
  readonly timeoutMs: number;
  readonly #proxyIn: ProxyIn;
  readonly #networks: NetworkList;

  constructor(proxyIn: ProxyIn) {
    this.timeoutMs = proxyIn.timeoutMs;
    this.#proxyIn = proxyIn;
    this.#networks = new NetworkList(proxyIn.from);
  }

  /** Whether a header from this peer is to be read; if not, its hello comes first. */
  trusts(peer: PeerAddress, isUnix: boolean): boolean {
    return isUnix ? this.#proxyIn.fromUnix : this.#networks.has(peer);
  }

  /** Looks at all bytes that a trusted peer has sent so far. */
  read(stream: Uint8Array): ProxyStep {
    if (!this.#proxyIn.required && !mayBeProxyHeader(stream)) {
      return { kind: 'over', consumed: 0, client: null };
    }
    const result = readProxyHeader(stream);
    if (result.kind !== 'complete') return result;
    const { consumed, ends, tlvs } = result;
    if (ends === null) return { kind: 'over', consumed, client: null };
    const id = tlvs.find(({ type }) => type === TLV_TYPES.uniqueId)?.value;
    const uniqueId = id === undefined || id.length === 0 ? null : Buffer.from(id).toString('latin1');
    return { kind: 'over', consumed, client: { ...ends, uniqueId } };
  }
}

/** The gates of listeners, by their index; null where every header is refused. */
export function createProxyGates(listeners: readonly PlainListener[]): readonly (ProxyGate | null)[] {
  return listeners.map(({ proxyIn }) => (proxyIn === null ? null : new ProxyGate(proxyIn)));
}

/** How an end of a connection is shown. */
export function clientOfEnd(end: ConnectionEnd): ClientAddress {
  return end.kind === 'unix' ? { address: 'unix', port: 0 } : { address: end.address, port: end.port };
}

/** How it is decided on. */
export function peerOfEnd(end: ConnectionEnd): PeerAddress {
  return end.kind === 'unix' ? UNIX_PEER : parsePeerAddress(end.address, end.port);
}
