/**
 * A backend that has connected, until its first byte: it gets what the client sends, which is kept for another backend
 * should this one go before it has answered.
 */
import type { Socket } from 'node:net';
import type { Candidate } from '../../verdict.ts';
import { joinHeader } from '../proxy-out.ts';
import { endWasReset, errorCode } from './sockets.ts';

/** What is told of a backend that has closed without a byte. */
const CLOSED = 'closed';

export interface TrialOutcome {
  /** The first bytes are there; the socket is paused. */
  proven(answer: Uint8Array): void;
  /** The backend is gone; its socket is still to be closed. */
  lost(code: string): void;
}

/** Listens to one socket, which stays its owner's. */
export class Trial {
  readonly socket: Socket;
  readonly candidate: Candidate;
  #header: Uint8Array | null;
  #sent = 0;

  constructor(
    socket: Socket,
    { candidate, header }: { candidate: Candidate; header: Uint8Array | null },
    outcome: TrialOutcome,
  ) {
    this.socket = socket;
    this.candidate = candidate;
    this.#header = header;
    socket.once('data', (answer: Buffer) => {
      socket.pause();
      outcome.proven(answer);
    });
    socket.once('end', () => outcome.lost(endWasReset(socket) ? 'ECONNRESET' : CLOSED));
    socket.once('error', error => outcome.lost(errorCode(error)));
  }

  /** The PROXY header that comes before the client's bytes, while none of it was sent. */
  get header(): Uint8Array | null {
    return this.#header;
  }

  /** Bytes of the client that the backend has got. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends what the backend has not got yet of `bytes`, all that the client has sent so far. */
  send(bytes: Uint8Array): void {
    if (this.socket.destroyed) return;
    // A copy: the client's buffer grows and moves while this waits to be written.
    const more = Uint8Array.from(bytes.subarray(this.#sent));
    const message = joinHeader(this.#header, more);
    if (message.length > 0) this.socket.write(message);
    this.#header = null;
    this.#sent = bytes.length;
  }

  /** Listens no more; what the socket still has to say is not lost if it is paused or closed. */
  end(): void {
    this.socket.removeAllListeners('data');
    this.socket.removeAllListeners('end');
    this.socket.removeAllListeners('error');
    // A socket that is closed next may still report an error.
    this.socket.on('error', ignore);
  }
}

function ignore(): void {}
