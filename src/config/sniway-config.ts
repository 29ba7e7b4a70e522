/** The configuration as a person writes it: one shape for YAML and JSON files, the command line and `createProxy`. */
import type { Balance } from '../backends/plain-pool.ts';
import type { ALERTS } from '../wire/tls-alert.ts';
import type { EchConfig, RouteEch } from './ech-settings.ts';
import type { Hooks, RouteFunction } from './user-types.ts';

/** A number and its unit: `250ms`, `1.5s`, `2m`, `1h`. */
export type DurationText = `${number}${'ms' | 's' | 'm' | 'h'}`;

/** What a client that is not relayed gets to see: an orderly close, a TCP reset, or a fatal TLS alert by its name. */
export type AnswerName = 'close' | 'reset' | keyof typeof ALERTS;

/** Which engine moves the bytes. */
export type EngineName = 'auto' | 'portable' | 'linux';

/** The hooks there are. */
export type HookName = keyof Hooks;

/** One value, or a list of them. */
export type OneOrMany<T> = T | readonly T[];

/** The whole configuration. Routes or suffixes are needed; there is no way to relay to every name. */
export interface SniwayConfig {
  /**
   * Where to accept connections: `127.0.0.1:8443`, `[::1]:8443`, `443` or `*:443` (every address, IPv4 and IPv6),
   * `unix:/path`, `fd:3`. Port 0 lets the kernel choose. No default.
   * An object says more about one: `{ address: 443, clients: { deny: 192.0.2.0/24 } }`.
   */
  readonly listen: OneOrMany<string | number | ListenerConfig>;
  /** Which name goes where. Their order never matters, except among regular expressions. Default: none. */
  readonly routes?: readonly RouteConfig[] | undefined;
  /**
   * Each lets every name under it (not the suffix itself) be dialled by its own name, at port 443 unless given:
   * `.internal.example.com`, `lan.example.org:8443`. Default: none.
   */
  readonly suffixes?: OneOrMany<string> | undefined;
  /**
   * Files of routes, or folders of them, that are read beside this one; for configuration files only. Relative paths
   * start at the folder of the file. Default: none.
   */
  readonly include?: OneOrMany<string> | undefined;
  /** What refused clients get to see. */
  readonly policies?: PoliciesConfig | undefined;
  /** Which addresses may be dialled where the client's name chooses the address. */
  readonly guard?: GuardConfig | undefined;
  /**
   * Who is asked for the addresses of names: `auto`, `system`, DNS servers (`10.0.0.53`, `[fd00::53]:5353`), or all of
   * it in detail. Default `auto`.
   */
  readonly resolver?: OneOrMany<string> | ResolverConfig | undefined;
  /** Keys for Encrypted ClientHello, and what becomes of hellos that have it. Default: it is not looked at. */
  readonly ech?: EchConfig | undefined;
  /** How long things may take. */
  readonly timeouts?: TimeoutsConfig | undefined;
  /** What all connections together may take. */
  readonly limits?: ProxyLimitsConfig | undefined;
  /** How the kernel finds out that a peer's network is gone. */
  readonly tcp?: TcpConfig | undefined;
  /** Functions called for all connections; only in a program. Default: none. */
  readonly hooks?: Hooks | undefined;
  /**
   * Whether records of connections, and so access lines, have the client's JA3 and JA4. It costs each connection some
   * 15 microseconds of processor time. Default false.
   */
  readonly fingerprints?: boolean | undefined;
  /** Metrics and health over HTTP. The command serves them; a program serves `createMetrics` itself. Default: none. */
  readonly admin?: string | number | AdminConfig | undefined;
  /** Threads that move bytes, on the linux engine only. Default: one for each processor. */
  readonly workers?: number | undefined;
  /**
   * Whether workers poll for up to 100 microseconds before they sleep, while traffic is dense: a fifth off each round
   * trip, for processor time that would be idle otherwise. Linux engine only. Default: where there is more than one
   * processor.
   */
  readonly spin?: boolean | undefined;
  /** Default `auto`: the linux engine where it can run, else the portable one. */
  readonly engine?: EngineName | undefined;
}

/** Where `/metrics`, `/livez` and `/readyz` are answered. */
export interface AdminConfig {
  /** `127.0.0.1:9090`, `[::1]:9090`, `9090` (of 127.0.0.1) or `unix:/path`. */
  readonly listen: string | number;
  /** Whether it may listen where other machines reach it. Default false. */
  readonly allowRemote?: boolean | undefined;
}

/** PROXY headers of version 1 or 2 in front of the ClientHello, from proxies that are trusted. */
export interface ProxyInConfig {
  /**
   * Networks of those proxies, or `unix` for whoever may open a Unix-domain socket. Any other peer counts as a client
   * itself, and its header is refused. Needed, except on a `unix:` listener.
   */
  readonly from?: OneOrMany<string> | undefined;
  /** From accept until the header must be complete. Default `3s`; more than zero. */
  readonly timeout?: DurationText | undefined;
  /** Whether those proxies must send a header. Default true. */
  readonly required?: boolean | undefined;
}

/** The PROXY header that a backend is sent in front of the ClientHello. */
export interface ProxyOutConfig {
  /** Which version of it. Default: no header. */
  readonly proxyProtocol?: 'v1' | 'v2' | undefined;
  /** What version 2 tells beside the addresses; true for all of it but `custom`. Default: nothing. */
  readonly tlvs?: boolean | TlvsConfig | undefined;
}

/** What PROXY headers of version 2 tell of a connection. */
export interface TlvsConfig {
  /** PP2_TYPE_AUTHORITY: the server name. Default true. */
  readonly authority?: boolean | undefined;
  /** PP2_TYPE_ALPN: the protocols the client offers, as they stand in its hello. Default true. */
  readonly alpn?: boolean | undefined;
  /** PP2_TYPE_UNIQUE_ID: differs for each connection, over restarts too; ends in the `id` of records. Default true. */
  readonly uniqueId?: boolean | undefined;
  /** PP2_TYPE_CRC32C: a checksum of the header. Default true. */
  readonly crc32c?: boolean | undefined;
  /** Values of your own. Default: none. */
  readonly custom?: readonly CustomTlvConfig[] | undefined;
}

/** One value of your own: exactly one of `value`, `hex` and `base64`. */
export interface CustomTlvConfig {
  /** 224 to 239 (`0xE0` to `0xEF`) are free for anybody; others as the PROXY protocol registers them. */
  readonly type: number | string;
  /** As text, in UTF-8. */
  readonly value?: string | undefined;
  readonly hex?: string | undefined;
  readonly base64?: string | undefined;
}

/** Names, and what is done with their connections: exactly one of `backend`, `backends`, `reject` and `decide`. */
export interface RouteConfig extends ProxyOutConfig {
  /** Shown in logs and metrics; unique. Default: the first pattern. */
  readonly name?: string | undefined;
  /**
   * `api.example.com` exactly, `*.example.com` one label, `**.example.com` one or more labels, or a regular expression
   * between slashes.
   */
  readonly match: OneOrMany<string>;
  /** The route takes only clients that offer one of these protocols. Default: every client. */
  readonly alpn?: OneOrMany<string> | undefined;
  /** What the route makes of Encrypted ClientHello. Default `optional`. */
  readonly ech?: RouteEch | undefined;
  /**
   * `10.0.0.5:443`, `[v6]:port`, `host:port`, `unix:/path`, `{sni}:443` for the name the client asked for, or
   * `srv:_https._tcp.example.com` for the machines and ports of SRV records.
   */
  readonly backend?: string | undefined;
  /** Several of them, each as its address alone or with more about it. */
  readonly backends?: readonly (string | BackendConfig)[] | undefined;
  /** Which backend a connection goes to. Default `round-robin`. */
  readonly balance?: Balance | undefined;
  /** How many other backends a connection tries before it fails, 0 to 7. Default 2. */
  readonly retry?: number | undefined;
  /** When a backend that fails is left out for a while. */
  readonly eject?: EjectConfig | undefined;
  /** How backends are checked while nobody uses them: `tcp`, `tls`, or more about it. Default: not at all. */
  readonly health?: 'tcp' | 'tls' | HealthConfig | undefined;
  /** What becomes of the connections of a backend that checks find down. Default `keep`. */
  readonly onDown?: 'keep' | 'close' | undefined;
  /**
   * What becomes of its connections when a reload removes it: they go on, end after `timeouts.drain`, or end at once, as
   * `drained`. Default: keep.
   */
  readonly onRemove?: 'keep' | 'drain' | 'close' | undefined;
  /** What the client gets to see instead of a backend. */
  readonly reject?: AnswerName | undefined;
  /** A function that says so for each client; only in a program. */
  readonly decide?: RouteFunction | undefined;
  /** Which clients may use the route. Default: every client. */
  readonly clients?: ClientsConfig | undefined;
  /** What the connections of the route may take. Default: nothing is limited. */
  readonly limits?: LimitsConfig | undefined;
  /** How long its relays may last. Default: as `timeouts` at the top has it. */
  readonly timeouts?: SpansConfig | undefined;
}

/** One listener, where its address does not say everything. */
export interface ListenerConfig {
  /** As in `listen`. */
  readonly address: string | number;
  /** Which clients may connect; others are refused before anything is read. Default: every client. */
  readonly clients?: ClientsConfig | undefined;
  /** What the connections of the listener may take. Default: nothing is limited. */
  readonly limits?: LimitsConfig | undefined;
  /** PROXY headers that name the client. Default: none are taken, and one that comes is refused as `not-tls`. */
  readonly proxyProtocol?: ProxyInConfig | undefined;
}

/**
 * Networks of clients in CIDR form or single addresses. The most specific network that holds a client's address decides;
 * the same network in both lists denies. IPv4-mapped IPv6 addresses count as IPv4.
 */
export interface ClientsConfig {
  /** Where given, clients outside all these networks are refused. Default: none. */
  readonly allow?: OneOrMany<string> | undefined;
  /** Refused, unless a more specific network is allowed. Default: none. */
  readonly deny?: OneOrMany<string> | undefined;
}

/** Connections per second, minute or hour, and how many may come at once: `100/s`, `30/m`, `10/s burst 50`. */
export type RateText = `${number}/${'s' | 'm' | 'h'}` | `${number}/${'s' | 'm' | 'h'} burst ${number}`;

type ByteUnit = 'B' | 'KB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB';

/** Bytes per second, and how many may come at once: `10MB/s`, `512KiB/s burst 1MiB`. */
export type BandwidthText = `${number}${ByteUnit}/s` | `${number}${ByteUnit}/s burst ${number}${ByteUnit}`;

/**
 * Limits on connections with a name that a route takes. Each is counted for all of them together, for each client
 * address (IPv6: for each /64) or for each server name; none has a default. A connection over a limit is refused as
 * `policies.limit` has it; bandwidth makes it wait instead.
 */
export interface LimitsConfig {
  /** Open connections at once. */
  readonly connections?: number | undefined;
  readonly connectionsPerClient?: number | undefined;
  readonly connectionsPerName?: number | undefined;
  /** New connections; without a burst, a second's worth may come at once, at least one. */
  readonly rate?: RateText | undefined;
  readonly ratePerClient?: RateText | undefined;
  readonly ratePerName?: RateText | undefined;
  /** Bytes relayed, both directions together; without a burst, a quarter of a second's worth, at least 64 KiB. */
  readonly bandwidth?: BandwidthText | undefined;
  readonly bandwidthPerClient?: BandwidthText | undefined;
  readonly bandwidthPerName?: BandwidthText | undefined;
}

export interface ProxyLimitsConfig extends LimitsConfig {
  /**
   * Connections whose ClientHello has not come yet, at once. Beyond it the oldest of whoever has most of them is
   * refused. Each worker has an equal share of it. Default 8192.
   */
  readonly pendingHellos?: number | undefined;
  /** The same of each client address (IPv6: of each /64); further ones are refused. Default 512. */
  readonly pendingHellosPerClient?: number | undefined;
  /** Pace that a ClientHello needs from its fourth second on, beside `timeouts.hello`. Default `64B/s`; `0B/s` for none. */
  readonly helloPace?: BandwidthText | undefined;
}

/** How long a relay may last. */
export interface SpansConfig {
  /** That no byte is moved in either direction. Default `0s`: for ever. */
  readonly idle?: DurationText | undefined;
  /** The same, once one side has sent its end of file. Default `0s`: for ever. */
  readonly halfClose?: DurationText | undefined;
  /** Altogether; chance takes up to a tenth off, so that relays begun together end apart. Default `0s`: for ever. */
  readonly lifetime?: DurationText | undefined;
}

/** One of several backends. Where it says nothing about PROXY headers, what its route says counts. */
export interface BackendConfig extends ProxyOutConfig {
  /** As in `backend`. */
  readonly address: string;
  /** Its share of the connections against the others, 1 to 1000. Default 1. */
  readonly weight?: number | undefined;
  /** Used only while no other backend is usable. Default false. */
  readonly backup?: boolean | undefined;
  /** Connections it gets at once; further ones go to other backends. Default: as many as come. */
  readonly maxConnections?: number | undefined;
}

/** Failures are connections it refuses, does not answer, or closes before its first byte. */
export interface EjectConfig {
  /** Failures in a row that it takes; 0 for never. Default 3. */
  readonly failures?: number | undefined;
  /** How long the first time; doubled each time it fails again soon after. Default `5s`. */
  readonly base?: DurationText | undefined;
  /** How long at most. Default `5m`. */
  readonly max?: DurationText | undefined;
}

export interface HealthConfig {
  /** `tcp` connects; `tls` also asks for the name, and looks at the certificate that is shown. */
  readonly check: 'tcp' | 'tls';
  /** The server name a TLS check asks for. Default: the first pattern of the route, where that is one name. */
  readonly name?: string | undefined;
  /** Whether a TLS check takes a backend for down that does not support Encrypted ClientHello. Default false. */
  readonly ech?: boolean | undefined;
  /** Between two checks of a backend, at least 100ms. Default `5s`. */
  readonly interval?: DurationText | undefined;
  /** For one check, at least 100ms. Default `2s`. */
  readonly timeout?: DurationText | undefined;
  /** Good checks in a row after which a backend is up again. Default 2. */
  readonly rise?: number | undefined;
  /** Bad checks in a row after which a backend is down. Default 3. */
  readonly fall?: number | undefined;
  /** Days before a certificate expires from which on it is warned of. Default 14. */
  readonly expiryDays?: number | undefined;
}

/** What each kind of refused client gets to see. */
export interface PoliciesConfig {
  /** A ClientHello without a server name. Default `unrecognized_name`. */
  readonly noSni?: AnswerName | undefined;
  /** A name that no route takes. Default `unrecognized_name`. */
  readonly unknownName?: AnswerName | undefined;
  /** A ClientHello that breaks the rules of TLS. Default `parser`: the alert that fits the fault. */
  readonly malformed?: AnswerName | 'parser' | undefined;
  /** Something that is not TLS, such as plain HTTP. Default `close`. */
  readonly notTls?: AnswerName | undefined;
  /** No whole ClientHello within `timeouts.hello`. Default `close`. */
  readonly helloTimeout?: AnswerName | undefined;
  /** The backend cannot be reached. Default `internal_error`. */
  readonly dialFailed?: AnswerName | undefined;
  /** A limit is reached. Default `close`. */
  readonly limit?: AnswerName | undefined;
  /** A client whose network may not use the listener or the route. Default `close`. */
  readonly denied?: AnswerName | undefined;
}

/** Networks in CIDR form (`10.0.0.0/8`, `fd00::/8`) or single addresses. */
export interface GuardConfig {
  /** Let through although the guard refuses them by default (loopback, link-local, multicast). Default: none. */
  readonly allowNets?: OneOrMany<string> | undefined;
  /** Refused in any case. Default: none. */
  readonly denyNets?: OneOrMany<string> | undefined;
}

/** How names are looked up, and how long answers are kept. */
export interface ResolverConfig {
  /**
   * `system`: the system's own look-up (getaddrinfo). Addresses: these DNS servers and no others, without search
   * domains. `auto`, the default: the DNS servers and search domains of /etc/resolv.conf; the system's own look-up where
   * there are none, on macOS and Windows, and for what DNS does not know (`name.local`).
   */
  readonly servers?: OneOrMany<string> | undefined;
  /** Which addresses are wanted and come first. Default `auto`: as this machine's own addresses suggest. */
  readonly family?: 'auto' | 'ipv4-first' | 'ipv6-first' | 'ipv4-only' | 'ipv6-only' | undefined;
  /** For one look-up, over all servers. Default `5s`; more than zero. */
  readonly timeout?: DurationText | undefined;
  /** That an answer is kept at least, whatever its TTL. Default `1s`; at least 100 ms. */
  readonly ttlMin?: DurationText | undefined;
  /** That an answer is kept at most, whatever its TTL. Default `30s`. */
  readonly ttlMax?: DurationText | undefined;
  /** That it is kept that a name does not exist. Default `5s`. */
  readonly negativeTtl?: DurationText | undefined;
  /** That an expired answer is used while no server gives a new one. Default `24h`; `0s` for not at all. */
  readonly stale?: DurationText | undefined;
  /** Path of the hosts file, which wins over DNS, or `none`. Default: the system's. */
  readonly hosts?: string | undefined;
}

export interface TimeoutsConfig extends SpansConfig {
  /** From accept until the ClientHello must be complete. Default `5s`; more than zero. */
  readonly hello?: DurationText | undefined;
  /** For name look-up and connecting together. Default `5s`; more than zero. */
  readonly dial?: DurationText | undefined;
  /** For each call of a route's `decide` or of a hook. Default `2s`; more than zero. */
  readonly decide?: DurationText | undefined;
  /** That running connections get to end by themselves at shutdown. Default `25s`; `0s` ends them at once. */
  readonly drain?: DurationText | undefined;
}

/** See tcp(7). The portable engine knows `keepaliveIdle` only: Node probes ten times, a second apart. */
export interface TcpConfig {
  /** Silence of a peer before the kernel probes it, in whole seconds. Default `60s`; `0s` for no probes. */
  readonly keepaliveIdle?: DurationText | undefined;
  /** Between two unanswered probes, in whole seconds. Default `10s`. */
  readonly keepaliveInterval?: DurationText | undefined;
  /** Unanswered probes after which a peer counts as gone, 1 to 127. Default 6. */
  readonly keepaliveProbes?: number | undefined;
  /**
   * Time that a peer may leave bytes unacknowledged, or its window closed, before it counts as gone. Default `0s`: as
   * long as the kernel is patient, about a quarter of an hour for a peer that answers nothing at all.
   */
  readonly userTimeout?: DurationText | undefined;
}
