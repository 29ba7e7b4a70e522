/**
 * One accepted connection of the linux engine, from its hello to its relay or its refusal. It reacts to epoll's events,
 * never waits, and reports exactly one end.
 */
import type { EndReason } from '../../events.ts';
import { PENDING_BYTES_MAX } from '../../limits.ts';
import type {
  BackendOutcome,
  Candidate,
  Refusal,
  RejectVerdict,
  RelaySpans,
  RelayVerdict,
  Verdict,
} from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { dialFailure, limitFailure, relayOutcome } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import type { HelloDeadline } from '../hello-deadline.ts';
import type { ProxyGate } from '../proxy-in.ts';
import { lingerMs } from '../linger.ts';
import { joinHeader, wantsAlpn } from '../proxy-out.ts';
import type { AcceptedSocket } from './client-side.ts';
import { Dial } from './dial.ts';
import type { DialOutcome, DialedSocket } from './dial.ts';
import { OpenedSide } from './opened-side.ts';
import { READ_EVENTS, Relay } from './relay.ts';
import type { RelayOutcome } from './relay.ts';
import type { Placed } from './open-connections.ts';
import { isLocal } from './sockets.ts';
import { errnoName } from './syscalls/system-error.ts';
import type { WorkerContext } from './worker-context.ts';

type Stage = 'proxy' | 'hello' | 'deciding' | 'dialing' | 'relaying' | 'lingering' | 'closed';

const NOTHING = new Uint8Array(0);

export class LinuxConnection extends OpenedSide implements DialOutcome, RelayOutcome, Placed {
  place = -1;
  #stage: Stage = 'hello';
  #endReason: EndReason | null = null;
  #question = 0;
  #dial: Dial | null = null;
  /** The backend that was taken and not given back yet; -1 for none. */
  #taken = -1;
  #spans: RelaySpans | null = null;
  relay: Relay | null = null;

  constructor(context: WorkerContext, accepted: AcceptedSocket) {
    super(context, accepted);
    this.acceptedAtMs = this.clock();
  }

  /** Reads what the client has sent already, which is mostly its whole hello; with a gate, after a PROXY header. */
  start(deadline: HelloDeadline, gate: ProxyGate | null): void {
    this.helloDeadline = deadline;
    if (gate === null) return this.beginHello(this.acceptedAtMs);
    this.#stage = 'proxy';
    this.beginProxy(gate);
  }

  protected beginHello(sinceMs: number): void {
    const { host } = this.context;
    const refusal = host.admit(this.client);
    if (refusal !== null) return this.dismiss(refusal);
    this.#stage = 'hello';
    this.#readHello();
    if (this.#stage !== 'hello' || !host.helloPends(this)) return;
    this.helloSinceMs = sinceMs;
    this.awaitHello();
    this.watchClient();
  }

  /** Ends the connection with an answer, but does not linger: what it holds is what there is too little of. */
  dismiss({ endReason, detail, answer }: RejectVerdict): void {
    this.#settle(endReason, detail);
    if (answer.kind !== 'reset') {
      this.sendAnswer(answer);
      this.skip();
    }
    this.#close(answer.kind === 'reset');
  }

  /** Ends the connection at once, whatever its stage. */
  terminate(endReason: EndReason): void {
    if (this.relay !== null) return this.relay.terminate(endReason);
    this.#settle(endReason, null);
    this.#close(true);
  }

  /** Ends the relay to this backend, if that is where it goes. */
  endBackend(backend: number): void {
    if (this.#taken === backend) this.relay?.terminate('backend-gone');
  }

  onFault(error: unknown): void {
    if (this.#stage === 'closed') return;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.context.host.notice('error', `connection ${this.accepted.id} failed: ${stack}`);
    this.terminate('internal-error');
  }

  onEvents(_role: number, events: number): void {
    this.noteEvents(events);
    if (this.#stage === 'hello') this.#readHello();
    else if (this.#stage === 'proxy') this.readProxy();
    else if (this.#stage === 'lingering') this.#drop();
    else {
      this.collect();
      this.#dial?.push();
    }
  }

  onTimer(): void {
    try {
      if (this.#stage === 'hello') this.awaitHello();
      else if (this.#stage === 'proxy') this.refuse({ kind: 'proxy-timeout' });
      else if (this.#stage === 'dialing') this.#expireDial();
      else this.#close(false);
    } catch (error) {
      this.onFault(error);
    }
  }

  /** The first receive mostly brings the whole hello, which then is read where it lies and never copied. */
  #readHello(): void {
    const { scratch } = this.context.sockets;
    while (this.#stage === 'hello') {
      const count = this.receive();
      if (count === 0) return;
      const received = scratch.bytes.subarray(0, count);
      this.parse(this.held === null ? received : this.hold(received));
    }
  }

  // Deciding and dialling.

  protected decide(hello: ClientHello, stream: Uint8Array): void {
    const { host, reactor } = this.context;
    reactor.timers.cancel(this);
    host.helloOver(this);
    this.#stage = 'deciding';
    const decision = host.decide(hello, this.client);
    if (wantsAlpn(decision)) this.offered = hello.alpnProtocols;
    if (decision.kind === 'relay' || decision.kind === 'reject') return this.#follow(decision, stream);
    this.keepWaiting(stream);
    if (this.#stage !== 'deciding') return;
    this.#question = host.ask(decision, verdict => this.#onAnswer(verdict));
  }

  #onAnswer(verdict: Verdict): void {
    this.#question = 0;
    try {
      this.#follow(verdict, this.held?.bytes ?? NOTHING);
    } catch (error) {
      this.onFault(error);
    }
  }

  #follow(verdict: Verdict, stream: Uint8Array): void {
    this.verdictAtMs = this.clock();
    if (verdict.kind === 'reject') this.#reject(verdict);
    else this.#startDial(verdict, stream);
  }

  /**
   * On this machine a connection is there as soon as connect(2) returns, although it says that it is under way: the
   * hello can be sent at once, and nothing has to be kept or waited for.
   */
  #startDial(verdict: RelayVerdict, stream: Uint8Array): void {
    const { host, sockets } = this.context;
    const { candidates } = verdict;
    const candidate = candidates[0]!;
    this.#stage = 'dialing';
    this.route = verdict.route;
    this.#spans = verdict.options;
    if (candidates.length > 1) return this.#race(verdict, stream, -1);
    this.candidate = candidate;
    this.attempts = 1;
    const { endpoint, backend } = candidate;
    if (backend !== -1) {
      if (!host.takeBackend(backend)) return this.dialFailed(limitFailure(candidate));
      this.#taken = backend;
    }
    const fd = sockets.connect(endpoint);
    if (fd === -1) return this.#failDial(candidate, sockets.errno);
    if (sockets.connecting && !isLocal(endpoint)) return this.#race(verdict, stream, fd);
    const header = this.headerFor(candidate);
    const message = joinHeader(header, stream);
    const sent = sockets.sendBytes(fd, message);
    if (sent === -1) {
      if (sockets.wouldBlock) return this.#race(verdict, stream, fd);
      const { errno } = sockets;
      sockets.close(fd);
      return this.#failDial(candidate, errno);
    }
    this.bytesFromClient = sent - (header?.length ?? 0);
    const rest = sent === message.length ? NOTHING : Uint8Array.from(message.subarray(sent));
    this.connected();
    this.#startRelay({ fd, watch: -1, events: READ_EVENTS, canRead: false, hangup: false }, rest);
  }

  /** Waits for the first of the candidates; `fd` is the attempt at the first one if it has been made already. */
  #race(verdict: RelayVerdict, stream: Uint8Array, fd: number): void {
    const spentMs = this.verdictAtMs - this.helloAtMs - (verdict.waitedMs ?? 0);
    this.setTimer(Math.max(0, this.context.settings.dialTimeoutMs - spentMs));
    const dial = new Dial(this.context, verdict, this);
    this.#dial = dial;
    if (fd !== -1) {
      this.#taken = -1;
      dial.adopt(fd);
    }
    this.keepWaiting(stream);
    if (fd === -1 && this.#stage === 'dialing') dial.start();
  }

  get clientBytes(): Uint8Array {
    return this.held?.bytes ?? NOTHING;
  }

  get canReplay(): boolean {
    return !this.clientEnded && this.clientBytes.length < PENDING_BYTES_MAX;
  }

  connected(): void {
    this.context.reactor.timers.cancel(this);
    this.dialedAtMs = this.clock();
  }

  lost(): void {
    this.setTimer(this.context.settings.dialTimeoutMs);
  }

  dialed(socket: DialedSocket, candidate: Candidate): void {
    this.#endDial();
    this.#taken = candidate.backend;
    const { sent, header } = socket;
    this.bytesFromClient = sent - (header?.length ?? 0);
    this.#startRelay(socket, joinHeader(header, this.held?.take().subarray(sent) ?? NOTHING));
  }

  dialFailed(failure: DialFailure): void {
    this.#endDial();
    this.refuse({ kind: 'dial-failed', route: this.route ?? '', ...failure });
  }

  #expireDial(): void {
    this.dialFailed(this.#dial!.expire());
  }

  /** Keeps what the record tells of a dial. */
  #endDial(): void {
    if (this.#dial === null) return;
    this.candidate = this.#dial.last;
    this.attempts = this.#dial.attempts;
    this.#dial = null;
  }

  #failDial(candidate: Candidate, errno: number): void {
    this.#leaveBackend('failed');
    this.dialFailed(dialFailure(errnoName(errno), candidate));
  }

  /** Gives the backend back that was taken. */
  #leaveBackend(outcome: BackendOutcome): void {
    if (this.#taken === -1) return;
    this.context.host.leaveBackend(this.#taken, outcome);
    this.#taken = -1;
  }

  #startRelay(backend: Omit<DialedSocket, 'sent' | 'header'>, rest: Uint8Array): void {
    this.#stage = 'relaying';
    this.held = null;
    const client = this.clientSocket;
    const relay = new Relay(this.context, { client, backend }, this);
    this.handOver();
    this.relay = relay;
    relay.up.bytes = this.bytesFromClient;
    relay.up.hangup = this.hangup;
    relay.up.urgent = this.urgent;
    relay.up.ended = this.clientEnded;
    // A watch that is new tells by itself whether there is something to read.
    relay.up.canRead = client.watch !== -1 && this.canRead;
    relay.down.canRead = backend.canRead;
    relay.down.hangup = backend.hangup;
    if (this.passage !== null) relay.lead(this.passage);
    relay.start(rest, { spans: this.#spans!, ticket: this.client.ticket });
  }

  passageRefused(): void {
    const illegal = this.passage!.illegal!;
    this.#takeRelayBack();
    this.refuse({ kind: 'illegal-ech', illegal });
  }

  passageExpired(): void {
    if (this.passage?.awaitsHello !== true) return this.terminate('backend-timeout');
    this.#takeRelayBack();
    this.refuse({ kind: 'hello-timeout', isSlow: false });
  }

  /** Ends a relay with its backend, so that the client can be told why. */
  #takeRelayBack(): void {
    const relay = this.relay!;
    this.relay = null;
    this.takeBack(relay.release());
    this.clientEnded = relay.up.ended;
    this.bytesFromClient = Math.max(0, relay.up.bytes);
    this.bytesFromBackend = relay.down.bytes;
    this.#leaveBackend(relay.down.bytes > 0 ? 'ended' : 'unused');
  }

  relayEnded(endReason: EndReason, detail: string | null): void {
    this.passageOver();
    this.bytesFromClient = Math.max(0, this.relay?.up.bytes ?? 0);
    this.bytesFromBackend = this.relay?.down.bytes ?? 0;
    this.#settle(endReason, detail);
    this.#stage = 'closed';
    this.#leaveBackend(relayOutcome(this.bytesFromBackend, endReason));
    this.context.host.ended(this, endReason);
  }

  // Refusing.

  protected refuse(refusal: Refusal): void {
    this.#reject(this.context.host.refuse(refusal));
  }

  /** Shows the client its answer. What it sends meanwhile is read and dropped: closing on unread bytes would reset. */
  #reject(verdict: RejectVerdict): void {
    this.#settle(verdict.endReason, verdict.detail);
    this.route = verdict.route ?? this.route;
    this.#stopDialing();
    if (verdict.answer.kind === 'reset') return this.#close(true);
    this.#stage = 'lingering';
    this.held = null;
    const { host } = this.context;
    if (verdict.answer.kind !== 'flight') host.helloOver(this);
    // Its client has still to say something, and counts as those that have said nothing.
    else if (this.pending === null && !host.helloPends(this)) return;
    this.sendAnswer(verdict.answer);
    if (this.clientEnded) return this.#close(false);
    this.setTimer(lingerMs(verdict.answer));
    this.watchClient();
    this.#drop();
  }

  #drop(): void {
    if (this.dropInput()) this.#close(false);
  }

  /** The client is gone before its relay began. */
  protected leave(code: string | null): void {
    this.#settle('client-gone', code);
    this.#close(false);
  }

  protected onClientEnd(): void {
    if (this.#stage === 'hello') this.leave(null);
  }

  // Ending.

  /** Gives up whatever is under way to find a backend. */
  #stopDialing(): void {
    this.#dial?.cancel();
    this.#endDial();
    this.#leaveBackend('unused');
    if (this.#question !== 0) this.context.host.forget(this.#question);
    this.#question = 0;
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.detail = detail;
  }

  #close(reset: boolean): void {
    if (this.#stage === 'closed') return;
    this.#stage = 'closed';
    const { host, reactor, sockets } = this.context;
    reactor.timers.cancel(this);
    this.#stopDialing();
    this.passageOver();
    this.forgetClient();
    if (reset) sockets.reset(this.accepted.fd);
    else sockets.close(this.accepted.fd);
    host.ended(this, this.#endReason ?? 'client-gone');
  }
}
