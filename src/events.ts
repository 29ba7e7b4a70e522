/**
 * What a proxy announces. The words of {@link EndReason} are one closed list: the same word stands in the access
 * log, in metric labels, in library events and in the docs.
 */

/** Why an accepted connection ended; docs/end-reasons.md says what to do about each. */
export const END_REASONS = [
  'done',
  'client-reset',
  'backend-reset',
  'client-gone',
  'backend-gone',
  'client-timeout',
  'backend-timeout',
  'proxy-timeout',
  'proxy-malformed',
  'hello-timeout',
  'hello-too-large',
  'hello-malformed',
  'not-tls',
  'ech-retry',
  'no-sni',
  'unknown-name',
  'denied',
  'guard-refused',
  'dns-failed',
  'dial-refused',
  'dial-unreachable',
  'dial-timeout',
  'idle',
  'lifetime',
  'limit',
  'drained',
  'killed',
  'internal-error',
] as const;

export type EndReason = (typeof END_REASONS)[number];

/** The client's end of a connection. */
export interface ClientAddress {
  /**
   * Textual IP address, IPv4-mapped IPv6 shown as IPv4; `unix` for a Unix-domain socket, `unknown` for a client that
   * had gone before its address could be asked for.
   */
  readonly address: string;
  /** TCP port; 0 for a Unix-domain socket or an unknown client. */
  readonly port: number;
}

/** What is known of a connection when it is accepted. */
export interface ConnectionOpened {
  /** Counts up from 1 within one proxy. */
  readonly id: number;
  /** Who has connected; in the record of the end, the client that a trusted proxy has named in a PROXY header. */
  readonly client: ClientAddress;
  /** The listener that accepted it, as in {@link BoundAddress.text}. */
  readonly listener: string;
}

/** What a hello says of Encrypted ClientHello (RFC 9849), and what has come of it. */
export const ECH_OFFERS = [
  'none',
  'offered',
  'inner',
  'not-ours',
  'undecryptable',
  'accepted',
  'illegal',
] as const;

export type EchOffer = (typeof ECH_OFFERS)[number];

/** What a backend has made of an inner hello. */
export const ECH_BACKENDS = ['confirmed', 'unconfirmed', 'unknown'] as const;

export type EchBackend = (typeof ECH_BACKENDS)[number];

/** The one record of an accepted connection, announced when it has ended. */
export interface ConnectionEnded extends ConnectionOpened {
  /** The proxy that has named the client in a PROXY header; null if the client itself has connected. */
  readonly peer: ClientAddress | null;
  /** Milliseconds since the Unix epoch, by the wall clock, when the connection was accepted. */
  readonly startedAtMs: number;
  /** Canonical server name of the ClientHello; null if none was read. */
  readonly serverName: string | null;
  /** An IP literal or refused name as the client sent it, escaped and cut to a bound; null if there is none. */
  readonly rawName: string | null;
  /** ALPN protocols the client offered, in its order; escaped, and cut to a bound with `...` as the last. */
  readonly alpnProtocols: readonly string[];
  /**
   * Versions of TLS the client offers, the highest first: `1.3`, `1.2`, `1.1`, `1.0`, `ssl3`. A client without the
   * extension for it, such as one of TLS 1.2, names its highest one only. Empty if no hello was read.
   */
  readonly tlsVersions: readonly string[];
  /**
   * `offered`: the hello has an Encrypted ClientHello, or GREASE that looks like one, so that `serverName` is the outer
   * name; `inner`: it is one that somebody in front has decrypted. With keys, in place of these: `accepted`: it was
   * opened, and `serverName` is the inner name, unless that is not to be told; `undecryptable`: it is for a public name
   * of the keys, and none opens it; `not-ours`: the same for any other name, mostly GREASE; `illegal`: it breaks the
   * rules. Null if no hello was read.
   */
  readonly ech: EchOffer | null;
  /** The name in clear of a hello that was opened; null for any other. */
  readonly outerName: string | null;
  /** `config_id` of an encrypted hello, 0 to 255; null without keys, or without one. */
  readonly echConfigId: number | null;
  /** Whether the backend has asked for a second hello, which was opened in its turn. */
  readonly echRetried: boolean;
  /**
   * Whether the backend has taken an inner hello for one: `unconfirmed` if it does not know them, so that the client
   * cannot understand it, `unknown` if it has answered with something else. Null before it has answered, and for any
   * other hello.
   */
  readonly echBackend: EchBackend | null;
  /** Milliseconds that opening the hello took, or finding that no key does; null without keys, or without ECH. */
  readonly echOpenMs: number | null;
  /** Fingerprints of the client; null unless the configuration asks for `fingerprints`, and a hello was read. */
  readonly ja3: string | null;
  readonly ja4: string | null;
  /** The name of the route that matched; null if none did. */
  readonly route: string | null;
  /** The address dialled last (`10.0.0.5:443`, `[::1]:443`, `unix:/path`); null if none was. */
  readonly backend: string | null;
  /** Addresses that were dialled, or passed over because their backend was at its limit; 0 without a relay. */
  readonly attempts: number;
  /** Milliseconds from accept to the complete hello; null if it never was. */
  readonly helloMs: number | null;
  /** Milliseconds from the complete hello to a verdict (name look-up and functions of users included); null without a verdict. */
  readonly resolveMs: number | null;
  /** Milliseconds from the verdict to a connected backend; null without one. */
  readonly dialMs: number | null;
  /** Milliseconds from accept to the end. */
  readonly totalMs: number;
  /** Bytes received from the client and handed to the backend, the hello included. */
  readonly bytesFromClient: number;
  /** Bytes received from the backend and handed to the client. */
  readonly bytesFromBackend: number;
  readonly endReason: EndReason;
  /** More about the end reason (a parser's code, a system error's code); null if there is nothing to add. */
  readonly detail: string | null;
}

/** A connection that is open. */
export interface OpenConnection {
  readonly id: number;
  readonly client: ClientAddress;
  readonly serverName: string | null;
  /** The name of its route; null if it has none yet. */
  readonly route: string | null;
  /** Milliseconds since it was accepted. */
  readonly ageMs: number;
  readonly bytesFromClient: number;
  readonly bytesFromBackend: number;
}

/** What has become of one backend of a route. */
export interface BackendChange {
  /** The name of the route. */
  readonly route: string;
  /** As it is configured: `10.0.0.5:443`, `app.example.com:443`, `unix:/path`. */
  readonly backend: string;
  /**
   * `down` and `up` by its health checks; `ejected` for a while because connections to it failed, and `returned` when
   * that is over.
   */
  readonly state: 'up' | 'down' | 'ejected' | 'returned';
  /** Why it is down, or for how long it is ejected; null if there is nothing to add. */
  readonly detail: string | null;
}

/** How one backend is doing. */
export interface BackendState {
  /** The name of the route. */
  readonly route: string;
  /** As it is configured. */
  readonly backend: string;
  readonly state: 'up' | 'down' | 'ejected';
  /** Connections open to it or being dialled now. */
  readonly open: number;
  /** Connections dialled since the proxy was created. */
  readonly dialed: number;
  /** Those of them that it refused, did not answer, or closed before its first byte. */
  readonly failed: number;
  /** How often it was left out because of that. */
  readonly ejections: number;
}

/** Connections counted by the engine itself: exact, whoever listens to events. */
export interface ConnectionCounts {
  readonly accepted: number;
  /** Open now, those that linger included. */
  readonly open: number;
  readonly ended: Readonly<Record<EndReason, number>>;
  /** Records of connections that were not announced because the listeners of `opened` and `ended` were too slow. */
  readonly recordsDropped: number;
}

/** The look-up of names: counts since the proxy was created, and what is held now. */
export interface NameStats {
  /** Configured names held, those without an address included. */
  readonly configuredNames: number;
  readonly clientNames: number;
  /** Names that clients chose and that gave no address. */
  readonly absentNames: number;
  readonly lookUpsUnderWay: number;
  readonly clientLookUpsUnderWay: number;
  /** Answered at once with addresses that were fresh. */
  readonly hits: number;
  /** Answered with expired addresses. */
  readonly staleHits: number;
  /** Answered at once with a failure that was kept. */
  readonly negativeHits: number;
  /** Had to wait for a look-up. */
  readonly waits: number;
  readonly lookUps: number;
  /** Look-ups by their outcome. */
  readonly found: number;
  readonly none: number;
  readonly failed: number;
  /** Look-ups not begun because too many were under way. */
  readonly refused: number;
  /** Names pushed out by others. */
  readonly evicted: number;
  /** Changes of what a configured name leads to. */
  readonly changes: number;
}

/** The table in which limits of clients and names are counted. */
export interface LimitStats {
  /** Times a rate was forgotten because another client or name needed its place. */
  readonly forgotten: number;
  /** Connections that were not counted for their client or name because no place was free. */
  readonly untracked: number;
}

/** A key for Encrypted ClientHello, without its bytes. */
export interface EchKeyInfo {
  /** `config_id`, 0 to 255. */
  readonly configId: number;
  /** In lower case. */
  readonly publicName: string;
  /** When its file was last written, in milliseconds since the Unix epoch. */
  readonly modifiedAtMs: number;
}

/** Reloads since the proxy was created. */
export interface ReloadStats {
  readonly succeeded: number;
  /** Those that changed nothing because something was wrong. */
  readonly failed: number;
  /** Milliseconds since the Unix epoch when the last one was in force; null if none was. */
  readonly lastSucceededAtMs: number | null;
}

/** How a proxy is doing now, and what it has counted since it was created. */
export interface ProxyStats {
  /** `starting` before the listeners are open, `draining` from the beginning of `close` or `kill` on. */
  readonly state: 'starting' | 'listening' | 'draining';
  readonly connections: ConnectionCounts;
  readonly names: NameStats;
  readonly limits: LimitStats;
  readonly reloads: ReloadStats;
  /** Keys for Encrypted ClientHello that are loaded. */
  readonly echKeys: readonly EchKeyInfo[];
}

/** An address a listener is bound to. */
export interface BoundAddress {
  readonly kind: 'tcp' | 'unix';
  /** IP address or socket path. */
  readonly address: string;
  /** TCP port; 0 for a Unix-domain socket. */
  readonly port: number;
  /** `127.0.0.1:8443`, `[::1]:8443` or `unix:/path`. */
  readonly text: string;
}

/** Something an operator may want to read, beside the connections themselves. Free text: do not match on it. */
export interface Notice {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}
