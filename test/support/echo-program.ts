/** A backend in a process of its own that sends every byte back; prints `listening PORT`. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
