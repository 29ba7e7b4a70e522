/**
 * What a proxy announces on `node:diagnostics_channel`, for whoever watches a process without having the proxy at hand.
 * Nothing is made for a channel that nobody has subscribed to.
 */
import { channel } from 'node:diagnostics_channel';
import type { BackendChange, ConnectionEnded, ConnectionOpened, Notice } from '../events.ts';
import { DIAGNOSTICS_POLL_MS } from '../limits.ts';

/** The messages of the channels, by their names. */
export interface DiagnosticsMessages<Proxy = object> {
  'sniway:connection:opened': { readonly proxy: Proxy; readonly connection: ConnectionOpened };
  'sniway:connection:ended': { readonly proxy: Proxy; readonly connection: ConnectionEnded };
  'sniway:backend': { readonly proxy: Proxy; readonly change: BackendChange };
  'sniway:notice': { readonly proxy: Proxy; readonly notice: Notice };
}

/** By the event whose argument they carry, and the key they carry it under. */
const CHANNELS = {
  opened: { key: 'connection', channel: channel('sniway:connection:opened') },
  ended: { key: 'connection', channel: channel('sniway:connection:ended') },
  backend: { key: 'change', channel: channel('sniway:backend') },
  notice: { key: 'notice', channel: channel('sniway:notice') },
} as const;

export type DiagnosticsEvent = keyof typeof CHANNELS;

/** The events that engines spare themselves while nobody wants them. */
const SPARED = ['opened', 'ended'] as const;

type SparedEvent = (typeof SPARED)[number];

export class Diagnostics {
  readonly #proxy: object;
  readonly #changed: (event: SparedEvent) => void;
  readonly #known: Record<SparedEvent, boolean> = { opened: false, ended: false };
  #timer: NodeJS.Timeout | undefined;

  /** @param changed Called when somebody has begun or ceased to be interested in these events. */
  constructor(proxy: object, changed: (event: SparedEvent) => void) {
    this.#proxy = proxy;
    this.#changed = changed;
  }

  /** Whether somebody subscribed to the channel of these events, when it was last looked at. */
  wants(event: SparedEvent): boolean {
    return this.#known[event];
  }

  /** From now on it is looked at now and then: a channel does not tell of its subscribers. */
  open(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), DIAGNOSTICS_POLL_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  publish(event: DiagnosticsEvent, told: unknown): void {
    const { key, channel: target } = CHANNELS[event];
    if (target.hasSubscribers) target.publish({ proxy: this.#proxy, [key]: told });
  }

  #look(): void {
    for (const event of SPARED) {
      const wanted = CHANNELS[event].channel.hasSubscribers;
      if (wanted === this.#known[event]) continue;
      this.#known[event] = wanted;
      this.#changed(event);
    }
  }
}
