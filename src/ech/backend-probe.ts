/**
 * Whether a backend supports Encrypted ClientHello in split mode, found out by an inner hello of our own (RFC 9849
 * section 7.2). Nothing here waits or writes: whoever owns the socket gives what the backend sends.
 */
import { encodeHandshakeRecords } from '../wire/hello-records.ts';
import { ALERTS, alertName } from '../wire/tls-alert.ts';
import { isAcceptConfirmed } from './accept-confirmation.ts';
import { ProbeHellos, canChangeTo } from './probe-hello.ts';
import type { ProbedName } from './probe-hello.ts';
import { isRetryRequest, readServerHello } from './server-hello.ts';
import { ServerMessages } from './server-messages.ts';

/**
 * `confirmed`: it does. `unconfirmed`: it speaks TLS 1.3 and takes the inner hello for an ordinary one, so that every
 * client that encrypts its hello fails. `no-tls-1.3`: it fails them sooner. `unknown`: its answer says nothing.
 */
export type EchSupport =
  | { readonly kind: 'confirmed' | 'unconfirmed' | 'no-tls-1.3' }
  | {
      readonly kind: 'unknown';
      /** A clause about "it", such as `it does not answer`. */
      readonly reason: string;
    };

export type EchProbeStep =
  | { readonly kind: 'wait' }
  /** Send this, and wait. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'found'; readonly support: EchSupport };

const FIRST_RECORD_VERSION = 0x0301;
const RECORD_VERSION = 0x0303;
const TLS_1_3 = 0x0304;
/** change_cipher_spec, which browsers send before their second hello (RFC 8446 appendix D.4). */
const CHANGE_CIPHER_SPEC = Uint8Array.of(20, 3, 3, 0, 1, 1);
const WAIT: EchProbeStep = { kind: 'wait' };

/** One for each connection. */
export class BackendProbe {
  readonly #hellos: ProbeHellos;
  readonly #server = new ServerMessages();
  #retry: { readonly request: Uint8Array; readonly hello: Uint8Array } | null = null;

  constructor(name: ProbedName) {
    this.#hellos = new ProbeHellos(name);
  }

  /** What is sent first. */
  get hello(): Uint8Array {
    return encodeHandshakeRecords(this.#hellos.first, FIRST_RECORD_VERSION);
  }

  /** The backend has asked for a second hello. */
  get wasRetried(): boolean {
    return this.#retry !== null;
  }

  /** Takes what the backend has sent; once something is found, what follows says nothing more. */
  read(bytes: Uint8Array): EchProbeStep {
    let step = WAIT;
    for (const event of this.#server.read(bytes)) {
      // A ServerHello right behind a HelloRetryRequest answers nothing of ours.
      if (step.kind === 'send') return unknown('it does not wait for the second hello it asks for');
      if (event.kind === 'other') return judgeOther(event.alert, this.wasRetried);
      step = this.#judge(event.message);
      if (step.kind === 'found') return step;
    }
    return step;
  }

  #judge(message: Uint8Array): EchProbeStep {
    const facts = readServerHello(message);
    if (facts === null) return unknown('its ServerHello is malformed');
    if (facts.version < TLS_1_3) return found('no-tls-1.3');
    if (!isRetryRequest(message)) {
      const confirmed = isAcceptConfirmed({
        hello: this.#hellos.first,
        retry: this.#retry,
        serverHello: message,
      });
      return found(confirmed ? 'confirmed' : 'unconfirmed');
    }
    const { group } = facts;
    if (this.#retry !== null) return unknown('it asks for a third hello');
    if (group !== null && !canChangeTo(group)) return unknown(`it asks for a key of group ${hex(group)}`);
    const hello = this.#hellos.second(facts);
    this.#retry = { request: message, hello };
    const records = encodeHandshakeRecords(hello, RECORD_VERSION);
    return { kind: 'send', bytes: Buffer.concat([CHANGE_CIPHER_SPEC, records]) };
  }
}

/** Says it as a clause about "it"; null for a backend that does. */
export function echFault(support: EchSupport): string | null {
  switch (support.kind) {
    case 'confirmed':
      return null;
    case 'unconfirmed':
      return 'it does not support Encrypted ClientHello';
    case 'no-tls-1.3':
      return 'it does not speak TLS 1.3';
    case 'unknown':
      return support.reason;
  }
}

function judgeOther(alert: number | null, wasRetried: boolean): EchProbeStep {
  if (alert === null) return unknown('its answer is no TLS handshake');
  // Who has sent a HelloRetryRequest speaks TLS 1.3.
  if (alert === ALERTS.protocol_version && !wasRetried) return found('no-tls-1.3');
  return unknown(`it answers with the alert ${alertName(alert) ?? alert}`);
}

function found(kind: 'confirmed' | 'unconfirmed' | 'no-tls-1.3'): EchProbeStep {
  return { kind: 'found', support: { kind } };
}

function unknown(reason: string): EchProbeStep {
  return { kind: 'found', support: { kind: 'unknown', reason } };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
