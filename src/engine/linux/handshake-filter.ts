/** Leads both directions of a relay through the handshake of an opened hello, until that is over. */
import type { EchPassage } from '../ech-passage.ts';
import { passagePatienceMs } from '../ech-passage.ts';
import type { Direction } from './direction.ts';
import type { Reactor } from './reactor.ts';
import { WheelTimer } from './timer-wheel.ts';

/** The relay, as far as the handshake is concerned. */
export interface FilteredRelay {
  readonly up: Direction;
  readonly down: Direction;
  /** Goes on with both directions in another turn. */
  enqueue(): void;
  onFault(error: unknown): void;
}

export interface HandshakeOutcome {
  /** Bytes are not led through the passage any more. */
  passageOver(): void;
  /** Whoever's turn it is has taken too long. */
  passageExpired(): void;
}

export class HandshakeFilter extends WheelTimer {
  readonly #reactor: Reactor;
  readonly #relay: FilteredRelay;
  readonly #passage: EchPassage;
  readonly #helloTimeoutMs: number;
  readonly #outcome: HandshakeOutcome;
  #awaitedHello = false;

  constructor(
    reactor: Reactor,
    relay: FilteredRelay,
    {
      passage,
      helloTimeoutMs,
      outcome,
    }: { passage: EchPassage; helloTimeoutMs: number; outcome: HandshakeOutcome },
  ) {
    super();
    this.#reactor = reactor;
    this.#relay = relay;
    this.#passage = passage;
    this.#helloTimeoutMs = helloTimeoutMs;
    this.#outcome = outcome;
    relay.up.filter = bytes => this.#fromClient(bytes);
    relay.down.filter = bytes => this.#fromBackend(bytes);
    this.#arm();
  }

  onTimer(): void {
    try {
      this.#outcome.passageExpired();
    } catch (error) {
      this.#relay.onFault(error);
    }
  }

  /** Leaves the directions alone. */
  close(): void {
    this.#reactor.timers.cancel(this);
    this.#relay.up.filter = null;
    this.#relay.down.filter = null;
  }

  #fromClient(bytes: Uint8Array): Uint8Array | null {
    const passed = this.#passage.fromClient(bytes);
    if (this.#passage.illegal !== null) return null;
    this.#settle();
    return passed;
  }

  /** What it holds of the client is judged by what the backend says, before the client hears of that. */
  #fromBackend(bytes: Uint8Array): Uint8Array | null {
    const { up } = this.#relay;
    const released = this.#passage.fromBackend(bytes);
    if (this.#passage.illegal !== null) return null;
    if (released.length > 0 && !up.passed) {
      up.append(released);
      this.#relay.enqueue();
    }
    this.#settle();
    return bytes;
  }

  #settle(): void {
    if (this.#passage.isDone) {
      this.close();
      this.#outcome.passageOver();
    } else if (this.#passage.awaitsHello !== this.#awaitedHello) {
      this.#arm();
    }
  }

  #arm(): void {
    this.#awaitedHello = this.#passage.awaitsHello;
    const patienceMs = passagePatienceMs(this.#passage, this.#helloTimeoutMs);
    this.#reactor.timers.set(this, this.#reactor.now, patienceMs);
  }
}
