/** What a person may write about Encrypted ClientHello. */
import type { OneOrMany } from './sniway-config.ts';

/**
 * Hellos that are encrypted to one of these keys are opened, and routed by the name inside (RFC 9849, split mode): the
 * backends must know inner hellos. Without it, encrypted_client_hello is an extension like any other.
 */
export interface EchConfig {
  /**
   * Files of keys (RFC 9934), and folders whose files that end in `.ech` are read. In a configuration file, relative
   * paths start at its folder. At least one key.
   */
  readonly keys: OneOrMany<string>;
  /**
   * The name of the route that takes a hello for one of the public names that no key opens. Default: the route that
   * takes the public name, if one does.
   */
  readonly fallback?: string | undefined;
  /**
   * Certificates for the public names: a hello for one of them that no key opens is answered by this proxy itself, which
   * tells the client the newest key and nothing else. Such a name leads to nothing else then. Default: none.
   */
  readonly retry?: OneOrMany<EchRetryConfig> | undefined;
  /**
   * What becomes of an inner name that no route takes: `alert` for unrecognized_name, or the name of the route that
   * takes it. Default `alert`.
   */
  readonly unknownInner?: string | undefined;
  /** Whether the name in clear must be the public name of the key that opens the hello. Default false. */
  readonly requirePublicName?: boolean | undefined;
  /**
   * Whether all keys are tried, not only those with the number in the hello, for at most a tenth of a thread's time; what
   * is beyond that, only its number opens. Default false.
   */
  readonly trialDecryption?: boolean | undefined;
  /** Whether backends that do not take inner hellos for what they are, are told of once each. Default `warn`. */
  readonly verifyBackend?: 'warn' | 'off' | undefined;
  /**
   * Whether records of connections, and so access lines, have the inner name. Where they do not, they have the outer
   * one, and every route that may be reached so needs a `name` of its own. Default true.
   */
  readonly logInnerName?: boolean | undefined;
}

/** PEM files; relative paths as for `keys`. */
export interface EchRetryConfig {
  /** The certificate of one or more public names, then those that lead to its authority. */
  readonly certificate: string;
  /** Its private key, without a password. */
  readonly key: string;
}

/**
 * What a route makes of encrypted hellos. `optional`: its names are answered either way; `required`: only through
 * Encrypted ClientHello, and in clear they are unknown; `off`: only in clear.
 */
export type RouteEch = 'off' | 'optional' | 'required';
