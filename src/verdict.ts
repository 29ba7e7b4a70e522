/** What is decided about a connection: where it goes, or what its client gets to see instead. */
import type { AccessRules } from './limiting/access-rules.ts';
import type { LimitScope } from './limiting/limiter.ts';
import type { EndReason } from './events.ts';
import type { EchIllegal } from './ech/ech-error.ts';
import type { HelloInvalid } from './wire/hello-reader.ts';
import type { PeerAddress } from './wire/peer-address.ts';
import type { ProxyErrorCode } from './wire/proxy-header.ts';
import type { ProxyOut } from './wire/proxy-types.ts';

/** A socket address to dial: never a name, so that what was checked is what is connected. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number; readonly family: 4 | 6 }
  | { readonly kind: 'unix'; readonly path: string };

/** What a client that is not relayed gets to see: these bytes (if any), then an orderly end, or a reset. */
export type Answer =
  | { readonly kind: 'alert'; readonly description: number }
  | { readonly kind: 'close' }
  | { readonly kind: 'reset' };

export type { ProxyOut } from './wire/proxy-types.ts';

/** One address that a connection may be relayed to. */
export interface Candidate {
  readonly endpoint: Endpoint;
  /** Number of its backend where connections to it are counted (`takeBackend`), else -1. */
  readonly backend: number;
  readonly proxy: ProxyOut | null;
  /** Milliseconds from dialling it until the next candidate is dialled beside it; after a failure it is at once. */
  readonly delayMs: number;
}

/** How long relays may last; 0 for ever. */
export interface RelaySpans {
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** The same once one side has ended. */
  readonly halfCloseMs: number;
  readonly lifetimeMs: number;
}

/** The places that a connection holds within its limits. */
export interface Ticket {
  /** Gives them back. Called once the connection has ended; further calls do nothing. */
  release(): void;
  /** Whether the bytes of its relay have to be reserved. */
  readonly isPaced: boolean;
  /**
   * How many of these bytes may be moved now: those that are not moved after all are refunded at once. 0: none, and
   * `waitMs` says when to ask again.
   */
  reserve(bytes: number): number;
  refund(bytes: number): void;
  waitMs(): number;
}

/** Somebody who waits for an answer. */
export interface Asker {
  /** Put here by who is going to answer; called when the answer is wanted no more. */
  gone?: (() => void) | undefined;
}

/** What holds for those who connect to a listener. */
export interface ListenerFacts {
  readonly rules: AccessRules | null;
  readonly scope: LimitScope | null;
}

/** A listener as its connections know it. */
export interface ListenerRef {
  /** As the last configuration had it that knows the listener: they outlive it. */
  readonly facts: ListenerFacts;
  /** As in `BoundAddress.text`. */
  readonly text: string;
}

/** What has come of the encrypted hello of a client. */
export interface ClientEch {
  /** `undecryptable`: the hello in clear counts. */
  readonly kind: 'accepted' | 'undecryptable';
  /** Number of the key it was encrypted to, as the hello has it. */
  readonly configId: number;
  /** The name in clear. */
  readonly outerName: string | null;
  /** The name in clear is the public name of one of the keys. */
  readonly isPublicName: boolean;
  /** Milliseconds that it took to open it, or to find that no key does. */
  readonly openMs: number;
  /** An inner name is not to be told. */
  readonly isHidden: boolean;
}

/** The client of one connection, as decisions see it. */
export interface Client extends Asker {
  readonly peer: PeerAddress;
  /** The listener that accepted it. */
  readonly listener: ListenerRef;
  /** Put here by a decision to relay; the connection's owner releases it, whatever becomes of the connection. */
  ticket: Ticket | null;
  /** The name of the route that takes it, once one does; put here by a decision, whatever that has to wait for. */
  route: string | null;
  /** Put here when its hello was looked at for Encrypted ClientHello; null without it, or without keys for it. */
  ech: ClientEch | null;
}

/** How a relay is carried out. */
export interface RelayOptions extends RelaySpans {
  /**
   * The client's bytes are kept until the backend's first one: a backend that goes before it is replaced by the next
   * candidate.
   */
  readonly retry: boolean;
}

export interface RelayVerdict {
  readonly kind: 'relay';
  readonly route: string;
  /** In the order to try them; at least one. Those of one backend stand together. */
  readonly candidates: readonly Candidate[];
  readonly options: RelayOptions;
  /** Milliseconds that users' functions have taken: they are not taken off the time to dial. None where it is absent. */
  readonly waitedMs?: number;
}

/**
 * What became of a backend that was taken: `failed` to connect, `lost` before its first byte, `ended` well as far as
 * it is concerned, or `unused`: another was faster, the client left first, or it tells nothing for another reason.
 */
export type BackendOutcome = 'failed' | 'lost' | 'ended' | 'unused';

/** A whole answer of a TLS server, after which the client ends the connection. */
export interface FlightAnswer {
  readonly kind: 'flight';
  /** Little enough for one send. */
  readonly bytes: Uint8Array;
}

export interface RejectVerdict {
  readonly kind: 'reject';
  readonly endReason: EndReason;
  readonly answer: Answer | FlightAnswer;
  readonly route: string | null;
  readonly detail: string | null;
}

export type Verdict = RelayVerdict | RejectVerdict;

/** Why a connection is refused without a decision on its name. */
export type Refusal =
  /** An encrypted hello that breaks the rules. */
  | { readonly kind: 'illegal-ech'; readonly illegal: EchIllegal }
  /** One that no key opens, whose client is told of the keys there are. */
  | { readonly kind: 'ech-retry'; readonly flight: Uint8Array }
  | { readonly kind: 'invalid-hello'; readonly invalid: HelloInvalid; readonly protocol: string | null }
  /** `isSlow`: within the deadline, but below the pace. */
  | { readonly kind: 'hello-timeout'; readonly isSlow: boolean }
  /** Too many connections whose hello has not come. */
  | { readonly kind: 'limit'; readonly detail: string }
  | { readonly kind: 'proxy-timeout' }
  | { readonly kind: 'proxy-malformed'; readonly code: ProxyErrorCode }
  | {
      readonly kind: 'dial-failed';
      readonly endReason: EndReason;
      readonly route: string;
      readonly detail: string;
    };
