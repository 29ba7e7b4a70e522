/**
 * The server of the public names: it tells clients whose hello could not be opened what keys to use (RFC 9849 section
 * 7.1, `retry_configs`), in the one flight that a server of TLS 1.3 has to say, under a certificate for the public name.
 * A client that believes it ends the connection and comes again; what it sends before that is never looked at.
 */
import {
  RETRY_FLIGHT_BYTES_MAX,
  RETRY_WORK_BURST_MS,
  RETRY_WORK_MS_MAX,
  RETRY_WORK_SHARE,
} from '../limits.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import { encodeHelloMessage } from '../wire/hello-records.ts';
import { echIllegal } from './ech-error.ts';
import type { EchIllegal } from './ech-error.ts';
import { exchangeKeys } from './key-exchange.ts';
import { chooseForRetry } from './retry-offer.ts';
import type { RetryChoice } from './retry-offer.ts';
import { encodeCertificate, encodeServerFlight, flightBytesMax } from './server-flight.ts';
import type { ServerIdentity } from './server-flight.ts';
import { createSigningKey } from './signing-key.ts';
import { WorkBudget } from './work-budget.ts';

/** A certificate with its key, as plain data that can be sent to other threads. */
export interface RetryIdentity {
  /** DER, the server's own first, then those that lead to an authority. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
}

/** What clients are told that ask for one public name; plain data too. */
export interface RetryTerms {
  /** In lower case. */
  readonly publicName: string;
  /** The ECHConfigList to use, its 2-byte length included. */
  readonly list: Uint8Array;
  readonly identity: RetryIdentity;
}

export type RetryAnswer =
  | {
      readonly kind: 'flight';
      /** Whole TLS records, at most RETRY_FLIGHT_BYTES_MAX bytes; the client's answer to them says nothing. */
      readonly bytes: Uint8Array;
    }
  /** Answers have taken too much time of late. */
  | { readonly kind: 'busy' }
  /** No server could go on with this hello: it is answered with the alert. */
  | EchIllegal
  /** The name is none of the public ones. */
  | null;

interface LoadedTerms {
  readonly identity: ServerIdentity;
  readonly list: Uint8Array;
}

const BUSY = { kind: 'busy' } as const;

/** One for each thread. Synchronous: an answer takes as long as its signature and its key exchange. */
export class RetryResponder {
  readonly #terms: ReadonlyMap<string, LoadedTerms>;
  readonly #budget: WorkBudget;

  /**
   * @param nowMs A monotonic clock, in milliseconds: answers take at most RETRY_WORK_SHARE of its time.
   * @throws Error for terms that `retryTermsFault` finds something wrong with.
   */
  constructor(terms: readonly RetryTerms[], nowMs: () => number) {
    this.#terms = new Map(terms.map(one => [one.publicName.toLowerCase(), loadTerms(one)]));
    this.#budget = new WorkBudget({
      nowMs,
      share: RETRY_WORK_SHARE,
      burstMs: RETRY_WORK_BURST_MS,
      pieceMsMax: RETRY_WORK_MS_MAX,
    });
  }

  /** Whether this is a public name that it has a certificate for. */
  answersFor(name: string | null): boolean {
    return name !== null && this.#terms.has(name);
  }

  /**
   * Answers a hello whose encrypted_client_hello could not be opened; never throws for what is in it. A hello without the
   * extension is not told of keys, since nobody may answer what was not asked.
   */
  answer(hello: ClientHello): RetryAnswer {
    const terms = hello.serverName === null ? undefined : this.#terms.get(hello.serverName);
    if (terms === undefined) return null;
    const choice = chooseForRetry(hello, terms.identity.key.schemes);
    if (choice.kind === 'illegal') return choice;
    return this.#budget.spend(() => encodeAnswer(hello, choice, terms)) ?? BUSY;
  }
}

function encodeAnswer(
  hello: ClientHello,
  { suite, group, share, scheme }: RetryChoice,
  { identity, list }: LoadedTerms,
): Exclude<RetryAnswer, null> {
  const exchanged = exchangeKeys(group, share);
  if (exchanged === null) return echIllegal('key-share-illegal');
  const bytes = encodeServerFlight(identity, {
    hello: encodeHelloMessage(hello.body),
    sessionId: hello.sessionId,
    suite,
    group,
    share: exchanged.share,
    secret: exchanged.secret,
    scheme,
    retryConfigs: hello.ech === 'outer' ? list : null,
  });
  return { kind: 'flight', bytes };
}

/** Why the terms cannot be used, as a clause with a remedy; null if they can. */
export function retryTermsFault(terms: RetryTerms): string | null {
  try {
    loadTerms(terms);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function loadTerms({ publicName, list, identity: { certificates, privateKey } }: RetryTerms): LoadedTerms {
  if (certificates.length === 0) throw new Error(`for ${publicName} there is no certificate`);
  const certificate = encodeCertificate(certificates);
  const identity = { certificate, key: createSigningKey(privateKey) };
  const bytes = flightBytesMax(identity, list);
  if (bytes > RETRY_FLIGHT_BYTES_MAX) {
    const sizes = `${certificate.length} bytes of certificates and ${list.length} of configurations`;
    throw new Error(
      `the answer for ${publicName} would take ${bytes} bytes, and ${RETRY_FLIGHT_BYTES_MAX} at most are sent: ${sizes} are too much, so shorten the chain or publish fewer keys`,
    );
  }
  return { identity, list };
}
