/**
 * A backend that can be killed: it listens at the address and port of its arguments (port 0 for any) and prints
 * `listening PORT`. It answers the first bytes of a client a moment later with `answer`, then `ping` with `pong` and its
 * end. With `hold` as its third argument it answers one byte and reads no more; it prints `full` for each client that
 * has sent more than it takes then.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

const [address = '127.0.0.1', port = '0', mode = ''] = process.argv.slice(2);

/** Long enough for many to be killed meanwhile. */
const ANSWER_AFTER_MS_MAX = 8;

function serve(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.once('data', () => {
    if (mode === 'hold') {
      socket.pause();
      socket.write('!');
      const look = setInterval(() => {
        if (socket.readableLength < socket.readableHighWaterMark) return;
        clearInterval(look);
        process.stdout.write('full\n');
      }, 5);
      return;
    }
    setTimeout(() => socket.write('answer'), ANSWER_AFTER_MS_MAX * Math.random());
    socket.on('data', () => socket.end('pong'));
  });
  socket.on('end', () => socket.end());
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, serve);
server.listen({ host: address, port: Number(port), backlog: 1024 }, () => {
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
