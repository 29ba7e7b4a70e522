/**
 * One accepted connection of the linux engine, from its hello to its relay or its refusal. It reacts to epoll's events,
 * never waits, and reports exactly one end.
 */
import { nowMs } from './clock.ts';
import type { EndReason } from '../../events.ts';
import { LINGER_BYTES_MAX, LINGER_TIMEOUT_MS, LOGGED_BYTES_MAX, PENDING_BYTES_MAX } from '../../limits.ts';
import type { Endpoint, Refusal, RejectVerdict, RelayVerdict, Verdict } from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { HelloReader } from '../../wire/hello-reader.ts';
import type { HelloInvalid } from '../../wire/hello-reader.ts';
import { escapeProtocols } from '../../wire/host-name.ts';
import { sniffProtocol } from '../../wire/sniff-protocol.ts';
import { encodeAlert } from '../../wire/tls-alert.ts';
import { dialFailureReason, formatEndpoint } from '../happy-eyeballs.ts';
import type { DialFailure } from '../happy-eyeballs.ts';
import { StreamBuffer } from '../stream-buffer.ts';
import { DIAL_EVENTS, Dial } from './dial.ts';
import type { DialOutcome } from './dial.ts';
import type { EventOwner } from './reactor.ts';
import { READ_EVENTS, Relay } from './relay.ts';
import type { RelayOutcome, RelayedSocket } from './relay.ts';
import { EPOLLERR, EPOLLHUP, EPOLLPRI, EPOLLRDHUP } from './syscalls/constants.ts';
import { isLocal } from './sockets.ts';
import { errnoName } from './syscalls/system-error.ts';
import { WheelTimer } from './timer-wheel.ts';
import type { PeerAddress, WorkerContext } from './worker-context.ts';

type Stage = 'hello' | 'deciding' | 'dialing' | 'relaying' | 'lingering' | 'closed';

const NOTHING = new Uint8Array(0);

export interface AcceptedSocket {
  readonly fd: number;
  readonly id: number;
  /** Index of the listener. */
  readonly listener: number;
  readonly peer: PeerAddress;
}

export class LinuxConnection extends WheelTimer implements EventOwner, DialOutcome, RelayOutcome {
  readonly accepted: AcceptedSocket;
  /** Readings of the monotonic clock, in milliseconds; 0 for what has not been reached. */
  readonly acceptedAtMs: number;
  helloAtMs = 0;
  verdictAtMs = 0;
  dialedAtMs = 0;
  serverName: string | null = null;
  rawName: Uint8Array | null = null;
  alpnProtocols: readonly string[] = [];
  route: string | null = null;
  /** Dialled last. */
  endpoint: Endpoint | null = null;
  detail: string | null = null;
  bytesFromClient = 0;
  bytesFromBackend = 0;
  readonly #context: WorkerContext;
  #stage: Stage = 'hello';
  #endReason: EndReason | null = null;
  #watch = -1;
  #canRead = true;
  #hangup = false;
  #urgent = false;
  #clientEnded = false;
  #reader: HelloReader | null = null;
  /** What the client has sent so far, where it had to be copied. */
  #held: StreamBuffer | null = null;
  #question = 0;
  #dial: Dial | null = null;
  #relay: Relay | null = null;
  #lingered = 0;

  constructor(context: WorkerContext, accepted: AcceptedSocket) {
    super();
    this.#context = context;
    this.accepted = accepted;
    this.acceptedAtMs = this.#clock();
  }

  /** Reads what the client has sent already, which is mostly its whole hello. */
  start(helloTimeoutMs: number): void {
    this.#readHello();
    if (this.#stage !== 'hello') return;
    this.#setTimer(helloTimeoutMs);
    this.#watchClient();
  }

  /** Ends the connection at once, whatever its stage. */
  terminate(endReason: EndReason): void {
    if (this.#relay !== null) return this.#relay.terminate(endReason);
    this.#settle(endReason, null);
    this.#close(true);
  }

  onFault(error: unknown): void {
    if (this.#stage === 'closed') return;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#context.host.notice('error', `connection ${this.accepted.id} failed: ${stack}`);
    this.terminate('internal-error');
  }

  onEvents(_role: number, events: number): void {
    this.#canRead = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) this.#hangup = true;
    if ((events & EPOLLPRI) !== 0) this.#urgent = true;
    if (this.#stage === 'hello') this.#readHello();
    else if (this.#stage === 'lingering') this.#drop();
    else this.#collect();
  }

  onTimer(): void {
    try {
      if (this.#stage === 'hello') this.#refuse({ kind: 'hello-timeout' });
      else if (this.#stage === 'dialing') this.#expireDial();
      else this.#close(false);
    } catch (error) {
      this.onFault(error);
    }
  }

  /** The first receive mostly brings the whole hello, which then is read where it lies and never copied. */
  #readHello(): void {
    const { scratch } = this.#context.sockets;
    while (this.#stage === 'hello') {
      const count = this.#receive();
      if (count === 0) return;
      const received = scratch.bytes.subarray(0, count);
      this.#parse(this.#held === null ? received : this.#hold(received));
    }
  }

  /** Bytes received into the scratch buffer, 0 for none: the client waits, or has ended, or is gone. */
  #receive(): number {
    if (!this.#canRead) return 0;
    const { sockets } = this.#context;
    const count = sockets.receive(this.accepted.fd, sockets.scratch);
    if (count > 0) {
      if (count < sockets.scratch.length) this.#canRead = this.#hangup || this.#urgent;
      return count;
    }
    this.#canRead = false;
    if (count === 0) {
      this.#clientEnded = true;
      if (this.#stage === 'hello') this.#leave(null);
    } else if (!sockets.wouldBlock) {
      this.#leave(errnoName(sockets.errno));
    }
    return 0;
  }

  #parse(stream: Uint8Array): void {
    this.#reader ??= new HelloReader();
    const result = this.#reader.read(stream);
    if (result.kind === 'incomplete') {
      if (this.#held === null) this.#hold(stream);
      return;
    }
    this.#reader = null;
    if (result.kind === 'invalid') this.#refuseInvalid(result, stream);
    else this.#decide(result.hello, stream);
  }

  /** Keeps bytes that have come behind those kept so far, and answers all of them. */
  #hold(bytes: Uint8Array): Uint8Array {
    this.#held ??= new StreamBuffer();
    this.#held.append(bytes);
    return this.#held.bytes;
  }

  // Deciding and dialling.

  #decide(hello: ClientHello, stream: Uint8Array): void {
    const { host, reactor } = this.#context;
    reactor.timers.cancel(this);
    this.#stage = 'deciding';
    this.helloAtMs = this.#clock();
    this.serverName = hello.serverName;
    if (host.wantsRecords) {
      this.alpnProtocols = escapeProtocols(hello.alpnProtocols, LOGGED_BYTES_MAX);
      this.rawName = hello.rawName === null ? null : Uint8Array.from(hello.rawName);
    }
    const decision = host.decide(hello);
    if (decision.kind !== 'resolve') return this.#follow(decision, stream);
    this.#keepWaiting(stream);
    if (this.#stage !== 'deciding') return;
    this.#question = host.ask(decision, verdict => this.#onAnswer(verdict));
  }

  #onAnswer(verdict: Verdict): void {
    this.#question = 0;
    try {
      this.#follow(verdict, this.#held?.bytes ?? NOTHING);
    } catch (error) {
      this.onFault(error);
    }
  }

  #follow(verdict: Verdict, stream: Uint8Array): void {
    this.verdictAtMs = this.#clock();
    if (verdict.kind === 'reject') this.#reject(verdict);
    else this.#startDial(verdict, stream);
  }

  /** Keeps what the client has sent, and goes on reading it, while something else is waited for. */
  #keepWaiting(stream: Uint8Array): void {
    if (this.#held === null) this.#hold(stream);
    this.#watchClient();
    this.#collect();
  }

  /** Reads on up to a bound, mostly to hear of a client that leaves. */
  #collect(): void {
    const { scratch } = this.#context.sockets;
    while ((this.#held?.length ?? 0) < PENDING_BYTES_MAX) {
      const count = this.#receive();
      if (count === 0) return;
      this.#hold(scratch.bytes.subarray(0, count));
    }
    if (this.#hangup) this.#checkGone();
  }

  /** A client that is not read any more can still be found gone. */
  #checkGone(): void {
    const errno = this.#context.sockets.takeError(this.accepted.fd);
    if (errno !== 0) this.#leave(errnoName(errno));
  }

  /**
   * On this machine a connection is there as soon as connect(2) returns, although it says that it is under way: the
   * hello can be sent at once, and nothing has to be kept or waited for.
   */
  #startDial(verdict: RelayVerdict, stream: Uint8Array): void {
    const { sockets } = this.#context;
    const endpoint = verdict.endpoints[0]!;
    this.#stage = 'dialing';
    this.route = verdict.route;
    this.endpoint = endpoint;
    if (verdict.endpoints.length > 1) return this.#race(verdict.endpoints, stream, -1);
    const fd = sockets.connect(endpoint);
    if (fd === -1) return this.#failDial(endpoint, sockets.errno);
    if (sockets.connecting && !isLocal(endpoint)) return this.#race(verdict.endpoints, stream, fd);
    const sent = sockets.sendBytes(fd, stream);
    if (sent === -1) {
      if (sockets.wouldBlock) return this.#race(verdict.endpoints, stream, fd);
      const { errno } = sockets;
      sockets.close(fd);
      return this.#failDial(endpoint, errno);
    }
    this.bytesFromClient = sent;
    const rest = sent === stream.length ? NOTHING : Uint8Array.from(stream.subarray(sent));
    this.#startRelay({ fd, watch: -1, events: READ_EVENTS }, rest);
  }

  /** Waits for the first of the endpoints; `fd` is the attempt at the first one if it has been made already. */
  #race(endpoints: readonly Endpoint[], stream: Uint8Array, fd: number): void {
    const spentMs = this.verdictAtMs - this.helloAtMs;
    this.#setTimer(Math.max(0, this.#context.settings.dialTimeoutMs - spentMs));
    const dial = new Dial(this.#context, endpoints, this);
    this.#dial = dial;
    if (fd !== -1) dial.resume(fd);
    this.#keepWaiting(stream);
    if (fd === -1 && this.#stage === 'dialing') dial.start();
  }

  dialed(fd: number, watch: number, endpoint: Endpoint): void {
    this.#dial = null;
    this.endpoint = endpoint;
    this.#startRelay({ fd, watch, events: DIAL_EVENTS }, this.#held?.take() ?? NOTHING);
  }

  dialFailed(failure: DialFailure, endpoint: Endpoint): void {
    this.#dial = null;
    this.endpoint = endpoint;
    this.#refuse({ kind: 'dial-failed', route: this.route ?? '', ...failure });
  }

  #expireDial(): void {
    const dial = this.#dial!;
    dial.cancel();
    this.dialFailed(dial.expire(), dial.last);
  }

  #failDial(endpoint: Endpoint, errno: number): void {
    const code = errnoName(errno);
    this.dialFailed(
      { endReason: dialFailureReason(code), detail: `${code} ${formatEndpoint(endpoint)}` },
      endpoint,
    );
  }

  #startRelay(backend: RelayedSocket, rest: Uint8Array): void {
    this.#context.reactor.timers.cancel(this);
    this.dialedAtMs = this.#clock();
    this.#stage = 'relaying';
    this.#held = null;
    const client = { fd: this.accepted.fd, watch: this.#watch, events: READ_EVENTS };
    const relay = new Relay(this.#context, { client, backend }, this);
    this.#watch = -1;
    this.#relay = relay;
    relay.up.bytes = this.bytesFromClient;
    relay.up.hangup = this.#hangup;
    relay.up.urgent = this.#urgent;
    relay.up.ended = this.#clientEnded;
    // A watch that is new tells by itself whether there is something to read.
    relay.up.canRead = client.watch !== -1 && this.#canRead;
    relay.start(rest);
  }

  relayEnded(endReason: EndReason, detail: string | null): void {
    this.bytesFromClient = this.#relay?.up.bytes ?? 0;
    this.bytesFromBackend = this.#relay?.down.bytes ?? 0;
    this.#settle(endReason, detail);
    this.#stage = 'closed';
    this.#context.host.ended(this, endReason);
  }

  // Refusing.

  #refuseInvalid(invalid: HelloInvalid, stream: Uint8Array): void {
    this.rawName = invalid.rawName ?? null;
    const protocol = invalid.code === 'not-tls' ? sniffProtocol(stream) : null;
    this.#refuse({ kind: 'invalid-hello', invalid, protocol });
  }

  #refuse(refusal: Refusal): void {
    this.#reject(this.#context.host.refuse(refusal));
  }

  /** Shows the client its answer. What it sends meanwhile is read and dropped: closing on unread bytes would reset. */
  #reject(verdict: RejectVerdict): void {
    const { sockets } = this.#context;
    this.#settle(verdict.endReason, verdict.detail);
    this.route = verdict.route ?? this.route;
    this.bytesFromClient = 0;
    if (verdict.answer.kind === 'reset') return this.#close(true);
    this.#stage = 'lingering';
    this.#held = null;
    const { fd } = this.accepted;
    if (verdict.answer.kind === 'alert') sockets.sendBytes(fd, encodeAlert(verdict.answer.description));
    sockets.finish(fd);
    if (this.#clientEnded) return this.#close(false);
    this.#setTimer(LINGER_TIMEOUT_MS);
    this.#watchClient();
    this.#drop();
  }

  #drop(): void {
    while (this.#stage === 'lingering') {
      const count = this.#receive();
      if (this.#clientEnded) return this.#close(false);
      if (count === 0) return;
      this.#lingered += count;
      if (this.#lingered > LINGER_BYTES_MAX) return this.#close(false);
    }
  }

  /** The client is gone before its relay began. */
  #leave(code: string | null): void {
    this.#settle('client-gone', code);
    this.#close(false);
  }

  // Ending.

  #watchClient(): void {
    if (this.#watch === -1) this.#watch = this.#context.reactor.watch(this.accepted.fd, READ_EVENTS, this, 0);
  }

  #setTimer(delayMs: number): void {
    this.#context.reactor.timers.set(this, nowMs(), delayMs);
  }

  /** Exact where somebody will read it, else the beginning of the reactor's turn, which costs nothing. */
  #clock(): number {
    const { host, reactor } = this.#context;
    return host.wantsRecords ? nowMs() : reactor.now;
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.detail = detail;
  }

  #close(reset: boolean): void {
    if (this.#stage === 'closed') return;
    this.#stage = 'closed';
    const { host, reactor, sockets } = this.#context;
    reactor.timers.cancel(this);
    this.#dial?.cancel();
    this.#dial = null;
    if (this.#question !== 0) host.forget(this.#question);
    if (this.#watch !== -1) reactor.forget(this.#watch);
    if (reset) sockets.reset(this.accepted.fd);
    else sockets.close(this.accepted.fd);
    host.ended(this, this.#endReason ?? 'client-gone');
  }
}
