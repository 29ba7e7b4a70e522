/**
 * What follows an opened hello, until both directions can be relayed as they are. A backend may ask for a second hello
 * (HelloRetryRequest), which the client encrypts as it did the first one and nobody but us can open.
 */
import { HELLO_STREAM_BYTES_MAX, RECORD_PAYLOAD_BYTES_MAX } from '../limits.ts';
import { encodeHelloMessage } from '../wire/hello-records.ts';
import { HelloReader } from '../wire/hello-reader.ts';
import { StreamBuffer } from '../wire/stream-buffer.ts';
import { CONTENT_TYPE_HANDSHAKE, RECORD_HEADER_BYTES, recordLength } from '../wire/tls-record.ts';
import { isAcceptConfirmed } from './accept-confirmation.ts';
import { echIllegal } from './ech-error.ts';
import type { EchErrorCode, EchIllegal } from './ech-error.ts';
import { reopenHello } from './ech-opener.ts';
import type { EchAccepted, EchContext } from './ech-opener.ts';
import { isRetryRequest, readServerHello } from './server-hello.ts';
import { ServerMessages } from './server-messages.ts';
import type { ServerEvent } from './server-messages.ts';

export interface EchStep {
  /** What the backend gets now, in this order. Some of it views the bytes that were given. */
  readonly toBackend: readonly Uint8Array[];
  /** The client broke the protocol: it gets this alert, and then both sides are closed. */
  readonly illegal: EchIllegal | null;
}

/**
 * Whether the backend knows what an inner hello is. `unknown`: it answered with no ServerHello. A backend that is
 * `unconfirmed` fails every such connection, since it derives other keys than the client.
 */
export type BackendConfirmation = 'pending' | 'confirmed' | 'unconfirmed' | 'unknown';

/** change_cipher_spec for old middleboxes, alerts, and early data under the client's ticket. */
const PASSING_TYPES: ReadonlySet<number> = new Set([20, 21, 23]);
/** Bytes that encryption may add to a record (RFC 8446 section 5.2). */
const RECORD_EXPANSION_MAX = 256;
/** Of the extension with which a HelloRetryRequest answers an inner hello. */
const RETRY_CONFIRMATION_BYTES = 8;
const NOTHING: EchStep = { toBackend: [], illegal: null };

/**
 * One for each connection whose hello was opened. Nothing here waits or writes: whoever owns the sockets gives the bytes
 * of both directions in the order they come, however they are cut, and writes what comes out.
 */
export class EchHandshake {
  #state: 'await-server' | 'await-hello' | 'raw' | 'failed' = 'await-server';
  #context: EchContext | null;
  readonly #serverName: string | null;
  /** Messages with their headers, for the confirmation. */
  readonly #hello: Uint8Array;
  #retry: { request: Uint8Array; hello: Uint8Array | null } | null = null;
  readonly #server = new ServerMessages();
  #serverIsOver = false;
  #confirmation: BackendConfirmation = 'pending';
  #backendAlert: number | null = null;

  readonly #header = new Uint8Array(RECORD_HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes of a passing record still to come. */
  #left = 0;
  /** From the first handshake record on, all the client's bytes until they can be judged. */
  #held: StreamBuffer | null = null;
  #reader = new HelloReader();

  constructor({ hello, context }: EchAccepted) {
    this.#context = context;
    this.#serverName = hello.serverName;
    this.#hello = encodeHelloMessage(hello.body);
  }

  /** Both directions may be relayed as they are from now on, without another call. */
  get isDone(): boolean {
    return this.#state === 'raw' && this.#serverIsOver;
  }

  /** The backend has asked for a second hello, which has not come yet. */
  get awaitsHello(): boolean {
    return this.#state === 'await-hello';
  }

  /** The backend has asked for a second hello, which was opened too. */
  get wasRetried(): boolean {
    return this.#retry !== null && this.#retry.hello !== null;
  }

  get confirmation(): BackendConfirmation {
    return this.#confirmation;
  }

  /** Description of the alert that the backend answered with in clear: `protocol_version` says that it lacks TLS 1.3. */
  get backendAlert(): number | null {
    return this.#backendAlert;
  }

  /** Takes bytes of the client that follow its first hello. What is held when the client ends is to be dropped. */
  fromClient(bytes: Uint8Array): EchStep {
    if (this.#state === 'raw') return { toBackend: [bytes], illegal: null };
    if (this.#state === 'failed') return NOTHING;
    const toBackend: Uint8Array[] = [];
    const { end, fault } = this.#passRecords(bytes, toBackend);
    if (fault !== null) return this.#fail(fault, toBackend);
    if (end < bytes.length) this.#held?.append(bytes.subarray(end));
    return this.#judgeHeld(toBackend);
  }

  /** Takes bytes of the backend, before any of them is written to the client: they go there as they are. */
  fromBackend(bytes: Uint8Array): EchStep {
    if (this.#serverIsOver || this.#state === 'failed') return NOTHING;
    for (const event of this.#server.read(bytes)) {
      if (!this.#serverIsOver) this.#onServer(event);
    }
    return this.#judgeHeld([]);
  }

  /** Lets records through that are no handshake; says where the first one of those begins, or the bytes end. */
  #passRecords(bytes: Uint8Array, toBackend: Uint8Array[]): { end: number; fault: EchErrorCode | null } {
    let at = 0;
    while (at < bytes.length && this.#held === null) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        toBackend.push(part);
        this.#left -= part.length;
        at += part.length;
        continue;
      }
      if (this.#headerBytes === 0 && bytes[at] === CONTENT_TYPE_HANDSHAKE) {
        this.#held = new StreamBuffer();
        break;
      }
      if (this.#headerBytes === 0 && !PASSING_TYPES.has(bytes[at]!))
        return { end: at, fault: 'unexpected-message' };
      const part = bytes.subarray(at, at + RECORD_HEADER_BYTES - this.#headerBytes);
      toBackend.push(part);
      this.#header.set(part, this.#headerBytes);
      this.#headerBytes += part.length;
      at += part.length;
      if (this.#headerBytes < RECORD_HEADER_BYTES) break;
      this.#headerBytes = 0;
      this.#left = recordLength(this.#header, 0);
      if (this.#left > RECORD_PAYLOAD_BYTES_MAX + RECORD_EXPANSION_MAX) {
        return { end: at, fault: 'record-overflow' };
      }
    }
    return { end: at, fault: null };
  }

  /** What becomes of the bytes held, now that something has come. */
  #judgeHeld(toBackend: Uint8Array[]): EchStep {
    const held = this.#held;
    if (held === null) return { toBackend, illegal: null };
    switch (this.#state) {
      case 'await-server':
        // A legal client sends no handshake message before it has an answer.
        if (held.length > HELLO_STREAM_BYTES_MAX) return this.#fail('unexpected-message', toBackend);
        break;
      case 'await-hello':
        return this.#readHello(held, toBackend);
      case 'raw':
        this.#held = null;
        toBackend.push(held.take());
        break;
      case 'failed':
        break;
    }
    return { toBackend, illegal: null };
  }

  #readHello(held: StreamBuffer, toBackend: Uint8Array[]): EchStep {
    const result = this.#reader.read(held.bytes);
    if (result.kind === 'incomplete') return { toBackend, illegal: null };
    if (result.kind === 'invalid') return this.#fail(result.code, toBackend);
    const context = this.#context!;
    const opened = reopenHello(result.hello, context);
    if (opened.kind === 'illegal') return this.#fail(opened.code, toBackend);
    // The route is chosen already: the backend must not see another name than it was chosen for.
    if (opened.hello.serverName !== this.#serverName) return this.#fail('retry-other-name', toBackend);
    this.#retry!.hello = encodeHelloMessage(opened.hello.body);
    toBackend.push(opened.records);
    if (result.consumed < held.length) toBackend.push(held.bytes.subarray(result.consumed));
    this.#goRaw();
    this.#held = null;
    return { toBackend, illegal: null };
  }

  #onServer(event: ServerEvent): void {
    if (event.kind === 'other') {
      this.#backendAlert = event.alert;
      return this.#endServer('unknown');
    }
    const { message } = event;
    const isRetry = isRetryRequest(message);
    if (this.#state === 'await-server' && isRetry) {
      this.#retry = { request: message, hello: null };
      // A backend that knows inner hellos says so here already (RFC 9849 section 7.2.1).
      if (readServerHello(message)?.ech?.length !== RETRY_CONFIRMATION_BYTES)
        this.#confirmation = 'unconfirmed';
      this.#state = 'await-hello';
    } else if (isRetry || this.#state === 'await-hello') {
      // Two requests, or no wait for the answer to the first one: the client will not go along with it.
      this.#endServer('unknown');
    } else {
      this.#endServer(this.#isConfirmed(message) ? 'confirmed' : 'unconfirmed');
    }
  }

  #isConfirmed(serverHello: Uint8Array): boolean {
    const retry = this.#retry;
    const second = retry?.hello ?? null;
    const retried = retry === null || second === null ? null : { request: retry.request, hello: second };
    return isAcceptConfirmed({ hello: this.#hello, retry: retried, serverHello });
  }

  #endServer(confirmation: BackendConfirmation): void {
    this.#serverIsOver = true;
    // What is known already is not forgotten.
    if (confirmation !== 'unknown' || this.#confirmation === 'pending') this.#confirmation = confirmation;
    if (this.#state === 'await-server') this.#goRaw();
  }

  #goRaw(): void {
    this.#state = 'raw';
    this.#context = null;
  }

  #fail(code: EchErrorCode, toBackend: Uint8Array[]): EchStep {
    this.#state = 'failed';
    this.#context = null;
    this.#held = null;
    return { toBackend, illegal: echIllegal(code) };
  }
}
