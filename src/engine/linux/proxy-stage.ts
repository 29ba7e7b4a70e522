/** PROXY headers on the linux engine: the one that comes before a hello, and the one that is sent before it. */
import type { Candidate, Client } from '../../verdict.ts';
import { helloPatienceMs } from '../hello-deadline.ts';
import type { HelloDeadline } from '../hello-deadline.ts';
import { peerOfEnd } from '../proxy-in.ts';
import type { ProxiedClient, ProxyGate, ProxyStep } from '../proxy-in.ts';
import { proxyHeaderOf } from '../proxy-out.ts';
import { ClientSide } from './client-side.ts';
import type { AcceptedSocket } from './client-side.ts';
import { nowMs } from './clock.ts';
import { formatPeer } from './peer-address.ts';
import { errnoName } from './syscalls/system-error.ts';
import type { WorkerContext } from './worker-context.ts';

/** `gone`: the peer has left before its header was complete; `errno` is 0 for an end of file. */
type LookedStep = ProxyStep | { readonly kind: 'gone'; readonly errno: number };

/** The client's side of a connection, with the stage before its hello. */
export abstract class ProxiedSide extends ClientSide {
  /** Who counts as the client, and what a PROXY header has told of it. */
  client: Client;
  proxied: ProxiedClient | null = null;
  /** ALPN protocols as the client has sent them; kept only for PROXY headers. */
  protected offered: readonly string[] = [];
  protected helloDeadline: HelloDeadline | null = null;
  /** Reading of the monotonic clock that the deadline counts from. */
  protected helloSinceMs = 0;
  #gate: ProxyGate | null = null;

  constructor(context: WorkerContext, accepted: AcceptedSocket) {
    super(context, accepted);
    this.client = accepted;
  }

  /** Called when the hello comes next: reads what there is of it already. */
  protected abstract beginHello(sinceMs: number): void;

  /** Expects a header; the hello then has a time of its own. */
  protected beginProxy(gate: ProxyGate): void {
    this.#gate = gate;
    this.readProxy();
    if (this.#gate === null) return;
    this.setTimer(gate.timeoutMs);
    this.watchClient();
  }

  /** Called when more of the header may have come. */
  protected readProxy(): void {
    const gate = this.#gate;
    if (gate === null) return;
    const step = this.#takeHeader(gate);
    if (step.kind === 'incomplete') return;
    this.#gate = null;
    if (step.kind === 'gone') return this.leave(step.errno === 0 ? null : errnoName(step.errno));
    if (step.kind === 'invalid') return this.refuse({ kind: 'proxy-malformed', code: step.code });
    this.proxied = step.client;
    if (step.client !== null) {
      const { listener } = this.accepted;
      this.client = { peer: peerOfEnd(step.client.source), listener, ticket: null, route: null, ech: null };
    }
    this.context.reactor.timers.cancel(this);
    this.beginHello(nowMs());
  }

  /** Waits as long as the client may take, which is longer the more of its hello has come. */
  protected awaitHello(): void {
    const deadline = this.helloDeadline!;
    const elapsedMs = nowMs() - this.helloSinceMs;
    const delayMs = helloPatienceMs(deadline, elapsedMs, this.held?.length ?? 0);
    if (delayMs > 0) this.setTimer(delayMs);
    else this.refuse({ kind: 'hello-timeout', isSlow: elapsedMs < deadline.timeoutMs });
  }

  /** The PROXY header for one candidate; null for none. */
  headerFor({ proxy }: Candidate): Uint8Array | null {
    if (proxy === null) return null;
    const { accepted, context, proxied, serverName } = this;
    return proxyHeaderOf(proxy, {
      id: accepted.id,
      instance: context.settings.instance,
      peer: formatPeer(accepted.peer),
      proxied,
      local: () => context.sockets.localAddress(accepted.fd),
      serverName,
      alpnProtocols: this.offered,
    });
  }

  /**
   * Looks at what the peer has sent, and takes the header, nothing behind it, off the socket: the hello is then received
   * as if nothing had come before.
   */
  #takeHeader(gate: ProxyGate): LookedStep {
    const { sockets } = this.context;
    const { fd } = this.accepted;
    const count = sockets.look(fd, sockets.scratch);
    if (count === 0) return { kind: 'gone', errno: 0 };
    if (count === -1)
      return sockets.wouldBlock ? { kind: 'incomplete' } : { kind: 'gone', errno: sockets.errno };
    const step = gate.read(sockets.scratch.bytes.subarray(0, count));
    // What is there may be all there will ever be.
    if (step.kind === 'incomplete') return this.hangup ? { kind: 'gone', errno: 0 } : step;
    if (step.kind === 'invalid' || step.consumed === 0) return step;
    return sockets.skip(fd, step.consumed) === step.consumed ? step : { kind: 'gone', errno: sockets.errno };
  }
}
