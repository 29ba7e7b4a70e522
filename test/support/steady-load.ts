/**
 * Clients that never stop: so many connections a second, and streams that last, of which every byte is checked. Whatever
 * happens to the proxy meanwhile, none of them may be refused, cut or mixed up.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { buildClientHello } from './hello-builder.ts';

export const LOAD_NAME = 'load.example.com';

export interface LoadOptions {
  /** The backend must send everything back. */
  readonly port: number;
  /** Short connections a second. */
  readonly rate: number;
  /** Streams that last until they are told to end. */
  readonly streams: number;
}

export interface LoadReport {
  readonly short: number;
  readonly streamed: number;
  readonly bytes: number;
  readonly failures: readonly string[];
  /** Short connections a second that were in fact made. */
  readonly rate: number;
}

const TICK_MS = 10;
/** A machine that cannot keep up makes fewer connections, and not more than one client may have pending. */
const UNDER_WAY_MAX = 400;
const STREAM_BYTES_MAX = 4_096;
/** Milliseconds between two pieces of a stream, and for each stream beside it. */
const STREAM_PAUSE_MS = 50;
const STREAM_SHARE_MS = 1;
const WITHIN_MS = 60_000;
const FAILURES_SHOWN_MAX = 20;
const HELLO = Buffer.from(buildClientHello({ serverName: LOAD_NAME }));
/** Streams send parts of this from places of their own, so that any byte lost, doubled or mixed up shows. */
const PATTERN = randomBytes(1 << 18);
const DOUBLE = Buffer.concat([PATTERN, PATTERN]);

export class SteadyLoad {
  readonly #options: LoadOptions;
  readonly #failures: string[] = [];
  readonly #streams: Stream[] = [];
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #short = 0;
  #streamed = 0;
  #bytes = 0;
  #underWay = 0;
  #due = 0;
  #lastTick = performance.now();
  #idle: () => void = () => undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    // A test that has failed must not run for ever.
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    for (let count = 0; count < options.streams; count++) this.#streams.push(this.#startStream());
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Ends some of the streams, the oldest, and starts as many new ones. */
  async renewStreams(count: number): Promise<void> {
    const old = this.#streams.splice(0, count);
    for (let fresh = 0; fresh < old.length; fresh++) this.#streams.push(this.#startStream());
    await Promise.all(old.map(stream => stream.end()));
  }

  /** Ends everything in an orderly way. */
  async stop(): Promise<LoadReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#streams.map(stream => stream.end()));
    const seconds = (performance.now() - this.#started) / 1_000;
    if (this.#underWay > 0) await new Promise<void>(resolve => (this.#idle = resolve));
    const rate = Math.round(this.#short / seconds);
    const { failures } = this;
    return { short: this.#short, streamed: this.#streamed, bytes: this.#bytes, failures, rate };
  }

  #tick(): void {
    const now = performance.now();
    this.#due += ((now - this.#lastTick) * this.#options.rate) / 1_000;
    this.#lastTick = now;
    for (; this.#due >= 1; this.#due--) {
      if (this.#underWay < UNDER_WAY_MAX) void this.#runShort();
    }
  }

  async #runShort(): Promise<void> {
    this.#underWay++;
    try {
      const bytes = await exchange(this.#options.port);
      this.#bytes += bytes;
      this.#short++;
    } catch (error) {
      this.#fail('a short connection', error);
    }
    if (--this.#underWay === 0) this.#idle();
  }

  #startStream(): Stream {
    const pauseMs = STREAM_PAUSE_MS + STREAM_SHARE_MS * this.#options.streams;
    return new Stream(this.#options.port, pauseMs, (bytes, error) => {
      this.#streamed++;
      this.#bytes += bytes;
      if (error !== null) this.#fail(`a stream after ${bytes} bytes`, error);
    });
  }

  #fail(what: string, error: unknown): void {
    if (this.#failures.length >= FAILURES_SHOWN_MAX) return;
    const at = Math.round(performance.now() - this.#started);
    this.#failures.push(`${what}, ${at} ms after the start: ${String(error)}`);
  }
}

/** One hello and a line behind it, there and back, and an orderly end; answers how many bytes came. */
function exchange(port: number): Promise<number> {
  const sent = Buffer.concat([HELLO, randomBytes(32)]);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const received: Buffer[] = [];
    let length = 0;
    socket.setTimeout(WITHIN_MS, () => socket.destroy(new Error('no byte for too long')));
    socket.on('error', reject);
    socket.on('connect', () => socket.end(sent));
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      length += chunk.length;
    });
    socket.on('end', () => {
      socket.destroy();
      if (Buffer.concat(received).equals(sent)) resolve(length);
      else reject(new Error(`${length} of ${sent.length} bytes came back, or others`));
    });
    socket.on('close', () => reject(new Error('closed without an end')));
  });
}

/** Sends now and then, and gets everything back. */
class Stream {
  readonly #socket: Socket;
  readonly #start = Math.floor(Math.random() * PATTERN.length);
  readonly #ended: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #received = 0;
  #fault: Error | null = null;
  #finishing = false;

  constructor(port: number, pauseMs: number, done: (bytes: number, error: Error | null) => void) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    let hello = HELLO.length;
    socket.on('connect', () => {
      socket.write(HELLO);
      this.#send();
      this.#timer = setInterval(() => this.#send(), pauseMs);
    });
    socket.on('data', (chunk: Buffer) => {
      const skipped = Math.min(hello, chunk.length);
      hello -= skipped;
      this.#check(chunk.subarray(skipped));
    });
    socket.on('error', error => (this.#fault ??= error));
    socket.on('end', () => {
      const isWhole = this.#finishing && this.#received === this.#sent;
      if (!isWhole) this.#fault ??= new Error(`ended after ${this.#received} of ${this.#sent} bytes`);
      socket.destroy();
    });
    this.#ended = new Promise(resolve => {
      socket.on('close', () => {
        clearInterval(this.#timer);
        if (!this.#finishing) this.#fault ??= new Error('closed');
        done(this.#received, this.#fault);
        resolve();
      });
    });
  }

  async end(): Promise<void> {
    const connected = new Promise(resolve => this.#socket.once('connect', resolve));
    if (this.#socket.connecting) await Promise.race([connected, this.#ended]);
    this.#finishing = true;
    clearInterval(this.#timer);
    this.#socket.setTimeout(WITHIN_MS, () => this.#socket.destroy(new Error('no end for too long')));
    this.#socket.end();
    await this.#ended;
  }

  #send(): void {
    const length = 1 + Math.floor(Math.random() * STREAM_BYTES_MAX);
    this.#socket.write(patternAt(this.#start + this.#sent, length));
    this.#sent += length;
  }

  #check(chunk: Buffer): void {
    if (!chunk.equals(patternAt(this.#start + this.#received, chunk.length))) {
      this.#fault ??= new Error(`another byte after ${this.#received}`);
    }
    this.#received += chunk.length;
  }
}

function patternAt(offset: number, length: number): Buffer {
  const at = offset % PATTERN.length;
  return DOUBLE.subarray(at, at + length);
}
