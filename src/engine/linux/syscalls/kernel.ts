/**
 * The system calls of the linux engine, one line each: libc functions called through the FFI with plain numbers.
 *
 * Every call answers what libc answers: a count, a descriptor or 0, or -1 with the reason in `errno()`. The reason
 * must be read straight after the call: the next call on this thread, or anything else that enters the kernel,
 * may overwrite it. Addresses are numbers into an arena (`arena.ts`); they stay below 2^53, so numbers are exact.
 *
 * Pointers are declared `uintptr_t` because the FFI passes a number in 25 to 40 ns and a Buffer in more than 60.
 * Counts are declared `int` where C has ssize_t: the FFI makes a number of 32 bits in half the time, and no call here
 * asks for 2 GiB.
 * fcntl and ioctl are variadic in C, yet called with fixed arguments: on x86-64 (System V ABI) and arm64 (AAPCS64)
 * integer arguments travel the same way in both forms.
 */

/** The part of the FFI's library handle that is used here. */
export interface NativeLibrary {
  func(prototype: string): (...args: readonly number[]) => number;
}

/** libc as it is; see the man page of the same name. Descriptors, counts and addresses are plain numbers. */
export interface Kernel {
  /** The error number of the call just made on this thread; means nothing after a call that succeeded. */
  errno(): number;

  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  /** `address` and `lengthAddress` may be 0 when nobody asks who called. */
  accept4(fd: number, address: number, lengthAddress: number, flags: number): number;
  connect(fd: number, address: number, length: number): number;
  getsockname(fd: number, address: number, lengthAddress: number): number;
  getpeername(fd: number, address: number, lengthAddress: number): number;
  getsockopt(fd: number, level: number, option: number, value: number, lengthAddress: number): number;
  setsockopt(fd: number, level: number, option: number, value: number, length: number): number;
  recv(fd: number, address: number, length: number, flags: number): number;
  /** Pass MSG_NOSIGNAL; Node ignores SIGPIPE, but a program that embeds the library may have changed that. */
  send(fd: number, address: number, length: number, flags: number): number;
  recvmsg(fd: number, message: number, flags: number): number;
  sendmsg(fd: number, message: number, flags: number): number;
  shutdown(fd: number, how: number): number;

  read(fd: number, address: number, length: number): number;
  write(fd: number, address: number, length: number): number;
  readv(fd: number, vectors: number, count: number): number;
  writev(fd: number, vectors: number, count: number): number;
  close(fd: number): number;
  /** Writes the two descriptors, read end first, as 32-bit numbers at `pair`. */
  pipe2(pair: number, flags: number): number;
  /** Without offsets: at least one side is a pipe, the other a pipe or a socket. */
  splice(from: number, to: number, length: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  ioctl(fd: number, request: number, argument: number): number;

  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: number): number;
  epoll_wait(epoll: number, events: number, eventsMax: number, timeoutMs: number): number;
  poll(descriptors: number, count: number, timeoutMs: number): number;
  eventfd(initial: number, flags: number): number;

  getrlimit(resource: number, limit: number): number;
  setrlimit(resource: number, limit: number): number;
  sched_yield(): number;
  /** `thread` 0 is the calling thread. */
  sched_setaffinity(thread: number, length: number, mask: number): number;
  /** Answers the address, or -1. */
  mmap(hint: number, length: number, protection: number, flags: number): number;
  /** Only for memory that no view was made of: a read through a view of unmapped memory kills the process. */
  munmap(address: number, length: number): number;
  madvise(address: number, length: number, advice: number): number;
}

/** Binds the functions of `library`; throws what the FFI throws when a symbol is not there. */
export function bindKernel(library: NativeLibrary, errno: () => number): Kernel {
  const c = (prototype: string) => library.func(prototype);
  const splice = c('int splice(int, uintptr_t, int, uintptr_t, size_t, uint)');
  const mmap = c('intptr_t mmap(uintptr_t, size_t, int, int, int, intptr_t)');
  // One object literal, so that V8 gives it fast properties; filling 40 of them in a loop makes it a hash table.
  return {
    errno,
    socket: c('int socket(int, int, int)'),
    bind: c('int bind(int, uintptr_t, uint)'),
    listen: c('int listen(int, int)'),
    accept4: c('int accept4(int, uintptr_t, uintptr_t, int)'),
    connect: c('int connect(int, uintptr_t, uint)'),
    getsockname: c('int getsockname(int, uintptr_t, uintptr_t)'),
    getpeername: c('int getpeername(int, uintptr_t, uintptr_t)'),
    getsockopt: c('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
    setsockopt: c('int setsockopt(int, int, int, uintptr_t, uint)'),
    recv: c('int recv(int, uintptr_t, size_t, int)'),
    send: c('int send(int, uintptr_t, size_t, int)'),
    recvmsg: c('int recvmsg(int, uintptr_t, int)'),
    sendmsg: c('int sendmsg(int, uintptr_t, int)'),
    shutdown: c('int shutdown(int, int)'),
    read: c('int read(int, uintptr_t, size_t)'),
    write: c('int write(int, uintptr_t, size_t)'),
    readv: c('int readv(int, uintptr_t, int)'),
    writev: c('int writev(int, uintptr_t, int)'),
    close: c('int close(int)'),
    pipe2: c('int pipe2(uintptr_t, int)'),
    splice: (from, to, length, flags) => splice(from, 0, to, 0, length, flags),
    fcntl: c('int fcntl(int, int, intptr_t)'),
    ioctl: c('int ioctl(int, uintptr_t, uintptr_t)'),
    epoll_create1: c('int epoll_create1(int)'),
    epoll_ctl: c('int epoll_ctl(int, int, int, uintptr_t)'),
    epoll_wait: c('int epoll_wait(int, uintptr_t, int, int)'),
    poll: c('int poll(uintptr_t, uintptr_t, int)'),
    eventfd: c('int eventfd(uint, int)'),
    getrlimit: c('int getrlimit(int, uintptr_t)'),
    setrlimit: c('int setrlimit(int, uintptr_t)'),
    sched_yield: c('int sched_yield()'),
    sched_setaffinity: c('int sched_setaffinity(int, size_t, uintptr_t)'),
    mmap: (hint, length, protection, flags) => mmap(hint, length, protection, flags, -1, 0),
    munmap: c('int munmap(uintptr_t, size_t)'),
    madvise: c('int madvise(uintptr_t, size_t, int)'),
  };
}
