/** Relays bytes both ways between two sockets, with backpressure, half-closes and resets passed on as they are. */
import type { Socket } from 'node:net';
import type { EndReason } from '../../events.ts';
import { joinHeader } from '../proxy-out.ts';
import { deathReason } from '../tcp-errors.ts';
import type { Side } from '../tcp-errors.ts';
import { endWasReset, errorCode, resetAfterFlush, resetSocket } from './sockets.ts';

export interface RelayOutcome {
  /** Called once, when both sockets are closed. */
  ended(endReason: EndReason, detail: string | null): void;
}

export interface FirstBytes {
  /** Of ours, before the client's; null for none. */
  readonly header: Uint8Array | null;
  readonly first: Uint8Array;
  /** Of the backend, whose socket is paused then; null if there are none yet. */
  readonly answer: Uint8Array | null;
}

/** One relay. Owns both sockets from its creation on, and closes both. */
export class Relay {
  bytesFromClient = 0;
  bytesFromBackend = 0;
  readonly #client: Socket;
  readonly #backend: Socket;
  readonly #outcome: RelayOutcome;
  readonly #ended = { client: false, backend: false };
  #closed = 0;
  #endReason: EndReason | null = null;
  #detail: string | null = null;

  constructor(client: Socket, backend: Socket, outcome: RelayOutcome) {
    this.#client = client;
    this.#backend = backend;
    this.#outcome = outcome;
  }

  /** Starts with the bytes of both sides that the other has not got; `clientEnded` if the client has sent its last. */
  start({ header, first, answer }: FirstBytes, clientEnded: boolean): void {
    this.#watch('client', this.#client, this.#backend);
    this.#watch('backend', this.#backend, this.#client);
    const message = joinHeader(header, first);
    if (message.length > 0) this.#forward('client', message);
    this.bytesFromClient -= header?.length ?? 0;
    if (answer === null || this.#forward('backend', answer)) this.#backend.resume();
    if (clientEnded) this.#passEnd('client', this.#backend);
    else if (!this.#backend.writableNeedDrain) this.#client.resume();
  }

  /** Ends both sides at once. */
  terminate(endReason: EndReason): void {
    this.#settle(endReason, null);
    resetSocket(this.#client);
    resetSocket(this.#backend);
  }

  #watch(side: Side, source: Socket, sink: Socket): void {
    source.on('data', (chunk: Buffer) => {
      if (!this.#forward(side, chunk)) source.pause();
    });
    sink.on('drain', () => source.resume());
    source.on('end', () => {
      if (endWasReset(source)) this.#fail(side, sink, 'ECONNRESET');
      else this.#passEnd(side, sink);
    });
    source.on('error', error => this.#fail(side, sink, errorCode(error)));
    source.on('close', () => this.#onClose(sink));
  }

  #forward(side: Side, bytes: Uint8Array): boolean {
    const sink = side === 'client' ? this.#backend : this.#client;
    if (sink.destroyed || sink.writableEnded) return true;
    if (side === 'client') this.bytesFromClient += bytes.length;
    else this.bytesFromBackend += bytes.length;
    return sink.write(bytes);
  }

  #passEnd(side: Side, sink: Socket): void {
    this.#ended[side] = true;
    if (!sink.destroyed) sink.end();
  }

  #fail(side: Side, other: Socket, code: string): void {
    this.#settle(deathReason(side, code, this.#ended), code);
    resetAfterFlush(other);
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.#detail = endReason === 'done' ? null : detail;
  }

  #onClose(other: Socket): void {
    this.#closed++;
    if (this.#closed === 2) this.#outcome.ended(this.#endReason ?? 'done', this.#detail);
    else if (this.#endReason !== null) resetAfterFlush(other);
  }
}
