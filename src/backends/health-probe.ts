/** One look at one address of a backend: does it take connections, and does it show the right certificate. */
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { Endpoint } from '../verdict.ts';

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
  readonly timeoutMs: number;
  /** Gives the probe up. */
  readonly signal: AbortSignal;
}

/** Never rejects. Whoever signed the certificate is its clients' affair: they may trust another authority than we do. */
export function probeBackend(probe: Probe): Promise<ProbeResult> {
  const { endpoint, serverName, timeoutMs, signal } = probe;
  const where =
    endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.address, port: endpoint.port };
  const isTls = serverName !== '';
  const socket: Socket | TLSSocket = isTls
    ? connectTls({ ...where, servername: serverName, rejectUnauthorized: false })
    : connectTcp(where);
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
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.on('close', () => end('closed'));
    if (!isTls) socket.once('connect', () => end(null));
    else {
      socket.once('secureConnect', () => {
        const { problem, expiresAtMs } = judgeCertificate(
          serverName,
          (socket as TLSSocket).getPeerCertificate(),
        );
        end(problem, expiresAtMs);
      });
    }
  });
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
