// A route that is a function: where tenants live stands in a table that changes while the proxy runs.
import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { createProxy } from 'sniway';

const tenants = new Map();

const proxy = createProxy({
  listen: '127.0.0.1:0',
  routes: [
    {
      name: 'tenants',
      match: '*.example.com',
      decide: async ({ serverName }, client, { signal }) => {
        const backend = await lookUp(serverName, signal);
        return backend ?? { reject: 'unrecognized_name' };
      },
    },
  ],
});

/** Stands for a question to a database, which `signal` would end. */
function lookUp(name, signal) {
  signal.throwIfAborted();
  return Promise.resolve(tenants.get(name));
}

const [{ port }] = await proxy.start();
const backends = [await startBackend('apple'), await startBackend('pear')];

console.log(await ask('apple.example.com')); // nobody lives there yet
tenants.set('apple.example.com', backends[0].address);
tenants.set('pear.example.com', backends[1].address);
console.log(await ask('apple.example.com'));
console.log(await ask('pear.example.com'));

await proxy.close();
for (const { server } of backends) server.close();

// The TLS server and its client: a key that both know takes the place of certificates.

async function startBackend(name) {
  const server = createServer({ ciphers: 'PSK', pskCallback: () => Buffer.from('secret') }, socket =>
    socket.end(`hello from ${name}`),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, address: `127.0.0.1:${server.address().port}` };
}

async function ask(name) {
  const pskCallback = () => ({ identity: 'example', psk: Buffer.from('secret') });
  const socket = connect({ port, servername: name, ciphers: 'PSK', pskCallback, checkServerIdentity() {} });
  try {
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    return `${name}: ${answer}`;
  } catch (error) {
    return `${name}: ${error.code}`;
  }
}
