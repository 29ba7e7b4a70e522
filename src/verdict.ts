/** What is decided about a connection: where it goes, or what its client gets to see instead. */
import type { EndReason } from './events.ts';
import type { HelloInvalid } from './wire/hello-reader.ts';

/** A socket address to dial: never a name, so that what was checked is what is connected. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number; readonly family: 4 | 6 }
  | { readonly kind: 'unix'; readonly path: string };

/** What a client that is not relayed gets to see: these bytes (if any), then an orderly end, or a reset. */
export type Answer =
  | { readonly kind: 'alert'; readonly description: number }
  | { readonly kind: 'close' }
  | { readonly kind: 'reset' };

export interface RelayVerdict {
  readonly kind: 'relay';
  readonly route: string;
  /** Addresses in the order to try them; at least one. */
  readonly endpoints: readonly Endpoint[];
}

export interface RejectVerdict {
  readonly kind: 'reject';
  readonly endReason: EndReason;
  readonly answer: Answer;
  readonly route: string | null;
  readonly detail: string | null;
}

export type Verdict = RelayVerdict | RejectVerdict;

/** Why a connection is refused without a decision on its name. */
export type Refusal =
  | { readonly kind: 'invalid-hello'; readonly invalid: HelloInvalid; readonly protocol: string | null }
  | { readonly kind: 'hello-timeout' }
  | {
      readonly kind: 'dial-failed';
      readonly endReason: EndReason;
      readonly route: string;
      readonly detail: string;
    };
