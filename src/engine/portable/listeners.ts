/** The listeners of the portable engine: which are open, and how a reload replaces them. */
import type { Socket } from 'node:net';
import type { BoundAddress, Notice } from '../../events.ts';
import { QUEUE_DRAIN_MS } from '../../limits.ts';
import type { ListenerFacts, ListenerRef } from '../../verdict.ts';
import type { ListenTarget, ListeningSocket, TcpSettings } from '../engine.ts';
import type { InheritedSockets } from '../inherited-sockets.ts';
import { openTargets } from '../open-targets.ts';
import type { ProxyGate } from '../proxy-in.ts';
import { closeListener, listeningSockets, openListener } from './listener.ts';
import type { Listener } from './listener.ts';

export interface PortableListener extends ListenerRef {
  readonly address: BoundAddress;
  /** Reads the PROXY headers of trusted peers; null where all are refused. */
  readonly gate: ProxyGate | null;
}

/** How a configuration has a listener. */
export type ListenerTerms = Pick<PortableListener, 'facts' | 'gate'>;

export interface ListenersHost {
  readonly inherited?: InheritedSockets;
  readonly accept: (socket: Socket, listener: PortableListener) => void;
  readonly notice: (notice: Notice) => void;
}

export interface OpenedListeners {
  readonly addresses: readonly BoundAddress[];
  /** By the index of the listener. */
  apply(terms: readonly ListenerTerms[]): void;
  abandon(): void;
}

export class PortableListeners {
  readonly #host: ListenersHost;
  #open: readonly OpenListener[] = [];
  readonly #closing = new Set<Promise<void>>();
  #isHandedOver = false;
  #hasOpened = false;

  constructor(host: ListenersHost) {
    this.#host = host;
  }

  /** Opens what is missing for these targets; rejects with nothing changed if one cannot be opened. */
  async prepare(targets: readonly ListenTarget[], tcp: TcpSettings): Promise<OpenedListeners> {
    // An address that is to be listened on again must be free.
    await Promise.all(this.#closing);
    const { listeners, gone, abandon } = await openTargets(targets, {
      open: this.#open,
      isStart: !this.#hasOpened,
      inherited: this.#host.inherited,
      openOne: target => OpenListener.open(target, tcp, this.#host),
      close: listener => this.#retire(listener),
    });
    return {
      addresses: listeners.map(({ address }) => address),
      abandon,
      apply: terms => {
        this.#open = listeners;
        this.#hasOpened = true;
        for (const listener of gone) this.#retire(listener);
        for (const [index, listener] of listeners.entries()) listener.use(terms[index]!, tcp);
      },
    };
  }

  /** For another process to take over. */
  sockets(): readonly ListeningSocket[] {
    return this.#open.flatMap(({ listener }) => listeningSockets(listener));
  }

  /** Another process has them: their files stay, and so do their queues. */
  handOver(isHandedOver: boolean): void {
    this.#isHandedOver = isHandedOver;
  }

  async close(): Promise<void> {
    for (const listener of this.#open) this.#retire(listener);
    this.#open = [];
    await Promise.all(this.#closing);
  }

  #retire(listener: OpenListener): void {
    const closed = listener.close(this.#isHandedOver).finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}

/** Of a listener whose clients wait. */
const NOBODY_YET: ListenerFacts = { rules: null, scope: null };

class OpenListener implements PortableListener {
  readonly target: ListenTarget;
  facts: ListenerFacts = NOBODY_YET;
  gate: ProxyGate | null = null;
  readonly #host: ListenersHost;
  readonly #openedWith: TcpSettings;
  #tcp: TcpSettings;
  #listener: Listener | null = null;
  #accepted = 0;
  /** Clients that came before it is known how to treat them; null from then on. */
  #early: Socket[] | null = [];

  private constructor(target: ListenTarget, tcp: TcpSettings, host: ListenersHost) {
    this.target = target;
    this.#host = host;
    this.#openedWith = tcp;
    this.#tcp = tcp;
  }

  static async open(target: ListenTarget, tcp: TcpSettings, host: ListenersHost): Promise<OpenListener> {
    const listener = new OpenListener(target, tcp, host);
    const accept = (socket: Socket): void => listener.#accept(socket);
    listener.#listener = await openListener(target, { ...host, tcp, accept });
    const message = (error: Error): string => `accept on ${listener.text}: ${error.message}`;
    for (const server of listener.listener.servers) {
      server.on('error', error => host.notice({ level: 'warn', message: message(error) }));
    }
    return listener;
  }

  get listener(): Listener {
    return this.#listener!;
  }

  get address(): BoundAddress {
    return this.listener.address;
  }

  get text(): string {
    return this.address.text;
  }

  /** Takes clients from now on, on these terms. */
  use({ facts, gate }: ListenerTerms, tcp: TcpSettings): void {
    this.facts = facts;
    this.gate = gate;
    this.#tcp = tcp;
    const early = this.#early ?? [];
    this.#early = null;
    for (const socket of early) this.#host.accept(socket, this);
  }

  /** Takes those who have connected already, and closes. What another process has taken over is left to it. */
  async close(isHandedOver: boolean): Promise<void> {
    if (this.#early === null) {
      if (this.listener.isOurs && !isHandedOver) await this.#drain();
    } else {
      // Nobody knows how to treat them.
      for (const socket of this.#early) socket.destroy();
    }
    closeListener(this.listener, isHandedOver);
    await new Promise(resolve => setImmediate(resolve));
  }

  async #drain(): Promise<void> {
    // The loop accepts one client in a turn, and may be in the middle of one now.
    const until = performance.now() + QUEUE_DRAIN_MS;
    for (let quiet = 0; quiet < 2 && performance.now() < until;) {
      const before = this.#accepted;
      await new Promise(resolve => setImmediate(resolve));
      quiet = this.#accepted === before ? quiet + 1 : 0;
    }
  }

  #accept(socket: Socket): void {
    this.#accepted++;
    // What the listening socket hands down was set when it was opened.
    if (this.#tcp.keepaliveIdleMs !== this.#openedWith.keepaliveIdleMs) {
      socket.setKeepAlive(this.#tcp.keepaliveIdleMs > 0, this.#tcp.keepaliveIdleMs);
    }
    if (this.#early === null) this.#host.accept(socket, this);
    else this.#early.push(socket);
  }
}
