/** Proxies under test, with the records they announced. */
import type { TestContext } from 'node:test';
import { createProxy } from '../../src/index.ts';
import type { ConnectionEnded, Notice, SniProxy, SniwayConfig } from '../../src/index.ts';

export interface TestProxy {
  readonly proxy: SniProxy;
  /** Port of the first listener. */
  readonly port: number;
  /** Records announced so far. */
  readonly ended: readonly ConnectionEnded[];
  readonly notices: readonly Notice[];
  /** Connections announced as opened so far. */
  readonly opened: () => number;
  /** Ports of the clients of those connections, in order. */
  readonly openedPorts: readonly number[];
  /** The next record that was not handed out before. */
  nextEnd(): Promise<ConnectionEnded>;
}

/** Starts a proxy on 127.0.0.1 (or as configured), killed at the end of the test. */
export async function startProxy(t: TestContext, config: Partial<SniwayConfig>): Promise<TestProxy> {
  const proxy = createProxy({ listen: '127.0.0.1:0', ...config });
  const ended: ConnectionEnded[] = [];
  const notices: Notice[] = [];
  const waiters: ((record: ConnectionEnded) => void)[] = [];
  let handedOut = 0;
  const openedPorts: number[] = [];
  proxy.on('opened', ({ client }) => openedPorts.push(client.port));
  proxy.on('notice', notice => notices.push(notice));
  proxy.on('ended', record => {
    ended.push(record);
    const waiter = waiters.shift();
    if (waiter === undefined) return;
    handedOut++;
    waiter(record);
  });
  t.after(() => proxy.kill());
  const [first] = await proxy.start();
  return {
    proxy,
    port: first?.port ?? 0,
    ended,
    notices,
    opened: () => openedPorts.length,
    openedPorts,
    nextEnd() {
      const waiting = ended[handedOut];
      if (waiting !== undefined) {
        handedOut++;
        return Promise.resolve(waiting);
      }
      return new Promise(resolve => {
        waiters.push(resolve);
      });
    },
  };
}
