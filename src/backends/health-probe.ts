/** One look at one address of a backend: does it take connections, and does it show the right certificate. */
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import type { Endpoint, ProxyOut } from '../verdict.ts';
import { encodeOwnHeader } from '../wire/proxy-encoder.ts';

const NOTHING = new Uint8Array(0);

export interface ProbeResult {
  /** What is wrong; null if all is well. */
  readonly problem: string | null;
  /** When the certificate shown expires, in milliseconds since the Unix epoch; null if none was seen. */
  readonly expiresAtMs: number | null;
}

export interface Probe {
  readonly endpoint: Endpoint;
  /** Empty for a check that only connects. */
  readonly serverName: string;
  /** The PROXY header that comes first, which says that nobody else's connection this is; null for none. */
  readonly proxy: ProxyOut | null;
  readonly timeoutMs: number;
  /** Gives the probe up. */
  readonly signal: AbortSignal;
}

/** Never rejects. Whoever signed the certificate is its clients' affair: they may trust another authority than we do. */
export function probeBackend(probe: Probe): Promise<ProbeResult> {
  const { endpoint, serverName, proxy, timeoutMs, signal } = probe;
  const socket = connectTcp(
    endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.address, port: endpoint.port },
  );
  return new Promise(resolve => {
    const end = (problem: string | null, expiresAtMs: number | null = null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve({ problem, expiresAtMs });
      socket.destroy();
    };
    const abort = (): void => end('aborted');
    const timer = setTimeout(() => end('timeout'), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    const fail = (error: NodeJS.ErrnoException): void => end(error.code ?? error.message);
    socket.on('error', fail);
    socket.on('close', () => end('closed'));
    socket.once('connect', () => {
      const header = proxy === null ? NOTHING : encodeOwnHeader(proxy, endsOf(socket, endpoint));
      if (serverName === '') {
        socket.write(header, () => end(null));
        return;
      }
      if (header.length > 0) socket.write(header);
      const tls = connectTls({ socket, servername: serverName, rejectUnauthorized: false });
      tls.on('error', fail);
      tls.once('secureConnect', () => {
        const { problem, expiresAtMs } = judgeCertificate(serverName, tls.getPeerCertificate());
        end(problem, expiresAtMs);
      });
    });
  });
}

function endsOf({ localAddress, localPort = 0 }: Socket, endpoint: Endpoint): readonly [Endpoint, Endpoint] {
  if (endpoint.kind === 'unix' || localAddress === undefined) return [{ kind: 'unix', path: '' }, endpoint];
  return [{ ...endpoint, address: localAddress, port: localPort }, endpoint];
}

/** Whether clients that ask for this name can use the certificate: it names it, and it is valid now. */
export function judgeCertificate(
  serverName: string,
  certificate: PeerCertificate,
  nowMs: number = Date.now(),
): ProbeResult {
  const expiresAtMs = Date.parse(certificate.valid_to);
  if (Number.isNaN(expiresAtMs)) return { problem: 'no certificate', expiresAtMs: null };
  const wrongName = checkServerIdentity(serverName, certificate);
  if (wrongName !== undefined) {
    return { problem: `its certificate is not valid for ${serverName}`, expiresAtMs };
  }
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  if (expiresAtMs <= nowMs) return { problem: `its certificate expired on ${day(expiresAtMs)}`, expiresAtMs };
  const startsAtMs = Date.parse(certificate.valid_from);
  if (startsAtMs > nowMs)
    return { problem: `its certificate is valid from ${day(startsAtMs)} on`, expiresAtMs };
  return { problem: null, expiresAtMs };
}
