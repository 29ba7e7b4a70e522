/**
 * One stretch of memory that both sides see: the kernel by address, JavaScript through views. It never moves and is
 * never freed under a view, so an address taken once stays good for the life of the thread.
 */
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from './constants.ts';
import type { Kernel } from './kernel.ts';
import { systemError } from './system-error.ts';

/** A named part of an arena. */
export interface Region {
  readonly name: string;
  /** For the kernel. */
  readonly address: number;
  /** Of its first byte in the arena, for `view`. */
  readonly offset: number;
  readonly length: number;
  readonly bytes: Buffer;
  /** Over the whole arena: index it with `offset`. */
  readonly view: DataView;
}

export interface Arena {
  readonly address: number;
  readonly length: number;
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Bytes not handed out yet. */
  readonly free: number;
  /** Hands out the next `length` bytes, zeroed, at a multiple of `alignment` (a power of two; 16 by default). */
  allocate(name: string, length: number, alignment?: number): Region;
  /**
   * Gives the memory back to the kernel. The addresses stay mapped, to pages that read as zero: V8 cannot be made to
   * forget a view, and a late read of unmapped memory would kill the process. Closing twice does nothing.
   */
  close(): void;
}

/** Shows `length` bytes at `address` as an ArrayBuffer, without copying. */
export type ViewMemory = (address: number, length: number) => ArrayBuffer;

const PAGE_BYTES = 4096;
/**
 * Where arenas are asked for: below 2^31, an address is a small integer to V8, and passing it allocates nothing. Above
 * 1 GiB, to leave the heap of a program linked at a fixed address room to grow. The kernel takes another place when
 * this one is in use (mmap(2)); only speed is lost then.
 */
const HINT_FIRST = 0x4000_0000;
const HINT_END = 0x8000_0000;
const HINT_STEPS = 32;

/** Maps at least `length` bytes of zeroed memory; throws a SystemError when the kernel has none to give. */
export function createArena(kernel: Kernel, viewMemory: ViewMemory, length: number): Arena {
  if (!Number.isSafeInteger(length) || length <= 0)
    throw new RangeError(`an arena cannot have ${length} bytes`);
  const rounded = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
  const address = mapMemory(kernel, rounded);
  const memory = viewMemory(address, rounded);
  return new MappedArena(kernel, address, memory);
}

function mapMemory(kernel: Kernel, length: number): number {
  const step = (HINT_END - HINT_FIRST) / HINT_STEPS;
  for (let hint = HINT_FIRST; hint + length <= HINT_END; hint += step) {
    const address = mapAt(kernel, hint, length);
    if (address + length <= HINT_END) return address;
    kernel.munmap(address, length);
  }
  return mapAt(kernel, 0, length);
}

function mapAt(kernel: Kernel, hint: number, length: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const address = kernel.mmap(hint, length, PROT_READ | PROT_WRITE, flags);
  if (address === -1) throw systemError('mmap', kernel.errno(), `${length} bytes`);
  return address;
}

class MappedArena implements Arena {
  readonly address: number;
  readonly length: number;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly #kernel: Kernel;
  #used = 0;
  #closed = false;

  constructor(kernel: Kernel, address: number, memory: ArrayBuffer) {
    this.#kernel = kernel;
    this.address = address;
    this.length = memory.byteLength;
    this.bytes = Buffer.from(memory);
    this.view = new DataView(memory);
  }

  get free(): number {
    return this.length - this.#used;
  }

  allocate(name: string, length: number, alignment = 16): Region {
    const offset = Math.ceil(this.#used / alignment) * alignment;
    if (this.#closed) throw new Error(`the arena that should hold '${name}' is closed`);
    if (offset + length > this.length) {
      throw new RangeError(
        `no room for '${name}': ${length} bytes wanted, ${this.length - offset} left in the arena`,
      );
    }
    this.#used = offset + length;
    const bytes = this.bytes.subarray(offset, offset + length);
    return { name, address: this.address + offset, offset, length, bytes, view: this.view };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#kernel.madvise(this.address, this.length, MADV_DONTNEED);
  }
}
