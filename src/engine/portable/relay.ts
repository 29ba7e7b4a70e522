/** Relays bytes both ways between two sockets, with backpressure, half-closes and resets passed on as they are. */
import type { Socket } from 'node:net';
import type { EndReason } from '../../events.ts';
import type { Refusal, RelaySpans, Ticket } from '../../verdict.ts';
import { passagePatienceMs } from '../ech-passage.ts';
import type { EchPassage } from '../ech-passage.ts';
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
  /** The handshake that bytes are led through is over. */
  passageOver(): void;
  /** The client has broken it, or takes too long: the relay is over, and the client's socket its owner's again. */
  passageRefused(refusal: Refusal): void;
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
  #passage: EchPassage | null = null;
  #helloTimeoutMs = 0;
  #passageTimer: NodeJS.Timeout | undefined;
  #awaitedHello = false;
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

  /** Leads bytes through a handshake first. Called before `start`. */
  lead(passage: EchPassage, helloTimeoutMs: number): void {
    this.#passage = passage;
    this.#helloTimeoutMs = helloTimeoutMs;
    this.#settlePassage(passage);
  }

  /** Starts with the bytes of both sides that the other has not got; `clientEnded` if the client has sent its last. */
  start({ header, first, answer }: FirstBytes, clientEnded: boolean): void {
    this.#watch('client', this.#client, this.#backend);
    this.#watch('backend', this.#backend, this.#client);
    const message = joinHeader(header, first);
    if (message.length > 0) this.#forward('client', message);
    this.bytesFromClient -= header?.length ?? 0;
    if (answer !== null && this.#lead('backend', answer) === null) return;
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
      const bytes = this.#passage === null ? chunk : this.#lead(side, chunk);
      if (bytes === null || bytes.length === 0) return;
      const pacer = this.#pacers?.[side];
      const goesOn = pacer === undefined ? this.#forward(side, bytes) : pacer.push(bytes);
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

  /** What goes on of bytes while there is a handshake to lead them through; null if the relay is over. */
  #lead(side: Side, bytes: Uint8Array): Uint8Array | null {
    const passage = this.#passage;
    if (passage === null) return bytes;
    const passed = side === 'client' ? passage.fromClient(bytes) : passage.fromBackend(bytes);
    if (passage.illegal !== null) {
      this.#release({ kind: 'illegal-ech', illegal: passage.illegal });
      return null;
    }
    this.#settlePassage(passage);
    if (side === 'client') return passed;
    if (passed.length > 0 && !this.#ended.client) this.#forward('client', passed);
    return bytes;
  }

  #settlePassage(passage: EchPassage): void {
    if (passage.isDone) {
      this.#passage = null;
      clearTimeout(this.#passageTimer);
      this.#outcome.passageOver();
    } else if (this.#passageTimer === undefined || passage.awaitsHello !== this.#awaitedHello) {
      this.#awaitedHello = passage.awaitsHello;
      clearTimeout(this.#passageTimer);
      const patienceMs = passagePatienceMs(passage, this.#helloTimeoutMs);
      this.#passageTimer = setTimeout(() => this.#expirePassage(passage), patienceMs);
    }
  }

  #expirePassage(passage: EchPassage): void {
    if (passage.awaitsHello) this.#release({ kind: 'hello-timeout', isSlow: false });
    else this.terminate('backend-timeout');
  }

  /** Ends the relay and its backend; the client's socket stays open for an answer. */
  #release(refusal: Refusal): void {
    this.#stopTimers();
    this.#passage = null;
    this.#client.removeAllListeners();
    this.#backend.removeAllListeners();
    // A socket that is destroyed may still report an error.
    this.#backend.on('error', () => undefined);
    this.#backend.destroy();
    this.#outcome.passageRefused(refusal);
  }

  #stopTimers(): void {
    this.#timer?.close();
    clearTimeout(this.#passageTimer);
    this.#pacers?.client.close();
    this.#pacers?.backend.close();
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
    this.#stopTimers();
    if (this.#closed === 2) this.#outcome.ended(this.#endReason ?? 'done', this.#detail);
    else resetAfterFlush(other);
  }
}
