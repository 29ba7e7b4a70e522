/** The listening sockets that are open, each under a number, and how a reload replaces them. */
import type { BoundAddress } from '../../events.ts';
import type { ChangingSettings, ListenTarget, ListeningSocket } from '../engine.ts';
import type { InheritedSockets } from '../inherited-sockets.ts';
import { openTargets } from '../open-targets.ts';
import {
  adjustListenSockets,
  closeListenSockets,
  defersAccept,
  openListenSockets,
  socketsOf,
} from './listen-sockets.ts';
import type { ListenSettings, ListenSockets } from './listen-sockets.ts';
import type { WorkerListener } from './messages.ts';
import type { Sockets } from './sockets.ts';

interface OpenSockets extends ListenSockets {
  readonly number: number;
}

export interface OpenedSockets {
  readonly addresses: readonly BoundAddress[];
  /** Returns how to close what is not wanted any more, once no worker accepts on it. */
  apply(): () => void;
  abandon(): void;
}

export interface ListenerSetOptions {
  readonly workers: number;
  readonly inherited?: InheritedSockets;
}

export class ListenerSet {
  readonly #sockets: Sockets;
  readonly #options: ListenerSetOptions;
  #isHandedOver = false;
  #hasOpened = false;
  #open: readonly OpenSockets[] = [];
  /** The texts of all that ever were, by number: records may tell of connections that have outlived their listener. */
  readonly #texts: string[] = [];

  constructor(sockets: Sockets, options: ListenerSetOptions) {
    this.#sockets = sockets;
    this.#options = options;
  }

  get texts(): readonly string[] {
    return this.#texts;
  }

  /** What a worker accepts on. */
  of(worker: number): WorkerListener[] {
    const { workers } = this.#options;
    return this.#open.map(({ fds, number, address, isOurs }) => ({
      fds: socketsOf(fds, { worker, workers }),
      number,
      text: address.text,
      owned: isOurs,
    }));
  }

  /** For another process to take over. */
  sockets(): ListeningSocket[] {
    return this.#open.flatMap(({ target, address, fds }) => fds.map(fd => ({ target, address, fd })));
  }

  /** Another process has them: their files stay, and so do their queues. */
  handOver(isHandedOver: boolean): void {
    this.#isHandedOver = isHandedOver;
  }

  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  /** Opens what is missing; rejects with nothing changed if something cannot be opened. */
  async prepare(targets: readonly ListenTarget[], settings: ChangingSettings): Promise<OpenedSockets> {
    const before = new Set(this.#open);
    const { listeners, gone, abandon } = await openTargets(targets, {
      open: this.#open,
      isStart: !this.#hasOpened,
      inherited: this.#options.inherited,
      openOne: (target, index, others) =>
        this.#openNew(target, { listen: this.#settingsOf(index, settings), others }),
      close: sockets => this.#close(sockets),
    });
    return {
      addresses: listeners.map(({ address }) => address),
      abandon,
      apply: () => {
        this.#open = listeners;
        this.#hasOpened = true;
        for (const [index, sockets] of listeners.entries()) {
          if (before.has(sockets))
            adjustListenSockets(this.#sockets, sockets, this.#settingsOf(index, settings));
        }
        return () => gone.forEach(sockets => this.#close(sockets));
      },
    };
  }

  close(): void {
    for (const sockets of this.#open) this.#close(sockets);
    this.#open = [];
  }

  #close(sockets: OpenSockets): void {
    closeListenSockets(this.#sockets, this.#isHandedOver ? { ...sockets, path: null } : sockets);
  }

  async #openNew(
    target: ListenTarget,
    { listen, others }: { listen: ListenSettings; others: readonly OpenSockets[] },
  ): Promise<OpenSockets> {
    const opened = await openListenSockets(this.#sockets, target, listen);
    const taken = new Set(others.map(({ number }) => number));
    return { ...opened, number: this.#numberOf(opened.address.text, taken) };
  }

  /** An address that comes back has a number again that it had; two inherited sockets may be bound to the same one. */
  #numberOf(text: string, taken: ReadonlySet<number>): number {
    const known = this.#texts.findIndex((other, number) => other === text && !taken.has(number));
    return known === -1 ? this.#texts.push(text) - 1 : known;
  }

  #settingsOf(index: number, settings: ChangingSettings): ListenSettings {
    // A PROXY header has a deadline of its own, which the kernel knows nothing of.
    const expectsHeader = (settings.plain.listeners[index]?.proxyIn ?? null) !== null;
    const defers = !expectsHeader && defersAccept(settings);
    return { ...this.#options, defers, tcp: settings.tcp };
  }
}
