/** Socket options that are one int (socket(7), ip(7), tcp(7)), without a buffer at the call. */
import type { Arena } from './arena.ts';
import type { Kernel } from './kernel.ts';

export interface SocketOptions {
  /** Answers 0, or -1 with the reason in `errno()`. */
  set(fd: number, level: number, option: number, value: number): number;
  /** Answers the value, or -1 with the reason in `errno()`: the options of sockets that matter here are not negative. */
  get(fd: number, level: number, option: number): number;
}

/** Takes 8 bytes of the arena. */
export function createSocketOptions(kernel: Kernel, arena: Arena): SocketOptions {
  const { address, offset, view } = arena.allocate('socket option', 8);
  return {
    set(fd, level, option, value) {
      view.setInt32(offset, value, true);
      return kernel.setsockopt(fd, level, option, address, 4);
    },
    get(fd, level, option) {
      view.setInt32(offset + 4, 4, true);
      return kernel.getsockopt(fd, level, option, address, address + 4) === -1
        ? -1
        : view.getInt32(offset, true);
    },
  };
}
