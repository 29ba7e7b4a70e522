/** Tries what the reactor stands on: a container's seccomp filter or another kernel's emulation may refuse it. */
import type { Arena } from './arena.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, EPOLLET, EPOLLIN, EPOLL_CLOEXEC, EPOLL_CTL_ADD } from './constants.ts';
import { O_CLOEXEC, O_NONBLOCK, SPLICE_F_NONBLOCK } from './constants.ts';
import type { Kernel } from './kernel.ts';
import { createEpollEvents } from './layouts.ts';
import { orThrow } from './system-error.ts';

const PROBE_BYTES = 4096;

/** Null when epoll, eventfd and splice work; else what is refused. Leaves nothing open. */
export function probeKernel(kernel: Kernel, makeArena: (bytes: number) => Arena): string | null {
  const opened: number[] = [];
  const arena = makeArena(PROBE_BYTES);
  try {
    probeEpoll(kernel, arena, opened);
    probeSplice(kernel, arena, opened);
    return null;
  } catch (error) {
    return `the kernel refuses a system call it needs: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const fd of opened) kernel.close(fd);
    arena.close();
  }
}

function probeEpoll(kernel: Kernel, arena: Arena, opened: number[]): void {
  const epoll = orThrow(kernel, 'epoll_create1', kernel.epoll_create1(EPOLL_CLOEXEC));
  opened.push(epoll);
  const wake = orThrow(kernel, 'eventfd', kernel.eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  opened.push(wake);
  const events = createEpollEvents(arena, 'probe events', 1);
  events.set(EPOLLIN | EPOLLET, wake, 1);
  orThrow(kernel, 'epoll_ctl', kernel.epoll_ctl(epoll, EPOLL_CTL_ADD, wake, events.address));
  const ready = orThrow(kernel, 'epoll_wait', kernel.epoll_wait(epoll, events.address, 1, 0));
  if (ready !== 1 || events.low(0) !== wake)
    throw new Error('epoll_wait does not report an event that is there');
}

function probeSplice(kernel: Kernel, arena: Arena, opened: number[]): void {
  const pair = arena.allocate('probe pipe', 8);
  const openPipe = (): { readonly from: number; readonly into: number } => {
    orThrow(kernel, 'pipe2', kernel.pipe2(pair.address, O_NONBLOCK | O_CLOEXEC));
    const from = pair.view.getInt32(pair.offset, true);
    const into = pair.view.getInt32(pair.offset + 4, true);
    opened.push(from, into);
    return { from, into };
  };
  const source = openPipe();
  const sink = openPipe();
  orThrow(kernel, 'write', kernel.write(source.into, pair.address, 1));
  orThrow(kernel, 'splice', kernel.splice(source.from, sink.into, 1, SPLICE_F_NONBLOCK));
}
