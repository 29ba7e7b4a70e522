/** One random connection of a soak, both of its ends in hand. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Random } from '../fuzz/random.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { endWasReset } from '../support/peers.ts';

export type FlowKind = 'whole' | 'slow' | 'bulk' | 'reset' | 'leave' | 'garbage' | 'unknown';

export const SOAK_NAME = 'soak.example.com';
/** Of the session identifier in a hello: behind both headers, the version, the random field and its own length. */
export const ID_OFFSET = 5 + 4 + 2 + 32 + 1;
export const ID_LENGTH = 32;

const WITHIN_MS = 30_000;
const CHUNK_BYTES = 64 * 1024;
/** All flows send parts of this, each from a place of its own, so that any byte lost, doubled or mixed up shows. */
const PATTERN = randomBytes(1 << 20);
const DOUBLE = Buffer.concat([PATTERN, PATTERN]);

function patternAt(offset: number, length: number): Buffer {
  const at = offset % PATTERN.length;
  return DOUBLE.subarray(at, at + length);
}

/** The bytes one end gets, compared with those the other sends. */
class Inlet {
  received = 0;
  fault: string | null = null;
  /** `end` or an error's code. */
  readonly ended: Promise<string>;

  constructor(socket: Socket, start: number, pauseMs: number) {
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += PATTERN.length) {
        const part = chunk.subarray(at, at + PATTERN.length);
        if (!part.equals(patternAt(start + this.received, part.length)))
          this.fault ??= `wrong at ${this.received}`;
        this.received += part.length;
      }
      if (pauseMs === 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), pauseMs);
    });
    this.ended = new Promise(resolve => {
      socket.once('end', () => resolve(endWasReset(socket) ? 'ECONNRESET' : 'end'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once('close', () => resolve('close'));
    });
  }
}

export class Flow {
  readonly kind: FlowKind;
  readonly id: string;
  bytes = 0;
  readonly #random: Random;
  readonly #port: number;
  readonly #hello: Buffer;
  readonly #up: number;
  readonly #down: number;
  readonly #start: number;
  #client: Socket | null = null;
  #backend: Socket | null = null;
  #accept: (taken: { socket: Socket; early: Buffer }) => void = () => undefined;
  readonly #accepted = new Promise<{ socket: Socket; early: Buffer }>(resolve => {
    this.#accept = resolve;
  });

  constructor(kind: FlowKind, random: Random, port: number) {
    const sessionId = randomBytes(ID_LENGTH);
    const serverName = kind === 'unknown' ? 'unknown.example.org' : SOAK_NAME;
    this.kind = kind;
    this.id = sessionId.toString('hex');
    this.#random = random;
    this.#port = port;
    this.#hello = Buffer.from(buildClientHello({ serverName, sessionId }));
    const most = kind === 'bulk' ? 30_000_000 : random.pick([0, 100, 5_000, 200_000, 1_000_000]);
    // Mostly more than can be through before the reset comes.
    const least = kind === 'reset' ? 4 * most : 0;
    this.#up = least + random.below(most);
    this.#down = least + random.below(most);
    this.#start = random.below(PATTERN.length);
  }

  get told(): string {
    return `${this.kind} with ${this.#up} bytes up and ${this.#down} down`;
  }

  accepted(socket: Socket, early: Buffer): void {
    this.#accept({ socket, early });
  }

  async run(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`hangs after ${WITHIN_MS} ms`)), WITHIN_MS);
    });
    try {
      await Promise.race([this.#play(), deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#client?.destroy();
    this.#backend?.destroy();
  }

  async #play(): Promise<void> {
    const client = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true });
    client.on('error', () => undefined);
    this.#client = client;
    await once(client, 'connect');
    if (this.kind === 'leave') return this.#leave(client);
    if (this.kind === 'garbage' || this.kind === 'unknown') return await this.#expectRefusal(client);
    client.write(this.#hello);
    const { socket: backend, early } = await this.#accepted;
    this.#backend = backend;
    if (!early.subarray(0, this.#hello.length).equals(this.#hello.subarray(0, early.length)))
      throw new Error('another hello came through');
    const atBackend = new Inlet(backend, this.#start, this.kind === 'slow' ? 5 : 0);
    const atClient = new Inlet(client, this.#start + 1, this.kind === 'slow' ? 5 : 0);
    if (this.kind === 'reset') await this.#resetAmidst(client, backend);
    else {
      await this.#pourBoth(client, backend);
      client.end();
      backend.end();
    }
    const ends = await Promise.all([atBackend.ended, atClient.ended]);
    for (const { fault } of [atBackend, atClient]) if (fault !== null) throw new Error(fault);
    this.bytes = atBackend.received + atClient.received;
    if (this.kind === 'reset') {
      if (ends.includes('end')) throw new Error('a reset came through as an end of file');
      return;
    }
    const got = `${atBackend.received} up, ${atClient.received} down, ${ends.join(' and ')}`;
    if (got !== `${this.#up} up, ${this.#down} down, end and end`) throw new Error(`got ${got}`);
  }

  async #pourBoth(client: Socket, backend: Socket): Promise<void> {
    await Promise.all([pour(client, this.#start, this.#up), pour(backend, this.#start + 1, this.#down)]);
  }

  /** One side resets while bytes are under way both ways, and nobody has sent an end of file. */
  async #resetAmidst(client: Socket, backend: Socket): Promise<void> {
    const pouring = this.#pourBoth(client, backend);
    await new Promise(resolve => {
      setTimeout(resolve, this.#random.below(10));
    });
    (this.#random.once(2) ? client : backend).resetAndDestroy();
    await pouring;
  }

  #leave(client: Socket): void {
    client.write(this.#hello.subarray(0, this.#random.below(this.#hello.length)));
    if (this.#random.once(2)) client.resetAndDestroy();
    else client.destroySoon();
  }

  async #expectRefusal(client: Socket): Promise<void> {
    const ended = once(client, 'close');
    client.resume();
    client.once('end', () => client.destroy());
    client.write(this.kind === 'unknown' ? this.#hello : this.#random.bytes(1 + this.#random.below(600)));
    // Noise may look like the beginning of a record, which would be waited for.
    client.end();
    await ended;
  }
}

/** Sends the pattern from `start`, as the peer takes it. */
async function pour(socket: Socket, start: number, total: number): Promise<void> {
  for (let sent = 0; sent < total;) {
    if (socket.destroyed) return;
    const length = Math.min(CHUNK_BYTES, total - sent);
    const chunk = patternAt(start + sent, length);
    // Called with an error, too.
    await new Promise(resolve => {
      socket.write(chunk, resolve);
    });
    sent += length;
  }
}
