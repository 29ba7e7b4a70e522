// The proxy of the flood: engine and backend's port as arguments; tells the port it listens on.
import { createProxy } from '../../src/index.ts';

const [engine, port] = process.argv.slice(2);
const proxy = createProxy({
  engine: engine === 'linux' ? 'linux' : 'portable',
  listen: '127.0.0.1:0',
  routes: [{ match: 'honest.example.com', backend: `127.0.0.1:${port}` }],
  timeouts: { hello: '30s' },
});
const [bound] = await proxy.start();
process.send?.(bound?.port);
