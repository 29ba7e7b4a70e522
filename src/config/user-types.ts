/** What functions of users are given and what they answer: routes that are functions, and hooks. */
import type { ClientAddress, ConnectionEnded, EndReason } from '../events.ts';
import type { AlertName } from '../wire/tls-alert.ts';

/**
 * What a client has said of itself. Frozen, and free to be kept. All of it is a claim: a name routes, it does not
 * authenticate.
 */
export interface HelloInfo {
  /** Canonical server name: lower case, no trailing dot. Null without one, which only `onHello` gets to see. */
  readonly serverName: string | null;
  /** ALPN protocols in the client's order; escaped, and cut to a bound with `...` as the last. */
  readonly alpnProtocols: readonly string[];
  /** Versions of TLS the client offers, the highest first: `1.3`, `1.2`, `1.1`, `1.0`, `ssl3`. */
  readonly tlsVersions: readonly string[];
  /**
   * `offered`: there is an Encrypted ClientHello, or GREASE that looks like one, so that `serverName` is the outer name;
   * `inner`: somebody in front has decrypted it; `accepted`: it was opened with one of the `ech.keys`, and everything
   * here is of the inner hello.
   */
  readonly ech: 'none' | 'offered' | 'inner' | 'accepted';
  /** The name in clear of a hello that was opened; null for any other. */
  readonly outerName: string | null;
  /** JA3 fingerprint, 32 hexadecimal digits; computed when it is read. */
  readonly ja3: string;
  /** JA4 fingerprint, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`; computed when it is read. */
  readonly ja4: string;
}

/** Who has connected, or who a trusted PROXY header says has. Frozen. */
export interface ClientInfo extends ClientAddress {
  /** The listener that accepted it, as in `BoundAddress.text`. */
  readonly listener: string;
}

/** The third argument of every function. */
export interface CallContext {
  /** Aborted when the client has gone, or the time is over: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Refuses the connection: an orderly close, a TCP reset, or a fatal TLS alert by its name. */
export interface Rejection {
  readonly reject: 'close' | 'reset' | AlertName;
}

/**
 * Where a connection goes: a backend as in a configuration (`10.0.0.5:443`, `app.internal:443`, `unix:/path`, `{sni}:443`,
 * `srv:_https._tcp.example.com`), several of them in the order to try them, at most 8, or a rejection.
 */
export type RouteVerdict =
  string | { readonly backend: string } | { readonly backends: readonly string[] } | Rejection;

/**
 * Decides for each client of a route. It has the time of `timeouts.decide`. A function that throws, rejects, answers
 * anything else or nothing in time refuses the connection, as `internal-error` with the answer of `policies.dialFailed`.
 */
export type RouteFunction = (
  hello: HelloInfo,
  client: ClientInfo,
  context: CallContext,
) => RouteVerdict | Promise<RouteVerdict>;

/** What was decided, as `onVerdict` sees it. Frozen. */
export type VerdictInfo =
  | {
      readonly kind: 'relay';
      readonly route: string;
      /** Addresses in the order they are tried: `10.0.0.5:443`, `[fd00::5]:443`, `unix:/path`. At least one. */
      readonly backends: readonly string[];
    }
  | {
      readonly kind: 'reject';
      /** Null if no route took the name. */
      readonly route: string | null;
      readonly endReason: EndReason;
      readonly reject: Rejection['reject'];
      readonly detail: string | null;
    };

/** What a hook answers that may refuse: a rejection, or nothing to let the connection pass. */
export type HookAnswer = Rejection | undefined | void;

/**
 * Functions that are called for the connections of all routes. They have the time of `timeouts.decide` each, and fail
 * closed as {@link RouteFunction} does.
 */
export interface Hooks {
  /** Called with each ClientHello that no limit and no client network has refused, before its route counts. */
  readonly onHello?:
    | ((hello: HelloInfo, client: ClientInfo, context: CallContext) => HookAnswer | Promise<HookAnswer>)
    | undefined;
  /** Called with what was decided, after `onHello`; may refuse what was to be relayed. */
  readonly onVerdict?:
    | ((
        verdict: VerdictInfo,
        hello: HelloInfo,
        client: ClientInfo,
        context: CallContext,
      ) => HookAnswer | Promise<HookAnswer>)
    | undefined;
  /** Called with the record of each connection; the same as a listener of `ended`. Nothing waits for it. */
  readonly onEnd?: ((record: ConnectionEnded) => void | Promise<void>) | undefined;
}
