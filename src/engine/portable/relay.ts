/** Relays bytes both ways between two sockets, with backpressure, half-closes and resets passed on as they are. */
import type { Socket } from 'node:net';
import type { EndReason } from '../../events.ts';
import type { RelaySpans, Ticket } from '../../verdict.ts';
import { joinHeader } from '../proxy-out.ts';
import { deathReason } from '../tcp-errors.ts';
import type { Side } from '../tcp-errors.ts';
import { isTimed } from '../relay-clock.ts';
import { Pacer, RelayTimer } from './relay-limits.ts';
import type { LimitedRelay } from './relay-limits.ts';
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

/** What a verdict and its ticket say of a relay. */
export interface RelayBounds {
  readonly spans: RelaySpans;
  readonly ticket: Ticket | null;
}

/** One relay. Owns both sockets from its creation on, and closes both. */
export class Relay implements LimitedRelay {
  bytesFromClient = 0;
  bytesFromBackend = 0;
  readonly #client: Socket;
  readonly #backend: Socket;
  readonly #outcome: RelayOutcome;
  readonly #ended = { client: false, backend: false };
  readonly #timer: RelayTimer | null;
  readonly #pacers: { readonly client: Pacer; readonly backend: Pacer } | null;
  #closed = 0;
  #endReason: EndReason | null = null;
  #detail: string | null = null;

  constructor(
    { client, backend }: { client: Socket; backend: Socket },
    { spans, ticket }: RelayBounds,
    outcome: RelayOutcome,
  ) {
    this.#client = client;
    this.#backend = backend;
    this.#outcome = outcome;
    this.#timer = isTimed(spans) ? new RelayTimer(this, spans) : null;
    const pacer = (side: Side, pace: Ticket): Pacer =>
      new Pacer(pace, {
        send: bytes => this.#forward(side, bytes),
        ready: () => (side === 'client' ? client : backend).resume(),
      });
    this.#pacers =
      ticket?.isPaced === true
        ? { client: pacer('client', ticket), backend: pacer('backend', ticket) }
        : null;
  }

  get isHalfClosed(): boolean {
    return this.#ended.client || this.#ended.backend;
  }

  /** Starts with the bytes of both sides that the other has not got; `clientEnded` if the client has sent its last. */
  start({ header, first, answer }: FirstBytes, clientEnded: boolean): void {
    this.#watch('client', this.#client, this.#backend);
    this.#watch('backend', this.#backend, this.#client);
    const message = joinHeader(header, first);
    if (message.length > 0) this.#forward('client', message);
    this.bytesFromClient -= header?.length ?? 0;
    if (answer === null || this.#forward('backend', answer)) this.#backend.resume();
    this.#timer?.arm();
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
      const pacer = this.#pacers?.[side];
      const goesOn = pacer === undefined ? this.#forward(side, chunk) : pacer.push(chunk);
      if (!goesOn) source.pause();
    });
    sink.on('drain', () => {
      this.#timer?.noteActivity();
      if (this.#pacers?.[side].resume() !== false) source.resume();
    });
    source.on('end', () => {
      if (endWasReset(source)) this.#fail(side, sink, 'ECONNRESET');
      else if (this.#pacers === null) this.#passEnd(side, sink);
      else this.#pacers[side].finish(() => this.#passEnd(side, sink));
    });
    source.on('error', error => this.#fail(side, sink, errorCode(error)));
    source.on('close', () => this.#onClose(sink));
  }

  #forward(side: Side, bytes: Uint8Array): boolean {
    const sink = side === 'client' ? this.#backend : this.#client;
    if (sink.destroyed || sink.writableEnded) return true;
    if (side === 'client') this.bytesFromClient += bytes.length;
    else this.bytesFromBackend += bytes.length;
    this.#timer?.noteActivity();
    return sink.write(bytes);
  }

  #passEnd(side: Side, sink: Socket): void {
    this.#ended[side] = true;
    this.#timer?.noteActivity();
    this.#timer?.arm();
    if (!sink.destroyed) sink.end();
  }

  #fail(side: Side, other: Socket, code: string): void {
    this.#settle(deathReason(side, code, this.#ended), code);
    const held = this.#pacers?.[side].close() ?? null;
    if (held !== null) this.#forward(side, held);
    resetAfterFlush(other);
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.#detail = endReason === 'done' ? null : detail;
  }

  #onClose(other: Socket): void {
    this.#closed++;
    if (this.#closed < 2 && this.#endReason === null) return;
    this.#timer?.close();
    this.#pacers?.client.close();
    this.#pacers?.backend.close();
    if (this.#closed === 2) this.#outcome.ended(this.#endReason ?? 'done', this.#detail);
    else resetAfterFlush(other);
  }
}
