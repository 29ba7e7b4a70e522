/** Access lines in the forms of other proxies, for the programs that read those already. */
import type { ConnectionEnded, EndReason } from '../events.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * HAProxy's `option tcplog`: `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq` (configuration
 * manual, section 8.2.2). The frontend is the listener, the backend the route, the server the address dialled last;
 * what HAProxy counts at that moment (connections, queues) is told as 0.
 */
export function formatHaproxyLine(record: ConnectionEnded): string {
  const { client, listener, route, backend, attempts } = record;
  const dialed = `${word(route ?? listener)}/${backend === null ? '<NOSRV>' : word(backend)}`;
  const times = [record.resolveMs, record.dialMs, record.totalMs].map(ms =>
    ms === null ? -1 : Math.round(ms),
  );
  const counts = `0/0/0/0/${Math.max(0, attempts - 1)} 0/0`;
  const at = `[${haproxyDate(new Date(record.startedAtMs))}]`;
  const head = `${client.address}:${client.port} ${at} ${word(listener)} ${dialed}`;
  return `${head} ${times.join('/')} ${record.bytesFromBackend} ${terminationState(record)} ${counts}`;
}

/**
 * The stream log of nginx as its manual shows it for proxies, with the server name behind: `$remote_addr [$time_local]
 * $protocol $status $bytes_sent $bytes_received $session_time "$upstream_addr" "$upstream_bytes_sent"
 * "$upstream_bytes_received" "$upstream_connect_time" "$ssl_preread_server_name"`.
 */
export function formatNginxLine(record: ConnectionEnded): string {
  const { client, backend, bytesFromClient, bytesFromBackend, dialMs, totalMs } = record;
  const ended = new Date(record.startedAtMs + totalMs);
  const isRelayed = dialMs !== null;
  const upstream = [
    backend === null ? '-' : word(backend),
    isRelayed ? String(bytesFromClient) : '0',
    isRelayed ? String(bytesFromBackend) : '0',
    isRelayed ? (dialMs / 1_000).toFixed(3) : '-',
    record.serverName ?? record.rawName ?? '-',
  ];
  const session = `${STATUS[record.endReason]} ${bytesFromBackend} ${bytesFromClient} ${(totalMs / 1_000).toFixed(3)}`;
  const quoted = upstream.map(text => `"${text}"`).join(' ');
  return `${client.address} [${nginxDate(ended)}] TCP ${session} ${quoted}`;
}

/** Status codes of nginx's stream module ($status, ngx_stream_core_module). */
const STATUS: Readonly<Record<EndReason, number>> = {
  done: 200,
  'client-reset': 200,
  'backend-reset': 200,
  'client-gone': 200,
  'backend-gone': 200,
  'client-timeout': 200,
  'backend-timeout': 200,
  idle: 200,
  lifetime: 200,
  drained: 200,
  killed: 200,
  'proxy-timeout': 400,
  'proxy-malformed': 400,
  'hello-timeout': 400,
  'hello-too-large': 400,
  'hello-malformed': 400,
  'not-tls': 400,
  'ech-retry': 403,
  'no-sni': 403,
  'unknown-name': 403,
  denied: 403,
  'guard-refused': 403,
  'internal-error': 500,
  'dns-failed': 502,
  'dial-refused': 502,
  'dial-unreachable': 502,
  'dial-timeout': 502,
  limit: 503,
};

/**
 * The first letter of HAProxy's termination state (configuration manual, section 8.5): who or what ended it. Two
 * letters where the phase is always the same.
 */
const STATE: Readonly<Record<EndReason, string>> = {
  done: '--',
  'client-reset': 'C',
  'client-gone': 'C',
  'backend-reset': 'S',
  'backend-gone': 'S',
  'client-timeout': 'c',
  'backend-timeout': 's',
  idle: 'cD',
  lifetime: 'PD',
  'proxy-timeout': 'cR',
  'hello-timeout': 'cR',
  'proxy-malformed': 'PR',
  'hello-too-large': 'PR',
  'hello-malformed': 'PR',
  'not-tls': 'PR',
  'ech-retry': 'PR',
  'no-sni': 'PR',
  'unknown-name': 'PR',
  denied: 'PR',
  'guard-refused': 'PR',
  limit: 'PR',
  'dns-failed': 'SC',
  'dial-refused': 'SC',
  'dial-unreachable': 'SC',
  'dial-timeout': 'sC',
  drained: 'K',
  killed: 'K',
  'internal-error': 'I',
};

/** The second letter says what was waited for: the request, the connection, data. */
function terminationState({ endReason, helloMs, dialMs }: ConnectionEnded): string {
  const state = STATE[endReason];
  if (state.length === 2) return state;
  return `${state}${helloMs === null ? 'R' : dialMs === null ? 'C' : 'D'}`;
}

/** `06/Feb/2009:12:14:14.655`, in local time as HAProxy has it. */
function haproxyDate(at: Date): string {
  return `${localDate(at)}.${pad(at.getMilliseconds(), 3)}`;
}

/** `06/Feb/2009:12:14:14 +0100`. */
function nginxDate(at: Date): string {
  const east = -at.getTimezoneOffset();
  const offset = `${pad(Math.floor(Math.abs(east) / 60))}${pad(Math.abs(east) % 60)}`;
  return `${localDate(at)} ${east < 0 ? '-' : '+'}${offset}`;
}

function localDate(at: Date): string {
  const day = `${pad(at.getDate())}/${MONTHS[at.getMonth()]}/${at.getFullYear()}`;
  return `${day}:${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

function pad(number: number, digits = 2): string {
  return String(number).padStart(digits, '0');
}

/** One word, whatever a route or a socket is called: anything but printable ASCII, and spaces and quotes, as `\xHH`. */
function word(text: string): string {
  const escaped = Buffer.from(text).toString('latin1');
  return escaped.replaceAll(
    /[^\x21-\x7e]|["\\]/g,
    one => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
