/**
 * Addresses of backends as they stand in a configuration: `host:port`, `[v6]:port`, `unix:/path`, `{sni}:port`,
 * `srv:_service._proto.name`.
 */
import { isIP, isIPv6 } from 'node:net';
import { parseConfigName } from '../wire/host-name.ts';
import { SERVICE_PREFIX } from './names.ts';

/** Where a route sends its connections; names are resolved at dial time. */
export type Backend =
  | { readonly kind: 'host'; readonly host: string; readonly port: number }
  | { readonly kind: 'ip'; readonly address: string; readonly port: number; readonly family: 4 | 6 }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'server-name'; readonly port: number }
  /** SRV records give the machines and their ports (RFC 2782). */
  | { readonly kind: 'service'; readonly service: string };

export type ParsedBackend =
  { readonly ok: true; readonly backend: Backend } | { readonly ok: false; readonly message: string };

const FORMS = 'write host:port, [v6]:port, unix:/path, {sni}:port or srv:_service._proto.name';
/** sun_path holds 108 bytes with its closing NUL (unix(7)). */
const UNIX_PATH_BYTES_MAX = 107;

/** Parses one backend address; the message of a failure says what to write instead. */
export function parseBackend(text: string): ParsedBackend {
  if (text.startsWith('unix:')) return parseUnix(text.slice('unix:'.length));
  if (text.startsWith(SERVICE_PREFIX)) return parseService(text.slice(SERVICE_PREFIX.length));
  const colon = text.lastIndexOf(':');
  if (colon <= 0) return fail(`'${text}' has no port; ${FORMS}`);
  const host = text.slice(0, colon);
  const port = parsePort(text.slice(colon + 1));
  if (port === null) return fail(`'${text}' needs a port from 1 to 65535 behind its last colon`);
  if (host === '{sni}') return { ok: true, backend: { kind: 'server-name', port } };
  if (host.startsWith('[') && host.endsWith(']')) {
    const address = host.slice(1, -1);
    if (!isIPv6(address)) return fail(`'${address}' is not an IPv6 address`);
    return { ok: true, backend: { kind: 'ip', address, port, family: 6 } };
  }
  if (isIP(host) === 4) return { ok: true, backend: { kind: 'ip', address: host, port, family: 4 } };
  if (host.includes(':')) return fail(`put the IPv6 address in brackets: '[${host}]:${port}'`);
  const name = parseConfigName(host);
  if (!name.ok) return fail(`'${host}' is not a host name: ${name.message}`);
  return { ok: true, backend: { kind: 'host', host: name.name, port } };
}

/** The same text form that {@link parseBackend} reads. */
export function formatBackend(backend: Backend): string {
  switch (backend.kind) {
    case 'host':
      return `${backend.host}:${backend.port}`;
    case 'ip':
      return backend.family === 6
        ? `[${backend.address}]:${backend.port}`
        : `${backend.address}:${backend.port}`;
    case 'unix':
      return `unix:${backend.path}`;
    case 'server-name':
      return `{sni}:${backend.port}`;
    case 'service':
      return `${SERVICE_PREFIX}${backend.service}`;
  }
}

/** What the address cache knows a configured backend by; null if it needs no look-up, or the client gives its name. */
export function lookUpName(backend: Backend): string | null {
  if (backend.kind === 'host') return backend.host;
  return backend.kind === 'service' ? formatBackend(backend) : null;
}

/** A port number from 1 to 65535 in plain decimal digits, or null. */
export function parsePort(text: string): number | null {
  if (!/^[0-9]{1,5}$/.test(text)) return null;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : null;
}

function parseUnix(path: string): ParsedBackend {
  if (!path.startsWith('/')) return fail(`'unix:${path}' needs an absolute path: unix:/run/app.sock`);
  // It stands in access lines, one line each.
  if (Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX || /[\0-\x1f\x7f]/.test(path)) {
    return fail(
      `a socket path has at most ${UNIX_PATH_BYTES_MAX} bytes, no NUL and no other control character`,
    );
  }
  return { ok: true, backend: { kind: 'unix', path } };
}

function parseService(text: string): ParsedBackend {
  const example = 'srv:_https._tcp.example.com';
  if (text.includes(':')) return fail(`SRV records give the port: write ${example}, without one`);
  const name = parseConfigName(text);
  if (!name.ok) return fail(`'${text}' is not the name of a service: ${name.message}`);
  if (!/^_[^.]+\._[^.]+\.[^.]/.test(name.name)) {
    return fail(`'${text}' does not begin with a service and its protocol: write ${example}`);
  }
  return { ok: true, backend: { kind: 'service', service: name.name } };
}

function fail(message: string): ParsedBackend {
  return { ok: false, message };
}
