/** The client's connections: each kind a handler that counts what it did into shared totals. */
import type { Region } from '../../src/engine/linux/syscalls/arena.ts';
import * as C from '../../src/engine/linux/syscalls/constants.ts';
import type { Handler, Reactor, Target } from './reactor.ts';
import type { Histogram } from './histogram.ts';
import { ANSWER_BYTES, BULK_BYTES, PING_BYTES } from './wire.ts';

export interface Totals {
  connections: number;
  bytes: number;
  roundTrips: number;
  /** Connections that ended otherwise than they should. */
  failures: number;
}

export interface FlowContext {
  readonly reactor: Reactor;
  readonly target: Target;
  /** Address to dial from; null leaves it to the kernel. */
  readonly source: Target | null;
  /** The hello with the mode of this kind of flow. */
  readonly hello: Region;
  readonly totals: Totals;
}

/**
 * Flags of the recv that takes bulk bytes: unless they are to be copied the kernel drops them (tcp(7), MSG_TRUNC), so that
 * the load has more to give than the fastest proxy takes.
 */
export function bulkSinkFlags(copy: boolean): number {
  return copy ? 0 : C.MSG_TRUNC;
}

/** Lets a socket wake its reader for large pieces only (socket(7), SO_RCVLOWAT), for the same reason. */
export function bulkSink(reactor: Reactor, fd: number): void {
  reactor.options.set(fd, C.SOL_SOCKET, C.SO_RCVLOWAT, BULK_BYTES);
}

/** Connects, sends the hello as soon as the kernel takes it, then leaves the socket to its kind. */
abstract class Flow implements Handler {
  protected readonly context: FlowContext;
  protected fd = -1;
  #helloSent = false;

  constructor(context: FlowContext) {
    this.context = context;
  }

  start(): void {
    const { reactor, target, source } = this.context;
    this.fd = reactor.dial(target, source);
    this.#helloSent = false;
    if (this.fd === -1) this.fail();
    // On loopback the handshake is mostly over when connect returns.
    else if (this.#sendHello()) reactor.watch(this.fd, this.begin(), this);
    else if (this.fd !== -1) reactor.watch(this.fd, C.EPOLLOUT, this);
  }

  ready(): void {
    if (this.#helloSent) this.proceed();
    else if (this.#sendHello()) this.context.reactor.rewatch(this.fd, this.begin());
  }

  /** Called once the hello is sent; answers the events to wait for. */
  protected begin(): number {
    return C.EPOLLIN;
  }

  protected abstract proceed(): void;

  /** Gives the connection up and tries anew. */
  protected fail(): void {
    this.context.totals.failures++;
    this.stop();
    this.context.reactor.later(() => this.start());
  }

  protected stop(): void {
    if (this.fd !== -1) this.context.reactor.drop(this.fd);
    this.fd = -1;
  }

  /** True when the call just made found nothing to do after all. */
  protected mustWait(count: number): boolean {
    return count === -1 && this.context.reactor.kernel.errno() === C.EAGAIN;
  }

  #sendHello(): boolean {
    const { reactor, hello } = this.context;
    const sent = reactor.kernel.send(this.fd, hello.address, hello.length, C.MSG_NOSIGNAL);
    this.#helloSent = sent === hello.length;
    if (!this.#helloSent && !this.mustWait(sent)) this.fail();
    return this.#helloSent;
  }
}

/**
 * Hello, answer, end of file, close; then the next one. The backend closes first, because the side that does keeps its
 * port for a minute (TIME_WAIT): were it the client, most of the time would go into the search for a free port.
 */
export class VisitFlow extends Flow {
  #received = 0;

  protected override proceed(): void {
    const { reactor, totals } = this.context;
    const count = reactor.kernel.recv(this.fd, reactor.scratch.address, reactor.scratch.length, 0);
    if (count > 0) {
      this.#received += count;
      return;
    }
    if (this.mustWait(count)) return;
    const isWhole = count === 0 && this.#received === ANSWER_BYTES;
    this.#received = 0;
    if (!isWhole) return this.fail();
    totals.connections++;
    this.stop();
    this.start();
  }
}

/** Reads for ever. */
export class DownloadFlow extends Flow {
  readonly #sinkFlags: number;

  constructor(context: FlowContext, sinkFlags: number) {
    super(context);
    this.#sinkFlags = sinkFlags;
  }

  protected override begin(): number {
    bulkSink(this.context.reactor, this.fd);
    return C.EPOLLIN;
  }

  protected override proceed(): void {
    const { reactor, totals } = this.context;
    const count = reactor.kernel.recv(this.fd, reactor.scratch.address, BULK_BYTES, this.#sinkFlags);
    if (count > 0) totals.bytes += count;
    else if (!this.mustWait(count)) this.fail();
  }
}

/** Writes for ever; the backend counts. */
export class UploadFlow extends Flow {
  protected override begin(): number {
    return C.EPOLLOUT;
  }

  protected override proceed(): void {
    const { reactor } = this.context;
    const count = reactor.kernel.send(this.fd, reactor.scratch.address, BULK_BYTES, C.MSG_NOSIGNAL);
    if (count === -1 && !this.mustWait(count)) this.fail();
  }
}

/** Sends 64 bytes, waits for them to come back, and again. */
export class PingFlow extends Flow {
  readonly #ping: Region;
  readonly #latencies: Histogram;
  #received = 0;
  #sentAtMs = 0;

  constructor(context: FlowContext, ping: Region, latencies: Histogram) {
    super(context);
    this.#ping = ping;
    this.#latencies = latencies;
  }

  protected override begin(): number {
    // The echo answers nothing to a hello.
    this.#send();
    return C.EPOLLIN;
  }

  protected override proceed(): void {
    const { reactor, totals } = this.context;
    const count = reactor.kernel.recv(this.fd, reactor.scratch.address, PING_BYTES, 0);
    if (count <= 0) {
      if (!this.mustWait(count)) this.fail();
      return;
    }
    this.#received += count;
    if (this.#received < PING_BYTES) return;
    this.#latencies.add(performance.now() - this.#sentAtMs);
    totals.roundTrips++;
    this.#send();
  }

  #send(): void {
    const { kernel } = this.context.reactor;
    this.#received = 0;
    this.#sentAtMs = performance.now();
    kernel.send(this.fd, this.#ping.address, PING_BYTES, C.MSG_NOSIGNAL);
  }
}

/** Waits for one byte that shows the backend is there, then keeps still. */
export class HoldFlow extends Flow {
  readonly #onHeld: () => void;

  constructor(context: FlowContext, onHeld: () => void) {
    super(context);
    this.#onHeld = onHeld;
  }

  close(): void {
    this.stop();
  }

  protected override proceed(): void {
    const { reactor, totals } = this.context;
    const count = reactor.kernel.recv(this.fd, reactor.scratch.address, 1, 0);
    if (this.mustWait(count)) return;
    if (count !== 1) return this.fail();
    totals.connections++;
    this.#onHeld();
  }
}
