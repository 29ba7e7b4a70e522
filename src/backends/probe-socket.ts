/** A connection of our own to a backend, which ends with what was found out. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Endpoint, ProxyOut } from '../verdict.ts';
import { encodeOwnHeader } from '../wire/proxy-encoder.ts';

export interface ProbeTarget {
  readonly endpoint: Endpoint;
  /** The PROXY header that comes first, which says that nobody else's connection this is; null for none. */
  readonly proxy: ProxyOut | null;
  /** For everything, from connecting on. */
  readonly timeoutMs: number;
  /** Gives the probe up. */
  readonly signal: AbortSignal;
}

export interface ProbeSocket<T> {
  /** Connected; the PROXY header is written. */
  readonly socket: Socket;
  /** Ends the probe; only the first call counts. */
  readonly end: (found: T) => void;
}

export interface ProbeSteps<T> {
  readonly connected: (probe: ProbeSocket<T>) => void;
  /** What is found where the socket fails: `timeout`, `closed`, `aborted`, or the code of an error. */
  readonly failed: (problem: string) => T;
}

const NOTHING = new Uint8Array(0);

/** Never rejects, and leaves no socket behind. */
export function openProbe<T>(target: ProbeTarget, { connected, failed }: ProbeSteps<T>): Promise<T> {
  const { endpoint, proxy, timeoutMs, signal } = target;
  const socket = connect(
    endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.address, port: endpoint.port },
  );
  return new Promise(resolve => {
    const end = (found: T): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(found);
      socket.destroy();
    };
    const abort = (): void => end(failed('aborted'));
    const timer = setTimeout(() => end(failed('timeout')), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    socket.on('error', error => end(failed(codeOf(error))));
    socket.on('close', () => end(failed('closed')));
    socket.once('connect', () => {
      const header = proxy === null ? NOTHING : encodeOwnHeader(proxy, endsOf(socket, endpoint));
      if (header.length > 0) socket.write(header);
      connected({ socket, end });
    });
  });
}

/** What an error is called in messages. */
export function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}

function endsOf({ localAddress, localPort = 0 }: Socket, endpoint: Endpoint): readonly [Endpoint, Endpoint] {
  if (endpoint.kind === 'unix' || localAddress === undefined) return [{ kind: 'unix', path: '' }, endpoint];
  return [{ ...endpoint, address: localAddress, port: localPort }, endpoint];
}
