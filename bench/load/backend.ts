/**
 * The backend of the bench, a process of its own: reads a ClientHello, does what its mode says. Prints its port as JSON
 * on stdout, then serves until it is ended or its life is over.
 *
 *     node backend.js '{"cpu":1,"lifetimeSeconds":600}'
 */
import { writeSync } from 'node:fs';
import * as C from '../../src/engine/linux/syscalls/constants.ts';
import * as layouts from '../../src/engine/linux/syscalls/layouts.ts';
import { orThrow } from '../../src/engine/linux/syscalls/system-error.ts';
import { Reactor } from './reactor.ts';
import type { Handler } from './reactor.ts';
import { bulkSink, bulkSinkFlags } from './flows.ts';
import { ANSWER_BYTES, BULK_BYTES, COUNT_BYTES, MODES, MODE_OFFSET, recordBytes } from './wire.ts';

interface BackendSettings {
  readonly cpu: number;
  readonly lifetimeSeconds: number;
  /** Whether bulk bytes are copied out of the kernel; else dropped there. */
  readonly copy: boolean;
}

export interface BackendPorts {
  readonly port: number;
  readonly holdPort: number;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as BackendSettings;
const reactor = new Reactor();
const { kernel, scratch } = reactor;
const payload = reactor.arena.allocate('payload', BULK_BYTES, 4096);
const answer = reactor.constant(Buffer.alloc(ANSWER_BYTES, 'a'));
const countRegion = reactor.arena.allocate('count', COUNT_BYTES);
const sinkFlags = bulkSinkFlags(settings.copy);
let uploadedBytes = 0;

class Served implements Handler {
  readonly #fd: number;
  #mode = '';
  #helloBytesLeft = -1;

  constructor(fd: number) {
    this.#fd = fd;
  }

  ready(): void {
    if (this.#mode === MODES.download) this.#send(payload.address, BULK_BYTES);
    else if (this.#mode === MODES.upload) this.#sink();
    else this.#read();
  }

  #read(): void {
    const count = kernel.recv(this.#fd, scratch.address, scratch.length, 0);
    if (count <= 0) {
      if (count === 0 || kernel.errno() !== C.EAGAIN) reactor.drop(this.#fd);
      return;
    }
    if (this.#helloBytesLeft === 0) this.#take(0, count);
    else this.#readHello(count);
  }

  #readHello(count: number): void {
    if (this.#helloBytesLeft === -1) {
      // A hello that comes in pieces this small is none of ours.
      if (count <= MODE_OFFSET) return reactor.drop(this.#fd);
      this.#helloBytesLeft = recordBytes(scratch.bytes, 0);
      this.#mode = String.fromCodePoint(scratch.bytes[MODE_OFFSET]!);
    }
    const helloPart = Math.min(count, this.#helloBytesLeft);
    this.#helloBytesLeft -= helloPart;
    if (this.#helloBytesLeft > 0) return;
    this.#begin();
    if (count > helloPart) this.#take(helloPart, count - helloPart);
  }

  #begin(): void {
    if (this.#mode === MODES.answer) {
      this.#send(answer.address, answer.length);
      reactor.drop(this.#fd);
    } else if (this.#mode === MODES.hold) this.#send(answer.address, 1);
    else if (this.#mode === MODES.download) reactor.rewatch(this.#fd, C.EPOLLOUT);
    else if (this.#mode === MODES.upload) bulkSink(reactor, this.#fd);
    else if (this.#mode === MODES.count) {
      countRegion.view.setBigUint64(countRegion.offset, BigInt(uploadedBytes), true);
      this.#send(countRegion.address, COUNT_BYTES);
    }
  }

  /** Bytes behind the hello. */
  #take(offset: number, length: number): void {
    if (this.#mode === MODES.echo) this.#send(scratch.address + offset, length);
    else if (this.#mode === MODES.upload) uploadedBytes += length;
  }

  #sink(): void {
    const count = kernel.recv(this.#fd, scratch.address, scratch.length, sinkFlags);
    if (count > 0) uploadedBytes += count;
    else if (count === 0 || kernel.errno() !== C.EAGAIN) reactor.drop(this.#fd);
  }

  #send(address: number, length: number): void {
    const sent = kernel.send(this.#fd, address, length, C.MSG_NOSIGNAL);
    if (sent === -1 && kernel.errno() !== C.EAGAIN) reactor.drop(this.#fd);
  }
}

function listen(): { fd: number; port: number } {
  const region = reactor.arena.allocate('own address', layouts.SOCKADDR_STORAGE_BYTES);
  const fd = orThrow(
    kernel,
    'socket',
    kernel.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0),
  );
  reactor.options.set(fd, C.IPPROTO_TCP, C.TCP_DEFER_ACCEPT, 5);
  reactor.options.set(fd, C.IPPROTO_TCP, C.TCP_NODELAY, 1);
  const any = { kind: 'tcp', address: '127.0.0.1', port: 0, family: 4 } as const;
  const length = layouts.writeSockaddr(region.view, region.offset, any);
  orThrow(kernel, 'bind', kernel.bind(fd, region.address, length));
  orThrow(kernel, 'listen', kernel.listen(fd, C.SOMAXCONN));
  scratch.view.setUint32(scratch.offset, region.length, true);
  orThrow(kernel, 'getsockname', kernel.getsockname(fd, region.address, scratch.address));
  const bound = layouts.readSockaddr(region.view, region.offset, length);
  return { fd, port: bound.kind === 'tcp' ? bound.port : 0 };
}

/** Connections taken in one turn before the others get theirs. */
const ACCEPTS_PER_TURN = 64;

/** Opens a listener and gives its port. */
function serve(): number {
  const listener = listen();
  reactor.watch(listener.fd, C.EPOLLIN, {
    ready() {
      for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
        const fd = kernel.accept4(listener.fd, 0, 0, C.SOCK_NONBLOCK | C.SOCK_CLOEXEC);
        if (fd === -1) return;
        const served = new Served(fd);
        reactor.watch(fd, C.EPOLLIN, served);
        served.ready();
      }
    },
  });
  return listener.port;
}

reactor.pin(settings.cpu);
// Connections that are held go to a port of their own: on a port they share with the others, they would lengthen every
// search for a free client port, which is a cost of the load and not of the proxy.
const ports: BackendPorts = { port: serve(), holdPort: serve() };
writeSync(1, `${JSON.stringify(ports)}\n`);
reactor.run(performance.now() + settings.lifetimeSeconds * 1000);
