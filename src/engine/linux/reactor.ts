/**
 * The event loop of one worker: epoll, timers, and a queue of work that gave way to others. It knows descriptors and
 * who wants to hear of them; what happens on them is their owners' affair.
 */
import { nowMs } from './clock.ts';
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from './syscalls/constants.ts';
import { createEpollEvents } from './syscalls/layouts.ts';
import type { EpollEvents } from './syscalls/layouts.ts';
import type { Arena } from './syscalls/arena.ts';
import type { Kernel } from './syscalls/kernel.ts';
import { orThrow, systemError } from './syscalls/system-error.ts';
import { TimerWheel } from './timer-wheel.ts';

/** Who is told of events. A step that throws is handed to `onFault`, and the loop goes on. */
export interface EventOwner {
  /** @param role The number given to `watch`. @param events EPOLLIN and its like. */
  onEvents(role: number, events: number): void;
  onFault(error: unknown): void;
}

/** Work that gave way after its share; called once for each `enqueue`. */
export interface QueuedWork {
  onTurn(): void;
  onFault(error: unknown): void;
}

/** Short waits in a row that make traffic dense. */
const DENSE_WAITS_MIN = 4;
/** epoll_wait answers at most this many events at once; the rest waits for the next turn. */
const EVENTS_MAX = 512;

export class Reactor {
  /** A monotonic clock, read once in each turn of the loop; milliseconds. */
  now = nowMs();
  /** Counts the turns of the loop. */
  turn = 0;
  readonly timers = new TimerWheel(this.now);
  readonly #kernel: Kernel;
  readonly #epoll: number;
  readonly #events: EpollEvents;
  readonly #change: EpollEvents;
  readonly #owners: (EventOwner | null)[] = [];
  readonly #roles: number[] = [];
  /** Counts the uses of a watch number: events of an earlier use, still in the batch, are told by it. */
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  #queue: QueuedWork[] = [];
  #running: QueuedWork[] = [];
  #stopped = false;
  readonly #spinMs: number;
  /** Waits in a row that were shorter than a spin. */
  #denseWaits = 0;

  /** @param spinMs How long to poll before sleeping while traffic is dense; 0 for never. */
  constructor(kernel: Kernel, arena: Arena, spinMs: number) {
    this.#kernel = kernel;
    this.#spinMs = spinMs;
    this.#events = createEpollEvents(arena, 'epoll events', EVENTS_MAX);
    this.#change = createEpollEvents(arena, 'epoll change', 1);
    this.#epoll = orThrow(kernel, 'epoll_create1', kernel.epoll_create1(EPOLL_CLOEXEC));
  }

  /** The epoll descriptor. */
  get descriptor(): number {
    return this.#epoll;
  }

  /** Tells `owner` of these events on `fd`, which stays the caller's to close; answers the watch's number. */
  watch(fd: number, events: number, owner: EventOwner, role: number): number {
    const watch = this.#free.pop() ?? this.#add();
    this.#owners[watch] = owner;
    this.#roles[watch] = role;
    this.#change.set(events, watch, this.#uses[watch]!);
    if (this.#kernel.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#change.address) === -1) {
      const errno = this.#kernel.errno();
      this.forget(watch);
      throw systemError('epoll_ctl', errno);
    }
    return watch;
  }

  /** Asks for other events on a descriptor that is watched. */
  change(watch: number, fd: number, events: number): void {
    this.#change.set(events, watch, this.#uses[watch]!);
    orThrow(
      this.#kernel,
      'epoll_ctl',
      this.#kernel.epoll_ctl(this.#epoll, EPOLL_CTL_MOD, fd, this.#change.address),
    );
  }

  /** Hands a watch over. */
  setOwner(watch: number, owner: EventOwner, role: number): void {
    this.#owners[watch] = owner;
    this.#roles[watch] = role;
  }

  /** Ends a watch whose descriptor is about to be closed, which takes it out of epoll (epoll(7), question 6). */
  forget(watch: number): void {
    this.#owners[watch] = null;
    this.#uses[watch] = (this.#uses[watch]! + 1) | 0;
    this.#free.push(watch);
  }

  /** Ends a watch whose descriptor stays open. */
  unwatch(watch: number, fd: number): void {
    this.#kernel.epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fd, 0);
    this.forget(watch);
  }

  /** Calls `work` in this turn or the next, after what is queued already. */
  enqueue(work: QueuedWork): void {
    this.#queue.push(work);
  }

  /**
   * Told of traffic that gains nothing from polling. The waits of bulk traffic are short, but what they wait for is work
   * on another processor; new connections come when they come.
   */
  noteUnpollable(): void {
    this.#denseWaits = 0;
  }

  /** Makes `run` return after its current turn. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs until `stop`. `beforeSleep` is called in each turn, before the loop may wait; it answers how long that may be,
   * in milliseconds, or -1 for as long as nothing happens.
   */
  run(beforeSleep: () => number): void {
    while (!this.#stopped) {
      const patienceMs = beforeSleep();
      const timeoutMs = this.#queue.length > 0 ? 0 : shorter(patienceMs, this.timers.delayMs(this.now));
      const count = this.#wait(timeoutMs);
      this.now = nowMs();
      this.turn++;
      for (let index = 0; index < count; index++) this.#dispatch(index);
      if (this.#queue.length > 0) this.#runQueue();
      this.timers.advance(this.now);
    }
  }

  /**
   * Waking up a thread takes longer than many an answer. While events follow each other closely they are polled for a
   * moment before the thread sleeps; the first moment in which none comes ends that until they are dense again.
   */
  #wait(timeoutMs: number): number {
    if (timeoutMs === 0 || this.#spinMs === 0) return this.#poll(timeoutMs);
    const startMs = nowMs();
    if (this.#denseWaits >= DENSE_WAITS_MIN) {
      const count = this.#spin(startMs + this.#spinMs);
      if (count !== 0) return count;
      this.#denseWaits = 0;
      return this.#poll(timeoutMs);
    }
    const count = this.#poll(timeoutMs);
    this.#denseWaits = nowMs() - startMs < this.#spinMs ? this.#denseWaits + 1 : 0;
    return count;
  }

  #spin(untilMs: number): number {
    let count = 0;
    do count = this.#poll(0);
    while (count === 0 && nowMs() < untilMs);
    return count;
  }

  #poll(timeoutMs: number): number {
    return this.#kernel.epoll_wait(this.#epoll, this.#events.address, EVENTS_MAX, timeoutMs);
  }

  #add(): number {
    this.#owners.push(null);
    this.#roles.push(0);
    this.#uses.push(0);
    return this.#owners.length - 1;
  }

  #dispatch(index: number): void {
    const watch = this.#events.low(index);
    const owner = this.#owners[watch];
    if (owner === null || owner === undefined || this.#uses[watch] !== this.#events.high(index)) return;
    try {
      owner.onEvents(this.#roles[watch]!, this.#events.events(index));
    } catch (error) {
      owner.onFault(error);
    }
  }

  #runQueue(): void {
    const work = this.#queue;
    this.#queue = this.#running;
    this.#running = work;
    for (const one of work) {
      try {
        one.onTurn();
      } catch (error) {
        one.onFault(error);
      }
    }
    work.length = 0;
  }
}

/** The shorter of two waits, where -1 is the longest. */
function shorter(left: number, right: number): number {
  if (left === -1) return right;
  return right === -1 ? left : Math.min(left, right);
}
