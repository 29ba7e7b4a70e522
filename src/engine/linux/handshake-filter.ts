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
    this.#helloTimeoutMs = helloTimeoutMs;
    this.#outcome = outcome;
    relay.up.filter = bytes => this.#fromClient(passage, bytes);
    relay.down.filter = bytes => this.#fromBackend(passage, bytes);
    this.#arm(passage);
  }

  onTimer(): void {
    try {
      this.#outcome.passageExpired();
    } catch (error) {
      this.#relay.onFault(error);
    }
  }

  /** Leaves the directions alone, and lets go of the passage with what it knows of hellos. */
  close(): void {
    this.#reactor.timers.cancel(this);
    this.#relay.up.filter = null;
    this.#relay.down.filter = null;
  }

  #fromClient(passage: EchPassage, bytes: Uint8Array): Uint8Array | null {
    const passed = passage.fromClient(bytes);
    if (passage.illegal !== null) return null;
    this.#settle(passage);
    return passed;
  }

  /** What it holds of the client is judged by what the backend says, before the client hears of that. */
  #fromBackend(passage: EchPassage, bytes: Uint8Array): Uint8Array | null {
    const { up } = this.#relay;
    const released = passage.fromBackend(bytes);
    if (passage.illegal !== null) return null;
    if (released.length > 0 && !up.passed) {
      up.append(released);
      this.#relay.enqueue();
    }
    this.#settle(passage);
    return bytes;
  }

  #settle(passage: EchPassage): void {
    if (passage.isDone) {
      this.close();
      this.#outcome.passageOver();
    } else if (passage.awaitsHello !== this.#awaitedHello) {
      this.#arm(passage);
    }
  }

  #arm(passage: EchPassage): void {
    this.#awaitedHello = passage.awaitsHello;
    const patienceMs = passagePatienceMs(passage, this.#helloTimeoutMs);
    this.#reactor.timers.set(this, this.#reactor.now, patienceMs);
  }
}
