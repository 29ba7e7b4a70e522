/**
 * A small event loop for both ends of the bench, straight on the system calls: Node's own sockets would be slower than
 * the proxies they measure. Level-triggered, one handler a descriptor, no timers.
 */
import type { Arena, Region } from '../../src/engine/linux/syscalls/arena.ts';
import * as C from '../../src/engine/linux/syscalls/constants.ts';
import type { Kernel } from '../../src/engine/linux/syscalls/kernel.ts';
import * as layouts from '../../src/engine/linux/syscalls/layouts.ts';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { createSocketOptions } from '../../src/engine/linux/syscalls/socket-options.ts';
import type { SocketOptions } from '../../src/engine/linux/syscalls/socket-options.ts';
import { orThrow, systemError } from '../../src/engine/linux/syscalls/system-error.ts';
import { BULK_BYTES } from './wire.ts';

export interface Handler {
  /** Called with the event bits of its descriptor; closes it with `reactor.drop` when it is done. */
  ready(events: number): void;
}

/** An address that was written once and is dialled often. */
export interface Target {
  readonly address: number;
  readonly length: number;
}

const ARENA_BYTES = 8 * 1024 * 1024;
const EVENTS_MAX = 512;
const IDLE_WAIT_MS = 50;

export class Reactor {
  readonly kernel: Kernel;
  readonly options: SocketOptions;
  /** For the bytes of one call; means nothing after `ready` returns. */
  readonly scratch: Region;
  readonly arena: Arena;
  readonly #epoll: number;
  readonly #change: layouts.EpollEvents;
  readonly #events: layouts.EpollEvents;
  readonly #handlers: (Handler | undefined)[] = [];
  /** How often a descriptor number was watched, to tell an event from one of its predecessor. */
  readonly #generations: number[] = [];
  #later: (() => void)[] = [];

  constructor() {
    const loaded = loadKernel();
    if (!loaded.ok) throw new Error(`the bench needs the system calls of the linux engine: ${loaded.why}`);
    this.kernel = loaded.kernel;
    this.arena = loaded.createArena(ARENA_BYTES);
    this.options = createSocketOptions(this.kernel, this.arena);
    this.scratch = this.arena.allocate('scratch', BULK_BYTES, 4096);
    this.#change = layouts.createEpollEvents(this.arena, 'change', 1);
    this.#events = layouts.createEpollEvents(this.arena, 'events', EVENTS_MAX);
    this.#epoll = orThrow(this.kernel, 'epoll_create1', this.kernel.epoll_create1(C.EPOLL_CLOEXEC));
  }

  /** Keeps this thread on one processor (sched_setaffinity(2)). */
  pin(cpu: number): void {
    const mask = this.arena.allocate('cpu mask', 128, 8);
    mask.bytes[cpu >> 3] = 1 << (cpu & 7);
    orThrow(this.kernel, 'sched_setaffinity', this.kernel.sched_setaffinity(0, mask.length, mask.address));
  }

  /** A port of 127.0.0.1, or port 0 of another loopback address to dial from. */
  target(port: number, address = '127.0.0.1'): Target {
    const region = this.arena.allocate('target', layouts.SOCKADDR_STORAGE_BYTES);
    const endpoint = { kind: 'tcp', address, port, family: 4 } as const;
    return {
      address: region.address,
      length: layouts.writeSockaddr(region.view, region.offset, endpoint),
    };
  }

  /** Bytes at a fixed address. */
  constant(bytes: Buffer): Region {
    const region = this.arena.allocate('constant', bytes.length);
    region.bytes.set(bytes);
    return region;
  }

  /** A socket that connects, or has connected, to the target; -1 when the kernel has no port or memory left. */
  dial(target: Target, source: Target | null = null): number {
    const fd = this.kernel.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd === -1) return -1;
    if (source !== null) {
      this.options.set(fd, C.IPPROTO_IP, C.IP_BIND_ADDRESS_NO_PORT, 1);
      this.kernel.bind(fd, source.address, source.length);
    }
    const result = this.kernel.connect(fd, target.address, target.length);
    if (result === 0 || this.kernel.errno() === C.EINPROGRESS) return fd;
    this.kernel.close(fd);
    return -1;
  }

  watch(fd: number, events: number, handler: Handler): void {
    const generation = ((this.#generations[fd] ?? 0) + 1) | 0;
    this.#generations[fd] = generation;
    this.#handlers[fd] = handler;
    this.#control(C.EPOLL_CTL_ADD, fd, events);
  }

  rewatch(fd: number, events: number): void {
    this.#control(C.EPOLL_CTL_MOD, fd, events);
  }

  /** Closes the descriptor and forgets its handler. */
  drop(fd: number): void {
    this.#handlers[fd] = undefined;
    this.kernel.close(fd);
  }

  /** Runs `task` in the next turn, about a millisecond later: for what cannot go on now. */
  later(task: () => void): void {
    this.#later.push(task);
  }

  /** Turns until the clock of performance.now() shows `deadlineMs` or `isDone` says so. */
  run(deadlineMs: number, isDone: () => boolean = () => false): void {
    while (!isDone()) {
      const left = deadlineMs - performance.now();
      if (left <= 0) return;
      this.#turn(this.#later.length > 0 ? 1 : Math.ceil(Math.min(left, IDLE_WAIT_MS)));
    }
  }

  #turn(timeoutMs: number): void {
    const count = this.kernel.epoll_wait(this.#epoll, this.#events.address, EVENTS_MAX, timeoutMs);
    if (count === -1 && this.kernel.errno() !== C.EINTR) throw systemError('epoll_wait', this.kernel.errno());
    for (let index = 0; index < count; index++) {
      const fd = this.#events.low(index);
      if (this.#generations[fd] === this.#events.high(index))
        this.#handlers[fd]?.ready(this.#events.events(index));
    }
    if (this.#later.length === 0) return;
    const tasks = this.#later;
    this.#later = [];
    for (const task of tasks) task();
  }

  #control(operation: number, fd: number, events: number): void {
    this.#change.set(events, fd, this.#generations[fd]!);
    orThrow(
      this.kernel,
      'epoll_ctl',
      this.kernel.epoll_ctl(this.#epoll, operation, fd, this.#change.address),
    );
  }
}
