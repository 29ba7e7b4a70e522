/**
 * Pipes that bulk traffic is spliced through, reused from one connection to the next. A pipe is given back only when
 * it is empty.
 */
import { PIPE_BYTES, PIPE_BYTES_MIN, PIPES_IDLE_MS, PIPES_MAX } from '../../limits.ts';
import { F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK } from './syscalls/constants.ts';
import type { Arena, Region } from './syscalls/arena.ts';
import type { Reactor } from './reactor.ts';
import type { Sockets } from './sockets.ts';
import { WheelTimer } from './timer-wheel.ts';

export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
  /** Bytes it holds at most. */
  readonly capacity: number;
}

export class PipePool extends WheelTimer {
  readonly #sockets: Sockets;
  readonly #reactor: Reactor;
  readonly #pair: Region;
  readonly #idle: Pipe[] = [];
  #count = 0;
  /** Set when the kernel refuses pipes of a useful size (pipe(7), pipe-user-pages-soft): copying is faster then. */
  #refused = false;
  #usedAtMs = 0;

  constructor(sockets: Sockets, reactor: Reactor, arena: Arena) {
    super();
    this.#sockets = sockets;
    this.#reactor = reactor;
    this.#pair = arena.allocate('pipe ends', 8);
  }

  /** Pipes that exist. */
  get count(): number {
    return this.#count;
  }

  /** Told of each step of bulk traffic, whether it has a pipe or is copied. */
  noteBulk(): void {
    this.#reactor.noteUnpollable();
  }

  /** An empty pipe, or null if there is none to be had now. */
  take(): Pipe | null {
    this.#usedAtMs = this.#reactor.now;
    return this.#idle.pop() ?? this.#open();
  }

  /** Takes an empty pipe back. */
  giveBack(pipe: Pipe): void {
    this.#idle.push(pipe);
    if (this.#idle.length === 1) this.#reactor.timers.set(this, this.#reactor.now, PIPES_IDLE_MS);
  }

  /** Closes a pipe that may still hold bytes. */
  discard(pipe: Pipe): void {
    this.#sockets.close(pipe.readEnd);
    this.#sockets.close(pipe.writeEnd);
    this.#count--;
  }

  /** Closes the pipes that nobody uses, once bulk traffic has ceased. */
  onTimer(): void {
    const idleMs = this.#reactor.now - this.#usedAtMs;
    if (idleMs < PIPES_IDLE_MS) {
      this.#reactor.timers.set(this, this.#reactor.now, PIPES_IDLE_MS - idleMs);
      return;
    }
    for (const pipe of this.#idle.splice(0)) this.discard(pipe);
    this.#refused = false;
  }

  #open(): Pipe | null {
    if (this.#refused || this.#count >= PIPES_MAX) return null;
    const { kernel } = this.#sockets;
    if (kernel.pipe2(this.#pair.address, O_NONBLOCK | O_CLOEXEC) === -1) return null;
    const readEnd = this.#pair.bytes.readInt32LE(0);
    const writeEnd = this.#pair.bytes.readInt32LE(4);
    this.#sockets.adopt(readEnd);
    this.#sockets.adopt(writeEnd);
    this.#count++;
    const capacity = this.#enlarge(writeEnd);
    if (capacity >= PIPE_BYTES_MIN) return { readEnd, writeEnd, capacity };
    this.#refused = true;
    this.discard({ readEnd, writeEnd, capacity });
    this.#reactor.timers.set(this, this.#reactor.now, PIPES_IDLE_MS);
    return null;
  }

  #enlarge(fd: number): number {
    for (let bytes = PIPE_BYTES; bytes >= PIPE_BYTES_MIN; bytes /= 2) {
      const capacity = this.#sockets.kernel.fcntl(fd, F_SETPIPE_SZ, bytes);
      if (capacity !== -1) return capacity;
    }
    return 0;
  }
}
