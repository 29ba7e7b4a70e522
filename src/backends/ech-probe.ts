/** Asks a backend whether it supports Encrypted ClientHello in split mode. */
import { BackendProbe, echFault } from '../ech/backend-probe.ts';
import type { EchSupport } from '../ech/backend-probe.ts';
import type { ProbedName } from '../ech/probe-hello.ts';
import { probeBackend } from './health-probe.ts';
import type { Probe, ProbeReport, ProbeResult } from './health-probe.ts';
import { openProbe } from './probe-socket.ts';
import type { ProbeTarget } from './probe-socket.ts';

/** As Node calls it. */
const TLS_1_3 = 'TLSv1.3';
/** What the failures of sockets mean here; others are told by their codes. */
const REASONS: Readonly<Record<string, string>> = {
  timeout: 'it does not answer in time',
  closed: 'it closes the connection without an answer',
  ECONNRESET: 'it resets the connection',
  aborted: 'the check was given up',
};

/** Never rejects. The handshake ends with the backend's ServerHello: for the backend, it is one that failed. */
export function probeEch(target: ProbeTarget, name: ProbedName): Promise<EchSupport> {
  const probe = new BackendProbe(name);
  return openProbe<EchSupport>(target, {
    failed: problem => ({ kind: 'unknown', reason: REASONS[problem] ?? problem }),
    connected: ({ socket, end }) => {
      socket.write(probe.hello);
      socket.on('data', (bytes: Buffer) => {
        const step = probe.read(bytes);
        if (step.kind === 'send') socket.write(step.bytes);
        if (step.kind === 'found') end(step.support);
      });
    },
  });
}

export interface BackendCheck extends Probe {
  /** Whether to ask for Encrypted ClientHello as well. */
  readonly ech: boolean;
}

export interface BackendReport extends ProbeReport {
  /** Null if it was not asked for, or the backend does not get as far as that. */
  readonly ech: EchSupport | null;
}

/** A TLS handshake as any client makes it and, if wanted, an inner hello; both share the time. Never rejects. */
export async function examineBackend(check: BackendCheck): Promise<BackendReport> {
  const untilMs = performance.now() + check.timeoutMs;
  const report = await probeBackend(check);
  if (!check.ech || report.protocol === null) return { ...report, ech: null };
  // Some servers tell an inner hello, which offers nothing older, only that the handshake has failed.
  if (report.protocol !== TLS_1_3) return { ...report, ech: { kind: 'no-tls-1.3' } };
  const timeoutMs = Math.max(1, untilMs - performance.now());
  const { serverName, alpnProtocols } = check;
  const name = { serverName: serverName === '' ? null : serverName, alpnProtocols };
  return { ...report, ech: await probeEch({ ...check, timeoutMs }, name) };
}

/** One health check. Never rejects. */
export async function checkBackend(check: BackendCheck): Promise<ProbeResult> {
  const { problem, expiresAtMs, ech } = await examineBackend(check);
  return { problem: problem ?? (ech === null ? null : echFault(ech)), expiresAtMs };
}
