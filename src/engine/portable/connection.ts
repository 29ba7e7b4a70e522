/**
 * One accepted connection from its hello to its relay or its refusal. Owns the client's socket until a relay takes it
 * over, and reports exactly one end.
 */
import type { Socket } from 'node:net';
import type { ConnectionEnded, ConnectionOpened, EndReason } from '../../events.ts';
import { LINGER_BYTES_MAX, LINGER_TIMEOUT_MS, LOGGED_BYTES_MAX, PENDING_BYTES_MAX } from '../../limits.ts';
import type {
  BackendOutcome,
  Client,
  Refusal,
  RejectVerdict,
  RelaySpans,
  RelayVerdict,
  Verdict,
} from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { HelloReader } from '../../wire/hello-reader.ts';
import type { HelloInvalid } from '../../wire/hello-reader.ts';
import { escapeBytes, escapeProtocols } from '../../wire/host-name.ts';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { sniffProtocol } from '../../wire/sniff-protocol.ts';
import { encodeAlert } from '../../wire/tls-alert.ts';
import type { EngineHost, EngineSettings } from '../engine.ts';
import { formatEndpoint, relayOutcome } from '../happy-eyeballs.ts';
import { helloPatienceMs } from '../hello-deadline.ts';
import type { PendingEntry, PendingHellos } from '../pending-hellos.ts';
import { StreamBuffer } from '../stream-buffer.ts';
import { Dial } from './dial.ts';
import type { DialedSocket } from './dial.ts';
import { Relay } from './relay.ts';
import { endWasReset, errorCode, resetSocket } from './sockets.ts';

export interface ConnectionContext {
  readonly host: EngineHost;
  readonly settings: EngineSettings;
  readonly pending: PendingHellos;
  /** Called after the connection's record was handed to the host. */
  closed(connection: PortableConnection): void;
}

type Stage = 'hello' | 'deciding' | 'dialing' | 'relaying' | 'lingering' | 'closed';

export class PortableConnection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #opened: ConnectionOpened;
  readonly #client: Client;
  readonly #startedAtMs = Date.now();
  readonly #acceptedAt = performance.now();
  #reader: HelloReader | null = new HelloReader();
  #stage: Stage = 'hello';
  #timer: NodeJS.Timeout | undefined;
  readonly #stream = new StreamBuffer();
  #clientEnded = false;
  #helloAt = 0;
  #verdictAt = 0;
  #dialedAt = 0;
  #serverName: string | null = null;
  #alpnProtocols: readonly string[] = [];
  #rawName: string | null = null;
  #route: string | null = null;
  #dialing: Dial | null = null;
  /** The backend that was taken and not given back yet; -1 for none. */
  #taken = -1;
  #relay: Relay | null = null;
  /** Its place among those whose hello has not come. */
  #pending: PendingEntry | null = null;
  #endReason: EndReason | null = null;
  #detail: string | null = null;
  #lingered = 0;

  constructor(
    context: ConnectionContext,
    socket: Socket,
    { opened, listener }: { opened: ConnectionOpened; listener: number },
  ) {
    this.#context = context;
    this.#socket = socket;
    this.#opened = opened;
    const { address, port } = opened.client;
    this.#client = { peer: parsePeerAddress(address, port), listener, ticket: null };
  }

  start(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#onData(chunk)));
    this.#socket.on('end', () => this.#guarded(() => this.#onEnd()));
    this.#socket.on('error', error => this.#leave(errorCode(error)));
    this.#socket.on('close', () => this.#finish());
    this.#guarded(() => this.#admit());
  }

  /** Lets the client in, to send its hello. */
  #admit(): void {
    const { host, pending } = this.#context;
    const refusal = host.admit(this.#client);
    if (refusal !== null) return this.#dismiss(refusal);
    const overLimit = (detail: string): void => this.#dismiss(host.refuse({ kind: 'limit', detail }));
    this.#pending = pending.enter(this.#client.peer, () => overLimit('pending hellos'));
    if (this.#pending === null) return overLimit('pending hellos per client');
    this.#awaitHello();
  }

  /** Waits as long as the client may take, which is longer the more of its hello has come. */
  #awaitHello(): void {
    const { helloTimeoutMs: timeoutMs, pending } = this.#context.settings;
    const elapsedMs = performance.now() - this.#acceptedAt;
    const delayMs = helloPatienceMs({ timeoutMs, pace: pending.pace }, elapsedMs, this.#stream.length);
    if (delayMs > 0)
      this.#timer = setTimeout(() => this.#guarded(() => this.#awaitHello()), Math.ceil(delayMs));
    else this.#refuse({ kind: 'hello-timeout', isSlow: elapsedMs < timeoutMs });
  }

  /** The hello is not waited for any more. */
  #leavePending(): void {
    if (this.#pending !== null) this.#context.pending.leave(this.#pending);
    this.#pending = null;
  }

  /** Ends the connection at once, whatever its stage. */
  terminate(endReason: 'drained' | 'killed'): void {
    if (this.#relay !== null) this.#relay.terminate(endReason);
    else this.#abort(endReason, null);
  }

  /** Ends the relay to this backend, if that is where it goes. */
  endBackend(backend: number): void {
    if (this.#taken === backend) this.#relay?.terminate('backend-gone');
  }

  /** Runs one step; an exception in it ends this connection and touches no other. */
  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#crash(error);
    }
  }

  #crash(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#context.host.notice({ level: 'error', message: `connection ${this.#opened.id} failed: ${stack}` });
    if (this.#relay !== null) this.#relay.terminate('internal-error');
    else this.#abort('internal-error', null);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#stage === 'lingering') {
      this.#lingered += chunk.length;
      if (this.#lingered > LINGER_BYTES_MAX) this.#socket.destroy();
      return;
    }
    if (this.#stage === 'closed') return;
    this.#stream.append(chunk);
    if (this.#stage === 'hello') this.#readHello();
    else {
      if (this.#stream.length > PENDING_BYTES_MAX) this.#socket.pause();
      this.#dialing?.push();
    }
  }

  #readHello(): void {
    const result = this.#reader?.read(this.#stream.bytes);
    if (result === undefined || result.kind === 'incomplete') return;
    // What it has joined need not live as long as the relay.
    this.#reader = null;
    if (result.kind === 'invalid') {
      this.#refuseInvalid(result);
      return;
    }
    clearTimeout(this.#timer);
    this.#leavePending();
    this.#noteNames(result.hello);
    this.#helloAt = performance.now();
    this.#stage = 'deciding';
    const verdict = this.#context.host.decide(result.hello, this.#client);
    if (!(verdict instanceof Promise)) {
      this.#follow(verdict);
      return;
    }
    verdict.then(
      settled => this.#guarded(() => this.#follow(settled)),
      (error: unknown) => this.#crash(error),
    );
  }

  /** Copies what the record needs, so that the hello's memory can go. */
  #noteNames(hello: ClientHello): void {
    this.#serverName = hello.serverName;
    this.#alpnProtocols = escapeProtocols(hello.alpnProtocols, LOGGED_BYTES_MAX);
    this.#rawName = loggable(hello.rawName);
  }

  #refuseInvalid(invalid: HelloInvalid): void {
    const { rawName } = invalid;
    if (rawName !== undefined) this.#rawName = loggable(rawName);
    const protocol = invalid.code === 'not-tls' ? sniffProtocol(this.#stream.bytes) : null;
    this.#refuse({ kind: 'invalid-hello', invalid, protocol });
  }

  #follow(verdict: Verdict): void {
    if (this.#stage !== 'deciding') return;
    this.#verdictAt = performance.now();
    if (verdict.kind === 'reject') this.#reject(verdict);
    else this.#dial(verdict);
  }

  #dial(verdict: RelayVerdict): void {
    this.#stage = 'dialing';
    this.#route = verdict.route;
    const { host, settings } = this.#context;
    const { tcp, dialTimeoutMs: timeoutMs } = settings;
    const dialing = new Dial(
      verdict,
      { host, tcp, timeoutMs },
      {
        clientBytes: () => this.#stream.bytes,
        canReplay: () => !this.#clientEnded && this.#stream.length < PENDING_BYTES_MAX,
        connected: () => (this.#dialedAt = performance.now()),
        dialed: dialed => this.#guarded(() => this.#startRelay(dialed, verdict.options)),
        failed: failure =>
          this.#guarded(() => this.#refuse({ kind: 'dial-failed', route: verdict.route, ...failure })),
      },
    );
    this.#dialing = dialing;
    dialing.start(timeoutMs - (this.#verdictAt - this.#helloAt));
  }

  #startRelay({ socket, candidate, sent, answer }: DialedSocket, spans: RelaySpans): void {
    this.#taken = candidate.backend;
    this.#stage = 'relaying';
    clearTimeout(this.#timer);
    this.#socket.removeAllListeners();
    const { ticket } = this.#client;
    this.#relay = new Relay(
      { client: this.#socket, backend: socket },
      { spans, ticket },
      {
        ended: (endReason, detail) => {
          this.#settle(endReason, detail);
          this.#finish();
        },
      },
    );
    this.#relay.bytesFromClient = sent;
    const first = this.#stream.take().subarray(sent);
    this.#relay.start({ first, answer }, this.#clientEnded);
  }

  /** Gives the backend back that was taken. */
  #leaveBackend(outcome: BackendOutcome): void {
    if (this.#taken === -1) return;
    this.#context.host.leaveBackend(this.#taken, outcome);
    this.#taken = -1;
  }

  #refuse(refusal: Refusal): void {
    this.#reject(this.#context.host.refuse(refusal));
  }

  /** Shows the client its answer. What it sends meanwhile is read and dropped: closing on unread bytes would reset. */
  #reject(verdict: RejectVerdict): void {
    if (this.#stage === 'lingering' || this.#stage === 'closed') return;
    this.#settle(verdict.endReason, verdict.detail);
    this.#route = verdict.route ?? this.#route;
    if (verdict.answer.kind === 'reset') {
      this.#abort(verdict.endReason, verdict.detail);
      return;
    }
    this.#stage = 'lingering';
    this.#leavePending();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(), LINGER_TIMEOUT_MS);
    if (verdict.answer.kind === 'alert') this.#socket.end(encodeAlert(verdict.answer.description));
    else this.#socket.end();
    this.#socket.resume();
  }

  /** As `reject`, but does not linger: what the connection holds is what there is too little of. */
  #dismiss(verdict: RejectVerdict): void {
    this.#reject(verdict);
    // What is there already is read and dropped first: closing on unread bytes would reset.
    setImmediate(() => setImmediate(() => this.#socket.destroy()));
  }

  #onEnd(): void {
    if (this.#stage !== 'lingering' && endWasReset(this.#socket)) {
      this.#leave('ECONNRESET');
      return;
    }
    this.#clientEnded = true;
    if (this.#stage === 'hello') this.#abort('client-gone', null);
    else if (this.#stage === 'dialing') this.#dialing?.push();
  }

  #leave(code: string): void {
    this.#abort('client-gone', code);
  }

  #abort(endReason: EndReason, detail: string | null): void {
    this.#settle(endReason, detail);
    this.#dialing?.cancel();
    if (this.#stage !== 'closed') this.#stage = 'lingering';
    // A client that only looked in (connect, close) gets an orderly end, any other a reset.
    if (endReason === 'client-gone') this.#socket.destroy();
    else resetSocket(this.#socket);
  }

  #settle(endReason: EndReason, detail: string | null): void {
    if (this.#endReason !== null) return;
    this.#endReason = endReason;
    this.#detail = detail;
  }

  #finish(): void {
    if (this.#stage === 'closed') return;
    this.#stage = 'closed';
    this.#leavePending();
    this.#client.ticket?.release();
    clearTimeout(this.#timer);
    this.#dialing?.cancel();
    this.#leaveBackend(relayOutcome(this.#relay?.bytesFromBackend ?? 0, this.#endReason ?? 'client-gone'));
    this.#context.host.ended(this.#record());
    this.#context.closed(this);
  }

  #record(): ConnectionEnded {
    const dialed = this.#dialing?.last ?? null;
    const since = (from: number, to: number): number | null => (from > 0 && to > 0 ? to - from : null);
    return {
      ...this.#opened,
      startedAtMs: this.#startedAtMs,
      serverName: this.#serverName,
      rawName: this.#rawName,
      alpnProtocols: this.#alpnProtocols,
      route: this.#route,
      backend: dialed === null ? null : formatEndpoint(dialed.endpoint),
      attempts: this.#dialing?.attempts ?? 0,
      helloMs: since(this.#acceptedAt, this.#helloAt),
      resolveMs: since(this.#helloAt, this.#verdictAt),
      dialMs: since(this.#verdictAt, this.#dialedAt),
      totalMs: performance.now() - this.#acceptedAt,
      bytesFromClient: this.#relay?.bytesFromClient ?? 0,
      bytesFromBackend: this.#relay?.bytesFromBackend ?? 0,
      endReason: this.#endReason ?? 'client-gone',
      detail: this.#detail,
    };
  }
}

function loggable(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : escapeBytes(bytes, LOGGED_BYTES_MAX);
}
