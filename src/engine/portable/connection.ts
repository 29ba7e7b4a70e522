/**
 * One accepted connection from its hello to its relay or its refusal. Owns the client's socket until a relay takes it
 * over, and reports exactly one end.
 */
import type { Socket } from 'node:net';
import type { ClientAddress, ConnectionEnded, ConnectionOpened, EndReason } from '../../events.ts';
import { LINGER_BYTES_MAX, LINGER_TIMEOUT_MS, LOGGED_BYTES_MAX, PENDING_BYTES_MAX } from '../../limits.ts';
import type {
  Candidate,
  BackendOutcome,
  Refusal,
  RejectVerdict,
  RelayVerdict,
  Verdict,
} from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { HelloReader } from '../../wire/hello-reader.ts';
import type { HelloInvalid } from '../../wire/hello-reader.ts';
import { escapeBytes, escapeProtocols } from '../../wire/host-name.ts';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { sniffProtocol } from '../../wire/sniff-protocol.ts';
import type { ConnectionEnd } from '../../wire/proxy-types.ts';
import { encodeAlert } from '../../wire/tls-alert.ts';
import type { EngineHost, EngineSettings } from '../engine.ts';
import { formatEndpoint, relayOutcome } from '../happy-eyeballs.ts';
import { clientOfEnd } from '../proxy-in.ts';
import type { ProxiedClient, ProxyGate } from '../proxy-in.ts';
import { proxyHeaderOf } from '../proxy-out.ts';
import { StreamBuffer } from '../stream-buffer.ts';
import { Dial } from './dial.ts';
import type { DialedSocket } from './dial.ts';
import { Relay } from './relay.ts';
import { endWasReset, errorCode, resetSocket, unmapAddress } from './sockets.ts';

export interface ConnectionContext {
  readonly host: EngineHost;
  readonly settings: EngineSettings;
  /** Reads the PROXY header that comes first; null if none does. */
  readonly gate: ProxyGate | null;
  /** Called after the connection's record was handed to the host. */
  closed(connection: PortableConnection): void;
}

type Stage = 'proxy' | 'hello' | 'deciding' | 'dialing' | 'relaying' | 'lingering' | 'closed';

export class PortableConnection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #opened: ConnectionOpened;
  readonly #startedAtMs = Date.now();
  readonly #acceptedAt = performance.now();
  #reader: HelloReader | null = new HelloReader();
  #stage: Stage;
  #client: ClientAddress;
  #proxied: ProxiedClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #stream = new StreamBuffer();
  #clientEnded = false;
  #helloAt = 0;
  #verdictAt = 0;
  #dialedAt = 0;
  #serverName: string | null = null;
  /** ALPN protocols as the client has sent them. */
  #offered: readonly string[] = [];
  #alpnProtocols: readonly string[] = [];
  #rawName: string | null = null;
  #route: string | null = null;
  #dialing: Dial | null = null;
  /** The backend that was taken and not given back yet; -1 for none. */
  #taken = -1;
  #relay: Relay | null = null;
  #endReason: EndReason | null = null;
  #detail: string | null = null;
  #lingered = 0;

  constructor(context: ConnectionContext, socket: Socket, opened: ConnectionOpened) {
    this.#context = context;
    this.#socket = socket;
    this.#opened = opened;
    this.#client = opened.client;
    this.#stage = context.gate === null ? 'hello' : 'proxy';
  }

  start(): void {
    const { gate } = this.#context;
    if (gate === null) this.#awaitHello();
    else this.#setDeadline(gate.timeoutMs, { kind: 'proxy-timeout' });
    this.#socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#onData(chunk)));
    this.#socket.on('end', () => this.#guarded(() => this.#onEnd()));
    this.#socket.on('error', error => this.#leave(errorCode(error)));
    this.#socket.on('close', () => this.#finish());
  }

  /** Gives up on a client that has gone already. */
  leave(): void {
    this.#abort('client-gone', null);
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

  #awaitHello(): void {
    this.#setDeadline(this.#context.settings.helloTimeoutMs, { kind: 'hello-timeout' });
  }

  #setDeadline(delayMs: number, refusal: Refusal): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#guarded(() => this.#refuse(refusal)), delayMs);
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
    if (this.#stage === 'proxy') this.#readProxy(this.#context.gate!);
    if (this.#stage === 'hello') this.#readHello();
    else {
      if (this.#stream.length > PENDING_BYTES_MAX) this.#socket.pause();
      this.#dialing?.push();
    }
  }

  /** The hello may have come together with the header. */
  #readProxy(gate: ProxyGate): void {
    const step = gate.read(this.#stream.bytes);
    if (step.kind === 'incomplete') return;
    if (step.kind === 'invalid') {
      this.#refuse({ kind: 'proxy-malformed', code: step.code });
      return;
    }
    this.#stream.drop(step.consumed);
    this.#proxied = step.client;
    if (step.client !== null) this.#client = clientOfEnd(step.client.source);
    this.#stage = 'hello';
    this.#awaitHello();
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
    this.#noteNames(result.hello);
    this.#helloAt = performance.now();
    this.#stage = 'deciding';
    const { address, port } = this.#client;
    const verdict = this.#context.host.decide(result.hello, parsePeerAddress(address, port));
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
    this.#offered = hello.alpnProtocols;
    this.#alpnProtocols = escapeProtocols(this.#offered, LOGGED_BYTES_MAX);
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
        headerFor: candidate => this.#headerFor(candidate),
        clientBytes: () => this.#stream.bytes,
        canReplay: () => !this.#clientEnded && this.#stream.length < PENDING_BYTES_MAX,
        connected: () => (this.#dialedAt = performance.now()),
        dialed: dialed => this.#guarded(() => this.#startRelay(dialed)),
        failed: failure =>
          this.#guarded(() => this.#refuse({ kind: 'dial-failed', route: verdict.route, ...failure })),
      },
    );
    this.#dialing = dialing;
    dialing.start(timeoutMs - (this.#verdictAt - this.#helloAt));
  }

  #startRelay({ socket, candidate, header, sent, answer }: DialedSocket): void {
    this.#taken = candidate.backend;
    this.#stage = 'relaying';
    clearTimeout(this.#timer);
    this.#socket.removeAllListeners();
    this.#relay = new Relay(this.#socket, socket, {
      ended: (endReason, detail) => {
        this.#settle(endReason, detail);
        this.#finish();
      },
    });
    this.#relay.bytesFromClient = sent;
    const first = this.#stream.take().subarray(sent);
    this.#relay.start({ header, first, answer }, this.#clientEnded);
  }

  /** What this backend is to be told before the hello. */
  #headerFor({ proxy }: Candidate): Uint8Array | null {
    if (proxy === null) return null;
    return proxyHeaderOf(proxy, {
      id: this.#opened.id,
      instance: this.#context.settings.instance,
      peer: this.#opened.client,
      proxied: this.#proxied,
      local: () => localEnd(this.#socket, this.#opened.listener),
      serverName: this.#serverName,
      alpnProtocols: this.#offered,
    });
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
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(), LINGER_TIMEOUT_MS);
    if (verdict.answer.kind === 'alert') this.#socket.end(encodeAlert(verdict.answer.description));
    else this.#socket.end();
    this.#socket.resume();
  }

  #onEnd(): void {
    if (this.#stage !== 'lingering' && endWasReset(this.#socket)) {
      this.#leave('ECONNRESET');
      return;
    }
    this.#clientEnded = true;
    if (this.#stage === 'hello' || this.#stage === 'proxy') this.#abort('client-gone', null);
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
      client: this.#client,
      peer: this.#proxied === null ? null : this.#opened.client,
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
      // A backend that is gone at once may not even get the header.
      bytesFromClient: Math.max(0, this.#relay?.bytesFromClient ?? 0),
      bytesFromBackend: this.#relay?.bytesFromBackend ?? 0,
      endReason: this.#endReason ?? 'client-gone',
      detail: this.#detail,
    };
  }
}

/** The end of a connection that is ours; a listener on a Unix-domain socket is known by its text. */
function localEnd({ localAddress, localPort }: Socket, listener: string): ConnectionEnd {
  if (localAddress === undefined) return { kind: 'unix', path: listener.replace(/^unix:/, '') };
  const address = unmapAddress(localAddress);
  return { kind: 'tcp', address, port: localPort ?? 0, family: address.includes(':') ? 6 : 4 };
}

function loggable(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : escapeBytes(bytes, LOGGED_BYTES_MAX);
}
