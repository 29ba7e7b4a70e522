/** One line for each ended connection: as text for people, as JSON for programs, or as other proxies write it. */
import type { ClientAddress, ConnectionEnded } from '../events.ts';
import { escapeBytes } from '../wire/host-name.ts';
import { LOGGED_BYTES_MAX } from '../limits.ts';
import { formatHaproxyLine, formatNginxLine } from './log-presets.ts';

export const ACCESS_LOG_FORMATS = ['text', 'json', 'haproxy-tcplog', 'nginx-stream'] as const;

export type AccessLogFormat = (typeof ACCESS_LOG_FORMATS)[number];

/** Formats one record, without a line end. Everything a client chose is escaped: a line cannot be forged. */
export function formatAccessLine(record: ConnectionEnded, format: AccessLogFormat): string {
  switch (format) {
    case 'text':
      return formatText(record);
    case 'json':
      return formatJson(record);
    case 'haproxy-tcplog':
      return formatHaproxyLine(record);
    case 'nginx-stream':
      return formatNginxLine(record);
  }
}

function formatText(record: ConnectionEnded): string {
  const { client, peer } = record;
  const name = record.serverName ?? (record.rawName === null ? '-' : `"${record.rawName}"`);
  const fields = [
    ...(peer === null ? [] : [`peer=${formatAddress(peer)}`]),
    `route=${quote(record.route)}`,
    `backend=${quote(record.backend)}`,
    ...(record.attempts > 1 ? [`attempts=${record.attempts}`] : []),
    `alpn=${record.alpnProtocols.length === 0 ? '-' : quote(clip(record.alpnProtocols.join(',')))}`,
    ...(record.tlsVersions[0] === undefined ? [] : [`tls=${record.tlsVersions[0]}`]),
    ...echFields(record),
    ...(record.ja3 === null ? [] : [`ja3=${record.ja3}`]),
    ...(record.ja4 === null ? [] : [`ja4=${record.ja4}`]),
    `hello=${milliseconds(record.helloMs)}`,
    `resolve=${milliseconds(record.resolveMs)}`,
    `dial=${milliseconds(record.dialMs)}`,
    `total=${milliseconds(record.totalMs)}`,
    `in=${record.bytesFromClient}`,
    `out=${record.bytesFromBackend}`,
    `end=${record.endReason}`,
  ];
  if (record.detail !== null) fields.push(`detail=${quote(escapeText(record.detail))}`);
  return `${new Date(record.startedAtMs).toISOString()} ${formatAddress(client)} ${name} ${fields.join(' ')}`;
}

function echFields({ ech, outerName, echConfigId, echRetried, echBackend }: ConnectionEnded): string[] {
  if (ech === null || ech === 'none') return [];
  return [
    `ech=${ech}`,
    ...(outerName === null ? [] : [`outer=${quote(outerName)}`]),
    ...(echConfigId === null ? [] : [`ech-id=${echConfigId}`]),
    ...(echRetried ? ['ech-hellos=2'] : []),
    ...(echBackend === null ? [] : [`ech-backend=${echBackend}`]),
  ];
}

function formatJson(record: ConnectionEnded): string {
  return JSON.stringify({
    time: new Date(record.startedAtMs).toISOString(),
    id: record.id,
    client: record.client.address,
    clientPort: record.client.port,
    peer: record.peer?.address ?? null,
    peerPort: record.peer?.port ?? null,
    listener: record.listener,
    serverName: record.serverName,
    rawName: record.rawName,
    alpn: record.alpnProtocols,
    tlsVersion: record.tlsVersions[0] ?? null,
    tlsVersions: record.tlsVersions,
    ech: record.ech,
    outerName: record.outerName,
    echConfigId: record.echConfigId,
    echRetried: record.echRetried,
    echBackend: record.echBackend,
    echOpenMs: rounded(record.echOpenMs),
    ja3: record.ja3,
    ja4: record.ja4,
    route: record.route,
    backend: record.backend,
    attempts: record.attempts,
    helloMs: rounded(record.helloMs),
    resolveMs: rounded(record.resolveMs),
    dialMs: rounded(record.dialMs),
    totalMs: rounded(record.totalMs),
    bytesFromClient: record.bytesFromClient,
    bytesFromBackend: record.bytesFromBackend,
    endReason: record.endReason,
    detail: record.detail === null ? null : escapeText(record.detail),
  });
}

function formatAddress({ address, port }: ClientAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Text that is safe inside a line of a log or a terminal: printable ASCII kept, the rest as \xHH. */
export function escapeText(text: string): string {
  return escapeBytes(Buffer.from(text), LOGGED_BYTES_MAX);
}

function quote(text: string | null): string {
  if (text === null || text === '') return '-';
  return /[\s"=]/.test(text) ? `"${text.replaceAll('"', '\\x22')}"` : text;
}

function clip(text: string): string {
  return text.length > LOGGED_BYTES_MAX ? `${text.slice(0, LOGGED_BYTES_MAX)}...` : text;
}

function milliseconds(value: number | null): string {
  return value === null ? '-' : `${rounded(value)}ms`;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10;
}
