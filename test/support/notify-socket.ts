/** The socket on which a service manager hears of its services: a real one, of datagrams. */
import type { TestContext } from 'node:test';
import * as C from '../../src/engine/linux/syscalls/constants.ts';
import { SOCKADDR_STORAGE_BYTES, writeSockaddr } from '../../src/engine/linux/syscalls/layouts.ts';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import { orThrow } from '../../src/engine/linux/syscalls/system-error.ts';
import { eventually } from './peers.ts';

const MESSAGE_BYTES_MAX = 16 * 1024;
const POLL_MS = 2;

export class NotifySocket {
  /** All messages so far, each with its lines. */
  readonly messages: string[] = [];

  /** @param path Begins with NUL for one in the abstract namespace. */
  constructor(t: TestContext, path: string) {
    const loaded = loadKernel();
    if (!loaded.ok) throw new Error(loaded.why);
    const { kernel } = loaded;
    const arena = loaded.createArena(SOCKADDR_STORAGE_BYTES + MESSAGE_BYTES_MAX);
    const address = arena.allocate('address', SOCKADDR_STORAGE_BYTES);
    const message = arena.allocate('message', MESSAGE_BYTES_MAX);
    const type = C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
    const fd = orThrow(kernel, 'socket', kernel.socket(C.AF_UNIX, type, 0));
    const length = writeSockaddr(arena.view, address.offset, { kind: 'unix', path });
    orThrow(kernel, 'bind', kernel.bind(fd, address.address, length));
    // Its queue is short.
    const timer = setInterval(() => {
      for (;;) {
        const count = kernel.recv(fd, message.address, message.length, 0);
        if (count === -1) return;
        this.messages.push(message.bytes.toString('utf8', 0, count));
      }
    }, POLL_MS);
    t.after(() => {
      clearInterval(timer);
      kernel.close(fd);
    });
  }

  /** Resolves with the first message, of those that come and those that are there, that holds this line. */
  async heard(line: RegExp | string): Promise<string> {
    let found: string | undefined;
    await eventually(`the service manager hears ${String(line)}`, () => {
      found = this.messages.find(text => text.split('\n').some(one => matches(one, line)));
      return found !== undefined;
    });
    return found ?? '';
  }

  forget(): void {
    this.messages.length = 0;
  }
}

function matches(text: string, line: RegExp | string): boolean {
  return typeof line === 'string' ? text === line : line.test(text);
}
