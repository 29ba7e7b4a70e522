/** Names of backends and what they lead to: the words that look-ups, the address cache and decisions share. */

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** One machine a name leads to. An SRV record gives a target of its own; an ordinary name is one target. */
export interface AddressTarget {
  /** The port of an SRV record; null where the backend gives the port. */
  readonly port: number | null;
  /** Lowest first (RFC 2782). */
  readonly priority: number;
  /** Share among the targets of one priority (RFC 2782). */
  readonly weight: number;
  /** At least one, the preferred family first. */
  readonly addresses: readonly ResolvedAddress[];
}

/** What a name leads to: plain data, so that it can be sent to worker threads. At least one target. */
export interface CachedAddresses {
  readonly targets: readonly AddressTarget[];
}

/** A name that gave no address; the message holds a code (ENOTFOUND, ESERVFAIL, timeout ...). */
export class ResolveError extends Error {}

export interface ResolveOptions {
  /** Milliseconds the caller waits. */
  readonly timeoutMs: number;
  /** The client chose the name: it has budgets of its own, and is taken as a whole name, without search domains. */
  readonly fromClient: boolean;
}

export interface NameResolver {
  /**
   * Where a name leads to. `srv:_service._proto.name` is looked up as a service (SRV), all else as a host. Look-ups of
   * one name under way are shared.
   * @throws ResolveError when it leads nowhere, the time is over, or too many look-ups are under way.
   */
  resolve(host: string, options: ResolveOptions): Promise<CachedAddresses>;
}

/** Which addresses are asked for and tried first; `auto`: what this machine's own addresses suggest. */
export type FamilyPreference = 'auto' | 'ipv4-first' | 'ipv6-first' | 'ipv4-only' | 'ipv6-only';

/** How names are looked up and how long answers are kept; plain data. */
export interface ResolverSettings {
  /**
   * Who is asked: `system` getaddrinfo(3), a list the DNS servers given (`addr`, `addr:port` or `[v6]:port`), `auto`
   * the DNS servers the system is set up with, where they can be known.
   */
  readonly servers: 'auto' | 'system' | readonly string[];
  readonly family: FamilyPreference;
  /** Bound on one look-up, whoever waits for it. */
  readonly timeoutMs: number;
  /** Bounds on how long an answer is kept, whatever its TTL says. */
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
  /** How long it is kept that a name does not exist. */
  readonly negativeTtlMs: number;
  /** How long an expired answer is used while nobody gives a new one. */
  readonly staleMs: number;
  /** The hosts file; null for none. */
  readonly hostsFile: string | null;
}

/** Begins the names that are looked up as services. */
export const SERVICE_PREFIX = 'srv:';

/** An answer of one look-up. `none`: the name leads nowhere, for sure; `failed`: nobody knows. */
export type LookUpAnswer =
  | { readonly kind: 'found'; readonly targets: readonly AddressTarget[]; readonly ttlMs: number }
  | { readonly kind: 'none'; readonly code: string }
  | { readonly kind: 'failed'; readonly code: string };

export interface LookUpQuestion {
  readonly host: string;
  readonly fromClient: boolean;
  /** Somebody waits: one family's addresses will do if the other's are late. */
  readonly urgent: boolean;
}

/** A look-up under way; neither promise rejects. */
export interface LookUp {
  readonly answer: Promise<LookUpAnswer>;
  /** When nothing of it is under way any more: at the answer, or later. */
  readonly over: Promise<void>;
}

/** Asks, and remembers nothing. */
export interface NameSource {
  lookUp(question: LookUpQuestion): LookUp;
  /** Gives up what is under way. */
  close(): void;
}
