/**
 * One direction of a relay: bytes from a source socket to a sink socket. Small traffic is received into a buffer that
 * all connections share and sent at once; only what the sink does not take is kept. A source that fills the buffer is
 * bulk traffic, and is spliced through a pipe without being copied.
 */
import { BULK_BYTES_MIN, PIPE_BYTES, RELAY_ROUNDS_MAX, SCRATCH_BYTES } from '../../limits.ts';
import { EAGAIN, EINTR, EINVAL, SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from './syscalls/constants.ts';
import type { Region } from './syscalls/arena.ts';
import type { Ticket } from '../../verdict.ts';
import type { Pipe, PipePool } from './pipe-pool.ts';
import type { Sockets } from './sockets.ts';

/** How a turn of a direction ended. */
export const PUMP = {
  /** It waits for its source or its sink. */
  waits: 0,
  /** It has had its share and could go on. */
  gaveWay: 1,
  /** The source has sent its end of file, and the sink's kernel has every byte before it. */
  ended: 2,
  /** `errno` of the source; every byte before it is with the sink's kernel. */
  sourceFailed: 3,
  /** `errno` of the sink. */
  sinkFailed: 4,
  /** It waits for bandwidth. */
  paced: 5,
  /** Its filter lets nothing through any more. */
  refused: 6,
} as const;

export type PumpOutcome = (typeof PUMP)[keyof typeof PUMP];

/** More than any region or pipe holds. */
const UNPACED = 2 ** 30;
const NOTHING = new Uint8Array(0);
const SPLICE_FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

/** What the sink gets for bytes of the source, which live only until it returns; null for nothing, ever again. */
export type ByteFilter = (bytes: Uint8Array) => Uint8Array | null;

export interface DirectionContext {
  readonly sockets: Sockets;
  readonly pipes: PipePool;
}

export class Direction {
  readonly source: number;
  readonly sink: number;
  /** Bytes received from the source for the sink. */
  bytes = 0;
  /** Whether the source may have bytes, as far as is known without asking. */
  canRead = false;
  /** Whether the sink may take bytes. */
  canWrite = true;
  /** Epoll has announced that the source sends no more: whatever is there is to be read up to its end. */
  hangup = false;
  /**
   * The source has sent urgent data, at which a receive stops short and a splice does not go on (tcp(7)): a short
   * count means nothing any more, and bytes are copied.
   */
  urgent = false;
  /** The source's end of file was read. */
  ended = false;
  /** The end of file was passed on to the sink. */
  passed = false;
  errno = 0;
  /**
   * The sink is a backend's socket that still gathers small segments (Nagle's algorithm, RFC 896). The hello was sent
   * without waiting, since nothing was under way before it; what follows must not wait either.
   */
  gathers = false;
  /** Where bytes are to be reserved before they are received; null if they are free. */
  pace: Ticket | null = null;
  /** Bytes go through it, and are not spliced meanwhile; null for none. */
  filter: ByteFilter | null = null;
  readonly #context: DirectionContext;
  #kept: Uint8Array | null = null;
  #keptStart = 0;
  #bulk = false;
  #spliceable = true;
  #pipe: Pipe | null = null;
  #piped = 0;

  constructor(context: DirectionContext, source: number, sink: number) {
    this.#context = context;
    this.source = source;
    this.sink = sink;
  }

  /** Whether bytes are held that the sink has not taken yet. */
  get holdsBytes(): boolean {
    return this.#kept !== null || this.#piped > 0;
  }

  /** Puts bytes in front of everything that is still to be received. */
  prepend(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (bytes.length === 0) return;
    this.#kept = bytes;
    this.#keptStart = 0;
  }

  /** Puts bytes behind those that are held. */
  append(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    const held = this.#kept?.subarray(this.#keptStart) ?? NOTHING;
    this.#kept = Buffer.concat([held, bytes]);
    this.#keptStart = 0;
  }

  /** Moves bytes until it has to wait, or has had its share. */
  pump(): PumpOutcome {
    if (this.#bulk) this.#context.pipes.noteBulk();
    for (let round = 0; round < RELAY_ROUNDS_MAX; round++) {
      if (this.holdsBytes) {
        const flushed = this.#kept === null ? this.#emptyPipe() : this.#sendKept();
        if (flushed !== null) return flushed;
        if (this.holdsBytes) continue;
      }
      if (this.ended) return PUMP.ended;
      if (!this.canRead || !this.canWrite) return this.#rest();
      const moved = this.pace === null ? this.#move(UNPACED) : this.#movePaced(this.pace);
      if (moved !== null) return moved;
    }
    return PUMP.gaveWay;
  }

  /** Lets go of everything it holds. */
  close(): void {
    this.#kept = null;
    if (this.#pipe === null) return;
    if (this.#piped === 0) this.#context.pipes.giveBack(this.#pipe);
    else this.#context.pipes.discard(this.#pipe);
    this.#pipe = null;
    this.#piped = 0;
  }

  /** While it waits, an empty pipe serves others. */
  #rest(): PumpOutcome {
    if (this.#pipe !== null && this.#piped === 0) {
      this.#context.pipes.giveBack(this.#pipe);
      this.#pipe = null;
    }
    return PUMP.waits;
  }

  /** Moves some bytes, `most` at most. */
  #move(most: number): PumpOutcome | null {
    return this.#bulk ? this.#moveBulk(most) : this.#copy(this.#context.sockets.scratch, most);
  }

  /** The same within the bandwidth. */
  #movePaced(pace: Ticket): PumpOutcome | null {
    const granted = pace.reserve(this.#bulk ? PIPE_BYTES : SCRATCH_BYTES);
    if (granted === 0) {
      this.#rest();
      return PUMP.paced;
    }
    const before = this.bytes;
    const moved = this.#move(granted);
    pace.refund(granted - (this.bytes - before));
    return moved;
  }

  /** One receive and one send. */
  #copy(region: Region, most: number): PumpOutcome | null {
    const { sockets } = this.#context;
    const asked = Math.min(region.length, most);
    const count = sockets.receive(this.source, region, asked);
    if (count <= 0) return this.#readNothing(count);
    // Less than was asked for means that no more is there; whatever comes later is announced (epoll(7), question 9).
    if (count < asked) this.canRead = this.hangup || this.urgent;
    if (this.gathers) {
      this.gathers = false;
      sockets.setNoDelay(this.sink);
    }
    if (this.filter !== null) return this.#copyFiltered(this.filter(region.bytes.subarray(0, count)));
    this.bytes += count;
    this.#bulk = count === asked && count >= BULK_BYTES_MIN;
    const sent = sockets.send(this.sink, region, 0, count);
    if (sent === count) return null;
    return this.#keepRest(sent, region.bytes.subarray(0, count));
  }

  #copyFiltered(bytes: Uint8Array | null): PumpOutcome | null {
    if (bytes === null) return PUMP.refused;
    if (bytes.length === 0) return null;
    this.bytes += bytes.length;
    if (bytes.length > SCRATCH_BYTES) {
      this.#kept = Uint8Array.from(bytes);
      this.#keptStart = 0;
      return null;
    }
    const sent = this.#context.sockets.sendBytes(this.sink, bytes);
    return sent === bytes.length ? null : this.#keepRest(sent, bytes);
  }

  /** Keeps what the sink has not taken of them; `sent` as the system call answers it. */
  #keepRest(sent: number, bytes: Uint8Array): PumpOutcome {
    if (sent === -1 && !this.#isWait()) return this.#sinkFails();
    this.canWrite = false;
    this.#kept = Uint8Array.from(bytes.subarray(Math.max(0, sent)));
    this.#keptStart = 0;
    return PUMP.waits;
  }

  #moveBulk(most: number): PumpOutcome | null {
    const { sockets, pipes } = this.#context;
    if (this.#spliceable && !this.urgent) this.#pipe ??= pipes.take();
    else this.#rest();
    if (this.#pipe === null) return this.#copy(sockets.bulk, most);
    const length = Math.min(this.#pipe.capacity, most);
    const count = sockets.splice(this.source, this.#pipe.writeEnd, length, SPLICE_FLAGS);
    if (count > 0) {
      this.bytes += count;
      this.#piped = count;
      this.#bulk = count >= BULK_BYTES_MIN;
      return null;
    }
    if (count === -1 && sockets.errno === EINVAL) {
      this.#spliceable = false;
      return null;
    }
    return this.#readNothing(count);
  }

  #readNothing(count: number): PumpOutcome | null {
    const { sockets } = this.#context;
    if (count === 0) {
      this.ended = true;
      this.#rest();
      return PUMP.ended;
    }
    if (sockets.errno === EINTR) return null;
    if (sockets.errno !== EAGAIN) {
      this.errno = sockets.errno;
      return PUMP.sourceFailed;
    }
    this.canRead = false;
    return null;
  }

  #sendKept(): PumpOutcome | null {
    const kept = this.#kept!;
    if (!this.canWrite) return PUMP.waits;
    const sent = this.#context.sockets.sendBytes(this.sink, kept.subarray(this.#keptStart));
    if (sent === -1) {
      if (!this.#isWait()) return this.#sinkFails();
      this.canWrite = false;
      return PUMP.waits;
    }
    this.#keptStart += sent;
    if (this.#keptStart === kept.length) this.#kept = null;
    return null;
  }

  #emptyPipe(): PumpOutcome | null {
    if (!this.canWrite) return PUMP.waits;
    const count = this.#context.sockets.splice(this.#pipe!.readEnd, this.sink, this.#piped, SPLICE_FLAGS);
    if (count === -1) {
      if (!this.#isWait()) return this.#sinkFails();
      this.canWrite = false;
      return PUMP.waits;
    }
    this.#piped -= count;
    return null;
  }

  #isWait(): boolean {
    const { errno } = this.#context.sockets;
    return errno === EAGAIN || errno === EINTR;
  }

  #sinkFails(): PumpOutcome {
    this.errno = this.#context.sockets.errno;
    return PUMP.sinkFailed;
  }
}
