/**
 * One accepted connection from its hello to its relay or its refusal. Owns the client's socket until a relay takes it
 * over, and reports exactly one end.
 */
import type { Socket } from 'node:net';
import type { ClientAddress, ConnectionOpened, EndReason, OpenConnection } from '../../events.ts';
import { LINGER_BYTES_MAX, PENDING_BYTES_MAX } from '../../limits.ts';
import type {
  BackendOutcome,
  Candidate,
  Client,
  ListenerRef,
  Refusal,
  RejectVerdict,
  RelaySpans,
  RelayVerdict,
  Verdict,
} from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import type { HelloInvalid } from '../../wire/hello-reader.ts';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { sniffProtocol } from '../../wire/sniff-protocol.ts';
import { encodeAlert } from '../../wire/tls-alert.ts';
import type { EngineHost, EngineSettings } from '../engine.ts';
import { formatEndpoint, relayOutcome } from '../happy-eyeballs.ts';
import { lingerMs } from '../linger.ts';
import type { PendingHellos } from '../pending-hellos.ts';
import { clientOfEnd } from '../proxy-in.ts';
import type { ProxiedClient, ProxyGate } from '../proxy-in.ts';
import { proxyHeaderOf } from '../proxy-out.ts';
import { ConnectionLog } from './connection-log.ts';
import { Dial } from './dial.ts';
import type { DialedSocket } from './dial.ts';
import { HelloWait } from './hello-wait.ts';
import { Intake } from './intake.ts';
import { Relay } from './relay.ts';
import { endWasReset, errorCode, localEnd, resetSocket } from './sockets.ts';

export interface ConnectionContext {
  readonly host: EngineHost;
  readonly settings: EngineSettings;
  readonly pending: PendingHellos;
  /** Reads the PROXY header that comes first; null if none does. */
  readonly gate: ProxyGate | null;
  /** Called after the connection's record was handed to the host. */
  closed(connection: PortableConnection, endReason: EndReason): void;
}

type Stage = 'proxy' | 'hello' | 'deciding' | 'dialing' | 'relaying' | 'lingering' | 'closed';

export class PortableConnection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #log: ConnectionLog;
  #stage: Stage;
  #client: Client;
  #proxied: ProxiedClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #intake = new Intake();
  #clientEnded = false;
  /** ALPN protocols as the client has sent them. */
  #offered: readonly string[] = [];
  #dialing: Dial | null = null;
  /** The backend that was taken and not given back yet; -1 for none. */
  #taken = -1;
  #relay: Relay | null = null;
  readonly #wait: HelloWait;
  #endReason: EndReason | null = null;
  #detail: string | null = null;
  #lingered = 0;

  constructor(
    context: ConnectionContext,
    socket: Socket,
    { opened, listener }: { opened: ConnectionOpened; listener: ListenerRef },
  ) {
    this.#context = context;
    this.#socket = socket;
    this.#log = new ConnectionLog(opened);
    this.#client = clientOf(opened.client, listener);
    this.#stage = context.gate === null ? 'hello' : 'proxy';
    this.#wait = new HelloWait(context.pending, context.settings, {
      received: () => this.#intake.length,
      expired: isSlow => this.#guarded(() => this.#refuse({ kind: 'hello-timeout', isSlow })),
      shed: detail => this.#dismiss(context.host.refuse({ kind: 'limit', detail })),
    });
  }

  describe(): OpenConnection {
    return this.#log.describe(this.#relay ?? { bytesFromClient: 0, bytesFromBackend: 0 });
  }

  start(): void {
    const { gate } = this.#context;
    this.#listen();
    if (gate === null) return this.#guarded(() => this.#admit(this.#log.acceptedAt));
    const expire = (): void => this.#guarded(() => this.#refuse({ kind: 'proxy-timeout' }));
    this.#timer = setTimeout(expire, gate.timeoutMs);
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#onData(chunk)));
    this.#socket.on('end', () => this.#guarded(() => this.#onEnd()));
    this.#socket.on('error', error => this.#abort('client-gone', errorCode(error)));
    this.#socket.on('close', () => this.#finish());
  }

  /** Lets the client in, to send its hello. */
  #admit(since: number): void {
    const refusal = this.#context.host.admit(this.#client);
    if (refusal !== null) return this.#dismiss(refusal);
    if (this.#wait.begin(this.#client, since)) this.#stage = 'hello';
  }

  /** The name of the route that takes it; null before one does. */
  get route(): string | null {
    return this.#log.route ?? this.#client.route;
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
    this.#context.host.notice({
      level: 'error',
      message: `connection ${this.#log.opened.id} failed: ${stack}`,
    });
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
    this.#intake.append(chunk);
    const illegal = this.#intake.passage?.illegal ?? null;
    if (illegal !== null) return this.#refuse({ kind: 'illegal-ech', illegal });
    if (this.#stage === 'proxy') this.#readProxy(this.#context.gate!);
    if (this.#stage === 'hello') this.#readHello();
    else {
      if (this.#intake.length > PENDING_BYTES_MAX) this.#socket.pause();
      this.#dialing?.push();
    }
  }

  /** The hello may have come together with the header. */
  #readProxy(gate: ProxyGate): void {
    const step = gate.read(this.#intake.bytes);
    if (step.kind === 'incomplete') return;
    if (step.kind === 'invalid') return this.#refuse({ kind: 'proxy-malformed', code: step.code });
    this.#intake.drop(step.consumed);
    this.#proxied = step.client;
    if (step.client !== null) {
      this.#log.client = clientOfEnd(step.client.source);
      this.#log.isProxied = true;
      this.#client = clientOf(this.#log.client, this.#client.listener);
    }
    clearTimeout(this.#timer);
    this.#admit(performance.now());
  }

  #readHello(): void {
    const result = this.#intake.readHello();
    if (result === null || result.kind === 'incomplete') return;
    if (result.kind === 'invalid') return this.#refuseInvalid(result);
    const { host } = this.#context;
    this.#log.noteHello(result.hello, host.interest.fingerprints);
    const opened = this.#intake.open(result, host, this.#client);
    this.#log.noteOpened(opened, this.#client);
    if (opened?.kind === 'refused') this.#refuse(opened.refusal);
    else this.#decide(opened?.hello ?? result.hello);
  }

  #decide(hello: ClientHello): void {
    this.#wait.end();
    this.#offered = hello.alpnProtocols;
    this.#stage = 'deciding';
    const verdict = this.#context.host.decide(hello, this.#client);
    if (!(verdict instanceof Promise)) return this.#follow(verdict);
    verdict.then(
      settled => this.#guarded(() => this.#follow(settled)),
      (error: unknown) => this.#crash(error),
    );
  }

  #refuseInvalid(invalid: HelloInvalid): void {
    const { rawName } = invalid;
    if (rawName !== undefined) this.#log.noteRawName(rawName);
    const protocol = invalid.code === 'not-tls' ? sniffProtocol(this.#intake.bytes) : null;
    this.#refuse({ kind: 'invalid-hello', invalid, protocol });
  }

  #follow(verdict: Verdict): void {
    if (this.#stage !== 'deciding') return;
    this.#log.verdictAt = performance.now();
    if (verdict.kind === 'reject') this.#reject(verdict);
    else this.#dial(verdict);
  }

  #dial(verdict: RelayVerdict): void {
    this.#stage = 'dialing';
    this.#log.route = verdict.route;
    const { host, settings } = this.#context;
    const { tcp, dialTimeoutMs: timeoutMs } = settings;
    const dialing = new Dial(
      verdict,
      { host, tcp, timeoutMs },
      {
        headerFor: candidate => this.#headerFor(candidate),
        clientBytes: () => this.#intake.bytes,
        canReplay: () => !this.#clientEnded && this.#intake.length < PENDING_BYTES_MAX,
        connected: () => (this.#log.dialedAt = performance.now()),
        dialed: dialed => this.#guarded(() => this.#startRelay(dialed, verdict.options)),
        failed: failure =>
          this.#guarded(() => this.#refuse({ kind: 'dial-failed', route: verdict.route, ...failure })),
      },
    );
    this.#dialing = dialing;
    const spentMs = this.#log.verdictAt - this.#log.helloAt - (verdict.waitedMs ?? 0);
    dialing.start(timeoutMs - spentMs);
  }

  #startRelay({ socket, candidate, header, sent, answer }: DialedSocket, spans: RelaySpans): void {
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
        passageOver: () => this.#notePassage(),
        passageRefused: refusal => this.#guarded(() => this.#refuseFromRelay(refusal)),
      },
    );
    const { passage } = this.#intake;
    if (passage !== null) this.#relay.lead(passage, this.#context.settings.helloTimeoutMs);
    this.#relay.bytesFromClient = sent;
    const first = this.#intake.take().subarray(sent);
    this.#relay.start({ header, first, answer }, this.#clientEnded);
  }

  /** What has become of an opened hello, once nobody needs to know more. */
  #notePassage(): void {
    const passage = this.#intake.endPassage();
    const backend = this.#dialing?.last ?? null;
    if (passage === null) return;
    this.#log.notePassage(passage);
    if (passage.fault === null || backend === null) return;
    const route = this.#log.route ?? '';
    this.#context.host.echFault({ route, backend: formatEndpoint(backend.endpoint), why: passage.fault });
  }

  /** The relay has let go of the client, which is to be told why. */
  #refuseFromRelay(refusal: Refusal): void {
    this.#leaveBackend(this.#relay!.bytesFromBackend > 0 ? 'ended' : 'unused');
    this.#listen();
    this.#refuse(refusal);
  }

  /** What this backend is to be told before the hello. */
  #headerFor({ proxy }: Candidate): Uint8Array | null {
    if (proxy === null) return null;
    return proxyHeaderOf(proxy, {
      id: this.#log.opened.id,
      instance: this.#context.settings.instance,
      peer: this.#log.opened.client,
      proxied: this.#proxied,
      local: () => localEnd(this.#socket, this.#log.opened.listener),
      serverName: this.#log.serverName,
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
    this.#log.route = verdict.route ?? this.#log.route;
    if (verdict.answer.kind === 'reset') return this.#abort(verdict.endReason, verdict.detail);
    this.#stage = 'lingering';
    if (verdict.answer.kind === 'flight') this.#wait.stop();
    else this.#wait.end();
    this.#dialing?.cancel();
    clearTimeout(this.#timer);
    const { answer } = verdict;
    this.#timer = setTimeout(() => this.#socket.destroy(), lingerMs(answer));
    if (answer.kind === 'flight') this.#socket.write(answer.bytes);
    else if (answer.kind === 'alert') this.#socket.end(encodeAlert(answer.description));
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
    // Behind a flight it was the client's turn to end.
    if (this.#stage === 'lingering') return void this.#socket.end();
    if (endWasReset(this.#socket)) {
      this.#abort('client-gone', 'ECONNRESET');
      return;
    }
    this.#clientEnded = true;
    if (this.#stage === 'hello' || this.#stage === 'proxy') this.#abort('client-gone', null);
    else if (this.#stage === 'dialing') this.#dialing?.push();
  }

  #abort(endReason: EndReason, detail: string | null): void {
    this.#settle(endReason, detail);
    this.#wait.end();
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
    this.#notePassage();
    this.#wait.end();
    this.#client.gone?.();
    this.#client.ticket?.release();
    clearTimeout(this.#timer);
    this.#dialing?.cancel();
    this.#leaveBackend(relayOutcome(this.#relay?.bytesFromBackend ?? 0, this.#endReason ?? 'client-gone'));
    const dialed = this.#dialing?.last ?? null;
    const record = this.#log.record({
      backend: dialed === null ? null : formatEndpoint(dialed.endpoint),
      attempts: this.#dialing?.attempts ?? 0,
      // A backend that is gone at once may not even get the header.
      bytesFromClient: Math.max(0, this.#relay?.bytesFromClient ?? 0),
      bytesFromBackend: this.#relay?.bytesFromBackend ?? 0,
      endReason: this.#endReason ?? 'client-gone',
      detail: this.#detail,
    });
    this.#context.host.ended(record);
    this.#context.closed(this, record.endReason);
  }
}

/** A client that nothing has been decided on yet. */
function clientOf({ address, port }: ClientAddress, listener: ListenerRef): Client {
  return { peer: parsePeerAddress(address, port), listener, ticket: null, route: null, ech: null };
}
