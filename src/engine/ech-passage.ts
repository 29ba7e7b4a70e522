/** The bytes of a connection whose hello was opened, on their way through the rest of its handshake. */
import { EchHandshake } from '../ech/ech-handshake.ts';
import type { BackendConfirmation, EchStep } from '../ech/ech-handshake.ts';
import type { EchIllegal } from '../ech/ech-error.ts';
import type { EchAccepted } from '../ech/ech-opener.ts';
import { ECH_ANSWER_TIMEOUT_MS } from '../limits.ts';
import { ALERTS } from '../wire/tls-alert.ts';

const NOTHING = new Uint8Array(0);

/** One for each of them. Nothing it answers lives longer than what it was given. */
export class EchPassage {
  readonly #handshake: EchHandshake;
  #illegal: EchIllegal | null = null;

  constructor(accepted: EchAccepted) {
    this.#handshake = new EchHandshake(accepted);
  }

  /** Bytes need not be led through it any more. */
  get isDone(): boolean {
    return this.#handshake.isDone;
  }

  /** Why the client is to be refused; null as long as it keeps to the protocol. */
  get illegal(): EchIllegal | null {
    return this.#illegal;
  }

  /** It is the client's turn: the backend has asked for a second hello. */
  get awaitsHello(): boolean {
    return this.#handshake.awaitsHello;
  }

  get wasRetried(): boolean {
    return this.#handshake.wasRetried;
  }

  get confirmation(): BackendConfirmation {
    return this.#handshake.confirmation;
  }

  /** What keeps the backend from knowing inner hellos, in a few words; null if it does, or nobody can tell. */
  get fault(): string | null {
    const { confirmation, backendAlert } = this.#handshake;
    if (confirmation === 'unconfirmed') return 'it does not support Encrypted ClientHello';
    return backendAlert === ALERTS.protocol_version ? 'it does not speak TLS 1.3' : null;
  }

  /** What the backend gets for bytes that the client has sent behind its first hello. */
  fromClient(bytes: Uint8Array): Uint8Array {
    return bytes.length === 0 ? NOTHING : this.#apply(this.#handshake.fromClient(bytes));
  }

  /** What the backend gets once it has sent these bytes, which go on to the client as they are. */
  fromBackend(bytes: Uint8Array): Uint8Array {
    return this.#apply(this.#handshake.fromBackend(bytes));
  }

  #apply({ toBackend, illegal }: EchStep): Uint8Array {
    this.#illegal = illegal ?? this.#illegal;
    const [first = NOTHING] = toBackend;
    return toBackend.length > 1 ? Buffer.concat(toBackend) : first;
  }
}

/** How long the side may take whose turn it is; 0 once it is nobody's. */
export function passagePatienceMs(passage: EchPassage, helloTimeoutMs: number): number {
  if (passage.isDone) return 0;
  return passage.awaitsHello ? helloTimeoutMs : ECH_ANSWER_TIMEOUT_MS;
}
