/**
 * What the compiler has to say about uses of the library: each line compiles, or fails where it says so. Nothing of it
 * is run; it is compiled with the project, and against the packed package.
 */
import { subscribe } from 'node:diagnostics_channel';
import { createProxy, defineConfig } from 'sniway';
import type {
  BackendChange,
  BoundAddress,
  CallContext,
  ClientInfo,
  ConnectionEnded,
  ConnectionOpened,
  DiagnosticsMessages,
  DrainResult,
  HelloInfo,
  Hooks,
  Notice,
  ProxySnapshot,
  RouteConfig,
  RouteFunction,
  RouteVerdict,
  SniProxy,
  SniwayConfig,
  VerdictInfo,
} from 'sniway';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

function isTrue<T extends true>(): T | undefined {
  return undefined;
}

export async function useProxy(config: SniwayConfig, { signal }: AbortController): Promise<void> {
  await using proxy: SniProxy = createProxy(config, { signal });
  createProxy(config, {});
  // @ts-expect-error A signal, not its controller.
  createProxy(config, { signal: new AbortController() });
  // @ts-expect-error There is no proxy without a configuration.
  createProxy();

  const bound = await proxy.start();
  isTrue<Equal<typeof bound, readonly BoundAddress[]>>();
  const drained: DrainResult = await proxy.drain({ timeoutMs: 5_000, signal });
  // @ts-expect-error Milliseconds are a number.
  await proxy.drain({ timeoutMs: '5s' });
  // @ts-expect-error Results are not changed.
  drained.remaining = 0;
  const disposable: AsyncDisposable = proxy;
  await disposable[Symbol.asyncDispose]();
}

export function listen(proxy: SniProxy): void {
  proxy.on('opened', connection => isTrue<Equal<typeof connection, ConnectionOpened>>());
  proxy.on('ended', connection => isTrue<Equal<typeof connection, ConnectionEnded>>());
  proxy.on('backend', change => isTrue<Equal<typeof change, BackendChange>>());
  proxy.once('notice', notice => isTrue<Equal<typeof notice, Notice>>());
  // @ts-expect-error What is opened has not ended.
  proxy.on('opened', ({ endReason }) => String(endReason));

  type Message = DiagnosticsMessages<SniProxy>['sniway:connection:ended'];
  subscribe('sniway:connection:ended' satisfies keyof DiagnosticsMessages, message => {
    const { proxy: of, connection } = message as Message;
    isTrue<Equal<typeof connection, ConnectionEnded>>();
    return of.connectionCount;
  });
}

export const functions: readonly RouteFunction[] = [
  () => '10.0.0.5:443',
  () => ({ backend: 'unix:/run/app.sock' }),
  async () => ({ backends: ['10.0.0.5:443', '10.0.0.6:443'] }),
  ({ serverName }) => (serverName === null ? { reject: 'close' } : `${serverName}:443`),
  (hello: HelloInfo, client: ClientInfo, { signal }: CallContext): RouteVerdict =>
    signal.aborted ? { reject: 'unrecognized_name' } : `${hello.ja4}.${client.listener}.example.com:443`,
  // @ts-expect-error Nothing is no verdict.
  () => undefined,
  // @ts-expect-error There is no such answer.
  () => ({ reject: 'politely' }),
  // @ts-expect-error A backend is text.
  () => 443,
];

export const hooks: Hooks = {
  onHello: ({ alpnProtocols }) =>
    alpnProtocols.includes('h2') ? undefined : { reject: 'no_application_protocol' },
  async onVerdict(verdict: VerdictInfo) {
    if (verdict.kind === 'relay') isTrue<Equal<typeof verdict.backends, readonly string[]>>();
    else isTrue<Equal<typeof verdict.route, string | null>>();
    // @ts-expect-error Refusals have no backends.
    if (verdict.kind === 'reject') String(verdict.backends);
  },
  onEnd: record => void record.endReason,
};

// @ts-expect-error Hooks refuse, they do not route.
export const routing: Hooks = { onHello: () => '10.0.0.5:443' };

export const facts = ({ serverName, alpnProtocols }: HelloInfo): void => {
  isTrue<Equal<typeof serverName, string | null>>();
  // @ts-expect-error What a client has said stays as it is.
  alpnProtocols.push('h2');
};

export const config: SniwayConfig = defineConfig({
  listen: 443,
  routes: [{ match: '*.example.com', decide: () => Promise.resolve('10.0.0.5:443') }],
  hooks,
  timeouts: { decide: '500ms' },
});

// @ts-expect-error A route without names.
export const nameless: RouteConfig = { decide: () => '10.0.0.5:443' };

export const actions = ({ routes, policies }: ProxySnapshot): string =>
  routes.map(({ action }) => action satisfies 'relay' | 'reject' | 'function').join() + policies.notTls;
