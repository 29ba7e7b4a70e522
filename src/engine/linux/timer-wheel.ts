/**
 * Timers of one worker in a hashed wheel: setting and cancelling cost the same for ten connections and for a hundred
 * thousand, and allocate nothing. Due times are rounded up to whole ticks.
 */

/** Something that can wait in a wheel, at most once at a time. */
export abstract class WheelTimer {
  /** For the wheel alone. */
  nextTimer: WheelTimer | null = null;
  /** For the wheel alone. */
  previousTimer: WheelTimer | null = null;
  /** For the wheel alone: the tick it is due at, or NOT_WAITING, or FIRING. */
  dueTick = NOT_WAITING;

  /** Called once when the time is over; it may set itself again. */
  abstract onTimer(): void;
}

const NOT_WAITING = -1;
/** Taken out of the wheel, not called yet: another timer of the same tick may still cancel it. */
const FIRING = -2;

/** Milliseconds of one tick: how late a timer may be. */
const TICK_MS = 8;
/** One round is about 4 s; timers further away stay in their slot for several rounds. */
const SLOTS = 512;

export class TimerWheel {
  readonly #slots: (WheelTimer | null)[] = Array.from({ length: SLOTS }, () => null);
  readonly #startMs: number;
  readonly #due: WheelTimer[] = [];
  #tick = 0;
  #count = 0;

  /** @param nowMs A monotonic clock's reading, like every other time given to the wheel. */
  constructor(nowMs: number) {
    this.#startMs = nowMs;
  }

  /** Timers waiting. */
  get count(): number {
    return this.#count;
  }

  /** Sets a timer, or sets it anew; it fires no earlier than `delayMs` from `nowMs`. */
  set(timer: WheelTimer, nowMs: number, delayMs: number): void {
    if (timer.dueTick !== NOT_WAITING) this.cancel(timer);
    const tick = Math.max(this.#tick + 1, Math.ceil((nowMs - this.#startMs + delayMs) / TICK_MS));
    const slot = tick % SLOTS;
    const first = this.#slots[slot] ?? null;
    timer.dueTick = tick;
    timer.nextTimer = first;
    timer.previousTimer = null;
    if (first !== null) first.previousTimer = timer;
    this.#slots[slot] = timer;
    this.#count++;
  }

  /** Takes a timer out; one that does not wait is left alone. */
  cancel(timer: WheelTimer): void {
    if (timer.dueTick === FIRING) timer.dueTick = NOT_WAITING;
    else if (timer.dueTick !== NOT_WAITING) this.#remove(timer, NOT_WAITING);
  }

  /** Calls every timer that is due. */
  advance(nowMs: number): void {
    const target = Math.floor((nowMs - this.#startMs) / TICK_MS);
    if (target <= this.#tick) return;
    if (this.#count === 0) {
      this.#tick = target;
      return;
    }
    // After a stall longer than a round each slot is looked at once.
    const last = Math.min(target, this.#tick + SLOTS);
    for (let tick = this.#tick + 1; tick <= last; tick++) this.#collect(tick % SLOTS, target);
    this.#tick = target;
    for (const timer of this.#due) {
      if (timer.dueTick !== FIRING) continue;
      timer.dueTick = NOT_WAITING;
      timer.onTimer();
    }
    this.#due.length = 0;
  }

  /** Milliseconds until the wheel wants to be advanced, or -1 if no timer waits. */
  delayMs(nowMs: number): number {
    if (this.#count === 0) return -1;
    let tick = this.#tick + 1;
    while (this.#slots[tick % SLOTS] === null && tick < this.#tick + SLOTS) tick++;
    return Math.max(0, Math.ceil(this.#startMs + tick * TICK_MS - nowMs));
  }

  #collect(slot: number, target: number): void {
    for (let timer = this.#slots[slot] ?? null; timer !== null;) {
      const { nextTimer } = timer;
      if (timer.dueTick <= target) {
        this.#remove(timer, FIRING);
        this.#due.push(timer);
      }
      timer = nextTimer;
    }
  }

  #remove(timer: WheelTimer, state: number): void {
    const { previousTimer, nextTimer } = timer;
    if (previousTimer === null) this.#slots[timer.dueTick % SLOTS] = nextTimer;
    else previousTimer.nextTimer = nextTimer;
    if (nextTimer !== null) nextTimer.previousTimer = previousTimer;
    timer.nextTimer = null;
    timer.previousTimer = null;
    timer.dueTick = state;
    this.#count--;
  }
}
