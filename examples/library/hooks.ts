// TypeScript: hooks that count clients by their fingerprint, and refuse those that come too often.
import { once } from 'node:events';
import { connect } from 'node:tls';
import { createProxy, defineConfig } from 'sniway';
import type { ClientInfo, HelloInfo, HookAnswer } from 'sniway';

const seen = new Map<string, number>();

function onHello({ ja4, serverName }: HelloInfo, { address }: ClientInfo): HookAnswer {
  const count = (seen.get(ja4) ?? 0) + 1;
  seen.set(ja4, count);
  console.log(`${address} asks for ${serverName ?? 'nobody'}, for the ${count}. time`);
  return count > 2 ? { reject: 'access_denied' } : undefined;
}

const config = defineConfig({
  listen: '127.0.0.1:0',
  routes: [{ match: '**.example.com', reject: 'unrecognized_name' }],
  hooks: {
    onHello,
    onEnd: ({ endReason, detail }) => console.log(`${endReason}, because of ${detail ?? 'its route'}`),
  },
});

const controller = new AbortController();
const proxy = createProxy(config, { signal: controller.signal });
const [bound] = await proxy.start();
for (const name of ['a.example.com', 'b.example.com', 'c.example.com']) {
  const socket = connect({ port: bound?.port ?? 0, servername: name });
  await once(socket, 'error');
}
console.log(
  proxy
    .snapshot()
    .routes.map(route => `${route.name}: ${route.action}`)
    .join(),
);
await proxy.drain();
controller.abort(); // closes it
