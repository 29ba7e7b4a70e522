/** What `sniway doctor` thinks of what it has found: what is wrong with each address, and what helps. */
import { formatBackend } from '../../backends/backend-address.ts';
import { echFault } from '../../ech/backend-probe.ts';
import type { EchSupport } from '../../ech/backend-probe.ts';
import { formatEndpoint } from '../../engine/happy-eyeballs.ts';
import type { Visit } from './plan-visits.ts';
import type { Look, Visited } from './visit-backends.ts';

export interface Diagnosis {
  readonly route: string;
  /** As in the configuration. */
  readonly backend: string;
  /** Null if its name leads nowhere. */
  readonly address: string | null;
  /** The name asked for; null for none. */
  readonly name: string | null;
  readonly status: 'ok' | 'warning' | 'failed';
  /** Milliseconds until it was connected. */
  readonly connectMs: number | null;
  /** The version of TLS that a client gets, such as `TLSv1.3`. */
  readonly tls: string | null;
  /** When its certificate expires, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number | null;
  /** Null where it was not asked for. */
  readonly ech: EchSupport['kind'] | null;
  /** Clauses; empty if all is well. */
  readonly problems: readonly string[];
  readonly remedies: readonly string[];
}

interface Problem {
  readonly status: 'warning' | 'failed';
  readonly text: string;
  readonly remedy: string | null;
}

const DAY_MS = 86_400_000;

const CONNECT_REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at this address: start the backend, or mend the address',
  timeout: 'no answer from this address: look for a firewall on the way, or mend the address',
  ENOENT: 'there is no such socket: start the backend, or mend the path',
  EACCES: 'this user may not open the socket: change its permissions',
  EHOSTUNREACH: 'this machine knows no way there: look at its network, or mend the address',
  ENETUNREACH: 'this machine knows no way there: look at its network, or mend the address',
};
/** Codes of errors for alerts that the backend has sent. */
const ALERT_CODE = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_/;
const NOT_TLS =
  'clients speak TLS with the backend itself, so that it has to speak TLS on this port; if it expects a PROXY header, set "proxyProtocol", and if not, remove it';
const NO_ECH =
  'its TLS library has to know inner hellos, as BoringSSL does (Bun, for one) and Go 1.24 or later, and not OpenSSL 3 (as in Node), rustls or GnuTLS: change it, or publish no key for its names and write ech: "off"';
const OLD_TLS = 'turn on TLS 1.3 at the backend, or publish no key for its names and write ech: "off"';

/** One diagnosis for each address, or for the backend that has none. */
export function judgeVisits(visited: readonly Visited[], nowMs: number): Diagnosis[] {
  return visited.flatMap(found => {
    if (found.kind === 'lost') return [judgeLost(found.visit, found.problem)];
    // Where one address answers, clients go there.
    const answers = found.looks.some(({ report }) => report.connectMs !== null);
    return found.looks.map(look => judgeLook(found.visit, look, { nowMs, answers }));
  });
}

function judgeLost(visit: Visit, problem: string): Diagnosis {
  return {
    ...aboutVisit(visit),
    address: null,
    status: 'failed',
    connectMs: null,
    tls: null,
    expiresAtMs: null,
    ech: null,
    problems: [`it leads to no address: ${problem}`],
    remedies: [],
  };
}

interface Circumstances {
  readonly nowMs: number;
  /** Whether another address of the backend can be connected to, if not this one. */
  readonly answers: boolean;
}

function judgeLook(visit: Visit, { endpoint, report }: Look, { nowMs, answers }: Circumstances): Diagnosis {
  const problems = [
    ...findTrouble(visit, report, answers),
    ...findExpiry(visit, report, nowMs),
    ...findEchTrouble(visit, report.ech),
  ];
  const hasFailed = problems.some(({ status }) => status === 'failed');
  return {
    ...aboutVisit(visit),
    address: formatEndpoint(endpoint),
    status: hasFailed ? 'failed' : problems.length > 0 ? 'warning' : 'ok',
    connectMs: report.connectMs,
    tls: report.protocol,
    expiresAtMs: report.expiresAtMs,
    ech: report.ech?.kind ?? null,
    problems: problems.map(({ text }) => text),
    remedies: [...new Set(problems.flatMap(({ remedy }) => remedy ?? []))],
  };
}

function aboutVisit({ route, plain, serverName }: Visit): Pick<Diagnosis, 'route' | 'backend' | 'name'> {
  return { route, backend: formatBackend(plain.backend), name: serverName === '' ? null : serverName };
}

/** What ordinary clients would meet. */
function findTrouble({ serverName }: Visit, report: Look['report'], answers: boolean): Problem[] {
  const { problem, connectMs, protocol } = report;
  if (problem === null) return [];
  if (connectMs === null) {
    const status = answers ? 'warning' : 'failed';
    return [{ status, text: problem, remedy: CONNECT_REMEDIES[problem] ?? null }];
  }
  if (protocol !== null) return [{ status: 'failed', text: problem, remedy: certificateRemedy(serverName) }];
  const text = `no TLS handshake: ${problem}`;
  if (serverName !== '') {
    const remedy = ALERT_CODE.test(problem) ? refusalRemedy(serverName) : NOT_TLS;
    return [{ status: 'failed', text, remedy }];
  }
  // Many servers refuse whoever names nobody.
  const remedy = 'no name was asked for: give one that clients ask for with --name';
  return [{ status: 'warning', text, remedy }];
}

function refusalRemedy(serverName: string): string {
  return `the backend refuses the handshake: see whether it knows ${serverName}, and what its log says`;
}

function certificateRemedy(serverName: string): string {
  const whose = serverName === '' ? 'the names of its clients' : serverName;
  return `give the backend a certificate for ${whose} that is valid now, or mend the route`;
}

function findExpiry(
  { expiryDays }: Visit,
  { problem, expiresAtMs }: Look['report'],
  nowMs: number,
): Problem[] {
  if (problem !== null || expiresAtMs === null || expiresAtMs - nowMs >= expiryDays * DAY_MS) return [];
  return [{ status: 'warning', text: 'its certificate expires soon', remedy: 'renew the certificate' }];
}

function findEchTrouble({ serverName }: Visit, support: EchSupport | null): Problem[] {
  const text = support === null ? null : echFault(support);
  if (support === null || text === null) return [];
  if (support.kind !== 'unknown') {
    const remedy = support.kind === 'no-tls-1.3' ? OLD_TLS : NO_ECH;
    return [{ status: 'failed', text, remedy }];
  }
  const status = serverName === '' ? 'warning' : 'failed';
  return [{ status, text: `whether it supports Encrypted ClientHello is unknown: ${text}`, remedy: null }];
}

/** Whole days. */
export function daysLeft(expiresAtMs: number, nowMs: number): number {
  return Math.floor((expiresAtMs - nowMs) / DAY_MS);
}
