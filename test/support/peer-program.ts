/**
 * A program with one TCP socket that does what its standard input says, for peers in other network namespaces. Each
 * line is a word and its arguments; each event is printed as one line.
 *
 *   listen ADDRESS          prints `listening PORT`, then `open` when a client is accepted
 *   connect ADDRESS PORT    prints `open`
 *   send COUNT              sends that many bytes; hello NAME sends a ClientHello
 *   finish | close | reset  ends its sending, or all of it
 *   pause | resume          stops reading
 *
 * Events: `received COUNT` (all so far), `end`, `error CODE`, `closed`.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { buildClientHello } from './hello-builder.ts';

let socket: Socket | null = null;
let received = 0;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function take(opened: Socket): void {
  socket = opened;
  opened.on('data', bytes => say(`received ${(received += bytes.length)}`));
  opened.on('end', () => say('end'));
  opened.on('error', (error: NodeJS.ErrnoException) => say(`error ${error.code}`));
  opened.on('close', () => say('closed'));
  say('open');
}

function listen(address: string): void {
  const server = createServer({ allowHalfOpen: true }, take);
  server.listen(0, address, () => say(`listening ${(server.address() as AddressInfo).port}`));
}

function obey(word: string, rest: readonly string[]): void {
  const [first = '', second = ''] = rest;
  switch (word) {
    case 'listen':
      return listen(first);
    case 'connect': {
      const opened = connect({ host: first, port: Number(second), allowHalfOpen: true });
      opened.once('connect', () => take(opened));
      opened.once('error', (error: NodeJS.ErrnoException) => say(`error ${error.code}`));
      return;
    }
    case 'hello':
      return void socket?.write(buildClientHello({ serverName: first }));
    case 'send':
      return void socket?.write(Buffer.alloc(Number(first)));
    case 'finish':
      return void socket?.end();
    case 'close':
      return void socket?.destroy();
    case 'reset':
      return void socket?.resetAndDestroy();
    case 'pause':
      return void socket?.pause();
    case 'resume':
      return void socket?.resume();
    default:
      say(`error unknown word ${word}`);
  }
}

const input = createInterface({ input: process.stdin });
input.on('line', line => {
  const [word = '', ...rest] = line.split(' ');
  obey(word, rest);
});
input.on('close', () => process.exit(0));
