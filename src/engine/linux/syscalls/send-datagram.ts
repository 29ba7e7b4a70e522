/** One message to a Unix-domain datagram socket, which Node has no way to send. */
import type { Arena } from './arena.ts';
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from './constants.ts';
import type { Kernel } from './kernel.ts';
import { SOCKADDR_STORAGE_BYTES, writeSockaddr } from './layouts.ts';
import type { LoadedKernel } from './load-kernel.ts';
import { errnoName } from './system-error.ts';

const MESSAGE_BYTES_MAX = 8192;

/** Answers the code of the system's error, or null. A path that begins with NUL is in the abstract namespace (unix(7)). */
export type SendDatagram = (path: string, text: string) => string | null;

/** Takes an arena of its own; never waits for the receiver. */
export function createDatagramSender({
  kernel,
  createArena,
}: Extract<LoadedKernel, { ok: true }>): SendDatagram {
  const arena: Arena = createArena(SOCKADDR_STORAGE_BYTES + MESSAGE_BYTES_MAX);
  const address = arena.allocate('address', SOCKADDR_STORAGE_BYTES);
  const message = arena.allocate('message', MESSAGE_BYTES_MAX);
  return (path, text) => {
    const length = writeSockaddr(arena.view, address.offset, { kind: 'unix', path });
    const bytes = message.bytes.write(text);
    const fd = kernel.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd === -1) return errnoName(kernel.errno());
    const to = { fd, address: address.address, length };
    const code = sendTo(kernel, to, { address: message.address, bytes });
    kernel.close(fd);
    return code;
  };
}

function sendTo(
  kernel: Kernel,
  { fd, address, length }: { readonly fd: number; readonly address: number; readonly length: number },
  message: { readonly address: number; readonly bytes: number },
): string | null {
  if (kernel.connect(fd, address, length) === -1) return errnoName(kernel.errno());
  const sent = kernel.send(fd, message.address, message.bytes, MSG_NOSIGNAL);
  return sent === -1 ? errnoName(kernel.errno()) : null;
}
