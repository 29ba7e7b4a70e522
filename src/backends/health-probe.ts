/** One look at one address of a backend: does it take connections, and does it show the right certificate. */
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { codeOf, openProbe } from './probe-socket.ts';
import type { ProbeSocket, ProbeTarget } from './probe-socket.ts';

export interface ProbeResult {
  /** What is wrong; null if all is well. */
  readonly problem: string | null;
  /** When the certificate shown expires, in milliseconds since the Unix epoch; null if none was seen. */
  readonly expiresAtMs: number | null;
}

export interface Probe extends ProbeTarget {
  readonly check: 'tcp' | 'tls';
  /** Asked for in a TLS check, where the certificate must be valid for it; empty to ask for no name. */
  readonly serverName: string;
  /** Protocols to offer; empty for none. */
  readonly alpnProtocols: readonly string[];
}

/** With what is of interest beside whether it is well. */
export interface ProbeReport extends ProbeResult {
  /** Milliseconds until it was connected; null if it never was. */
  readonly connectMs: number | null;
  /** The version of TLS spoken, such as `TLSv1.3`; null if no handshake was complete. */
  readonly protocol: string | null;
}

/** Never rejects. Whoever signed the certificate is its clients' affair: they may trust another authority than we do. */
export function probeBackend(probe: Probe): Promise<ProbeReport> {
  const startMs = performance.now();
  let connectMs: number | null = null;
  const failed = (problem: string): ProbeReport => ({
    problem,
    expiresAtMs: null,
    connectMs,
    protocol: null,
  });
  return openProbe<ProbeReport>(probe, {
    failed,
    connected: ({ socket, end }) => {
      connectMs = performance.now() - startMs;
      // The header, if there is one, has to leave before the end.
      if (probe.check === 'tcp') {
        socket.write('', () => end({ problem: null, expiresAtMs: null, connectMs, protocol: null }));
        return;
      }
      shakeHands(probe, { socket, end: found => end({ ...found, connectMs }) }, problem =>
        end(failed(problem)),
      );
    },
  });
}

function shakeHands(
  { serverName, alpnProtocols }: Probe,
  { socket, end }: ProbeSocket<ProbeResult & { readonly protocol: string | null }>,
  fail: (problem: string) => void,
): void {
  const tls = connectTls({
    socket,
    servername: serverName,
    rejectUnauthorized: false,
    ...(alpnProtocols.length > 0 && { ALPNProtocols: [...alpnProtocols] }),
  });
  tls.on('error', error => fail(codeOf(error)));
  tls.once('secureConnect', () => {
    const { problem, expiresAtMs } = judgeCertificate(serverName, tls.getPeerCertificate());
    end({ problem, expiresAtMs, protocol: tls.getProtocol() });
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
  const wrongName = serverName === '' ? undefined : checkServerIdentity(serverName, certificate);
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
