/** The listeners that one worker accepts on, and how a reload replaces them. */
import type { PeerAddress } from '../../wire/peer-address.ts';
import type { ProxyGate } from '../proxy-in.ts';
import { Acceptor } from './acceptor.ts';
import type { WorkerListener } from './messages.ts';
import type { NumberedListener } from './records.ts';
import type { WorkerContext } from './worker-context.ts';

/** How a configuration has a listener. */
export type ListenerTerms = Pick<ServedListener, 'facts' | 'gate'>;

export interface ServedListener extends NumberedListener {
  /** Reads the PROXY headers of trusted peers; null where all are refused. */
  readonly gate: ProxyGate | null;
}

export interface AcceptingHost {
  /** Takes the accepted socket over. */
  readonly accept: (fd: number, peer: PeerAddress, listener: ServedListener) => void;
  /** Takes down a client that was turned away because of this system error. */
  readonly refused: (peer: PeerAddress, errno: number, listener: ServedListener) => void;
}

interface Open {
  readonly listener: { -readonly [Key in keyof ServedListener]: ServedListener[Key] };
  readonly given: WorkerListener;
  readonly acceptor: Acceptor;
}

export class ServedListeners {
  readonly #context: WorkerContext;
  readonly #host: AcceptingHost;
  #open: readonly Open[] = [];

  constructor(context: WorkerContext, host: AcceptingHost) {
    this.#context = context;
    this.#host = host;
  }

  /** Accepts on these, and on no others any more once their queues are empty. `terms` by index. */
  serve(listeners: readonly WorkerListener[], terms: readonly ListenerTerms[]): void {
    const gone = new Map(this.#open.map(open => [open.listener.number, open]));
    const next: Open[] = [];
    for (const [index, given] of listeners.entries()) {
      const { facts, gate } = terms[index]!;
      const kept = gone.get(given.number);
      gone.delete(given.number);
      if (kept === undefined) next.push(this.#start(given, { facts, gate }));
      else {
        Object.assign(kept.listener, { facts, gate });
        next.push(kept);
      }
    }
    this.#open = next;
    for (const open of gone.values()) this.#retire(open, false);
  }

  /** Accepts no more. What another process has taken over stays open, with its queue. */
  close(isHandedOver: boolean): void {
    for (const open of this.#open) this.#retire(open, isHandedOver);
    this.#open = [];
  }

  #start(given: WorkerListener, { facts, gate }: ListenerTerms): Open {
    const { fds, number, text } = given;
    const listener = { facts, number, text, gate };
    const acceptor = new Acceptor(this.#context, {
      fds,
      text,
      accept: (socket, peer) => this.#host.accept(socket, peer, listener),
      refused: (peer, errno) => this.#host.refused(peer, errno, listener),
    });
    return { listener, given, acceptor };
  }

  /**
   * Whoever is in the queue has connected already, and would be reset. The kernel takes nobody in behind them, although
   * the socket is closed only when all workers have left it (a listening socket that is shut down stops listening).
   */
  #retire({ acceptor, given }: Open, isHandedOver: boolean): void {
    if (given.owned && !isHandedOver) {
      acceptor.drain();
      for (const fd of given.fds) this.#context.sockets.stopListening(fd);
    }
    acceptor.close();
  }
}
