/** What bounds a relay beside its peers: times that it may be idle, half-closed or alive, and bandwidth. */
import type { EndReason } from '../../events.ts';
import { DURATION_MS_MAX } from '../../limits.ts';
import type { RelaySpans, Ticket } from '../../verdict.ts';
import { RelayClock } from '../relay-clock.ts';

/** The relay, as far as its limits are concerned. */
export interface LimitedRelay {
  readonly isHalfClosed: boolean;
  terminate(endReason: EndReason): void;
}

/** Ends a relay that has lasted long enough. One timer, and nothing to do for each event but to note its time. */
export class RelayTimer {
  readonly #relay: LimitedRelay;
  readonly #clock: RelayClock;
  #activeAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(relay: LimitedRelay, spans: RelaySpans) {
    this.#relay = relay;
    this.#clock = new RelayClock(spans, this.#activeAtMs, Math.random());
  }

  /** Bytes were moved. */
  noteActivity(): void {
    this.#activeAtMs = performance.now();
  }

  /** Called at the start, and when a side has ended. */
  arm(): void {
    clearTimeout(this.#timer);
    const delayMs = this.#clock.delayMs(this.#state());
    if (delayMs <= DURATION_MS_MAX) this.#timer = setTimeout(() => this.#onTimer(), Math.ceil(delayMs));
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #onTimer(): void {
    const reason = this.#clock.overdue(this.#state());
    if (reason === null) this.arm();
    else this.#relay.terminate(reason);
  }

  #state() {
    return {
      nowMs: performance.now(),
      activeAtMs: this.#activeAtMs,
      isHalfClosed: this.#relay.isHalfClosed,
    };
  }
}

/** What a paced direction does with its bytes. */
export interface PacedFlow {
  /** Sends bytes that may be moved now; false if the sink is to be waited for. */
  send(bytes: Uint8Array): boolean;
  /** Everything given so far is sent, and more may be given. */
  ready(): void;
}

/** One direction within its bandwidth: what may not be moved yet is held, and the source is not read meanwhile. */
export class Pacer {
  readonly #pace: Ticket;
  readonly #flow: PacedFlow;
  #held: Uint8Array | null = null;
  #onEnd: (() => void) | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(pace: Ticket, flow: PacedFlow) {
    this.#pace = pace;
    this.#flow = flow;
  }

  /** Takes bytes; false if the source is to be paused until `ready`. */
  push(bytes: Uint8Array): boolean {
    this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
    return this.#sendHeld();
  }

  /** The source has ended: calls back when everything it has sent is with the sink, which may be at once. */
  finish(onEnd: () => void): void {
    if (this.#held === null) onEnd();
    else this.#onEnd = onEnd;
  }

  /** Goes on after the sink has drained; false if bytes are still held. */
  resume(): boolean {
    return this.#timer === undefined && this.#sendHeld();
  }

  /** Everything that is held, which is held no longer. */
  close(): Uint8Array | null {
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = null;
    this.#onEnd = null;
    return held;
  }

  #sendHeld(): boolean {
    let isOpen = true;
    while (this.#held !== null && isOpen) {
      const granted = this.#pace.reserve(this.#held.length);
      if (granted === 0) {
        this.#timer = setTimeout(() => this.#onTimer(), Math.ceil(this.#pace.waitMs()));
        return false;
      }
      const bytes = this.#held.subarray(0, granted);
      this.#held = granted === this.#held.length ? null : this.#held.subarray(granted);
      isOpen = this.#flow.send(bytes);
    }
    if (this.#held === null && this.#onEnd !== null) {
      const onEnd = this.#onEnd;
      this.#onEnd = null;
      onEnd();
    }
    return isOpen;
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#sendHeld()) this.#flow.ready();
  }
}
