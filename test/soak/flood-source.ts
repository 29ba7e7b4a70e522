/**
 * Who floods: opens that many connections to a port and says nothing on any of them. Yields to every other program,
 * because a real flooder takes no processor time of this machine. Tells `{ held }`, those alive, when all were opened
 * and for each `held` it is asked; ends with its parent.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';

const FLOODER = '127.0.0.2';
const IN_FLIGHT = 100;

const [port = 0, size = 0] = process.argv.slice(2).map(Number);
const flood = new Set<Socket>();
let opened = 0;

async function openAll(): Promise<void> {
  while (opened++ < size) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: FLOODER });
    socket.on('error', () => undefined);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => flood.delete(socket));
    await once(socket, 'connect').catch(() => undefined);
    if (!socket.destroyed) flood.add(socket.resume());
  }
}

const tell = (): void => void process.send?.({ held: flood.size });
process.on('message', tell);
process.on('disconnect', () => process.exit());
setPriority(constants.priority.PRIORITY_LOW);
await Promise.all(Array.from({ length: IN_FLIGHT }, openAll));
tell();
