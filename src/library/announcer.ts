/** Tells listeners and channels what happens, and engines what of it anybody wants to hear. */
import type { EventEmitter } from 'node:events';
import type { RecordInterest } from '../engine/engine.ts';
import type { BackendChange, ConnectionEnded, ConnectionOpened, Notice } from '../events.ts';
import { Diagnostics } from './diagnostics.ts';

/** What is told with each event. */
interface Announced {
  readonly opened: ConnectionOpened;
  readonly ended: ConnectionEnded;
  readonly backend: BackendChange;
  readonly notice: Notice;
}

export interface AnnouncerOptions {
  /** Whether records have fingerprints. */
  readonly fingerprints: boolean;
  /** Called when the interest has changed. */
  readonly changed: () => void;
}

export class Announcer {
  readonly #events: EventEmitter;
  readonly #diagnostics: Diagnostics;
  readonly #changed: () => void;
  #interest: RecordInterest;

  /** Announces to the listeners of these events, and with them as the proxy on channels. */
  constructor(events: EventEmitter, { fingerprints, changed }: AnnouncerOptions) {
    this.#events = events;
    this.#changed = changed;
    this.#interest = { opened: false, ended: false, fingerprints };
    this.#diagnostics = new Diagnostics(events, event => this.#note(event, events.listenerCount(event) > 0));
    events.on('newListener', (event: string | symbol) => this.#note(event, true));
    events.on('removeListener', (event: string | symbol) =>
      this.#note(event, events.listenerCount(event) > 0),
    );
  }

  /** Engines spare themselves the records that nobody listens for. */
  get interest(): RecordInterest {
    return this.#interest;
  }

  wantFingerprints(fingerprints: boolean): void {
    this.#interest = { ...this.#interest, fingerprints };
    this.#changed();
  }

  /** From now on subscribers of channels are looked for. */
  open(): void {
    this.#diagnostics.open();
  }

  close(): void {
    this.#diagnostics.close();
  }

  announce<Event extends keyof Announced>(event: Event, told: Announced[Event]): void {
    this.#diagnostics.publish(event, told);
    try {
      this.#events.emit(event, told);
    } catch (error) {
      this.blame(event, error);
    }
  }

  /** A faulty listener must not end a process that carries other people's connections. */
  blame(event: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const message = `a listener of '${event}' failed: ${text}`;
    if (event === 'notice') process.emitWarning(message, 'SniwayWarning');
    else this.announce('notice', { level: 'error', message });
  }

  #note(event: string | symbol, wanted: boolean): void {
    if (event !== 'opened' && event !== 'ended') return;
    this.#interest = { ...this.#interest, [event]: wanted || this.#diagnostics.wants(event) };
    this.#changed();
  }
}
