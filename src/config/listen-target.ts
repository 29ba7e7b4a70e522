/** Where to listen, as it stands in a configuration. */
import { SocketAddress, isIP, isIPv6 } from 'node:net';
import { parseBackend, parsePort } from '../backends/backend-address.ts';
import type { ListenTarget } from '../engine/engine.ts';
import { quote } from './plain-text.ts';

export type ParsedListenTarget =
  { readonly ok: true; readonly target: ListenTarget } | { readonly ok: false; readonly message: string };

/** Every address of this machine; Node opens it for IPv4 too. */
const EVERY_ADDRESS = '::';
/** 0 to 2 are the standard streams; service managers hand over listeners from here on (sd_listen_fds(3)). */
const INHERITED_FD_MIN = 3;
/** FileDescriptorName= of systemd.socket(5), as far as it cannot be taken for a number. */
const SOCKET_NAME = /^[A-Za-z][\w.@-]{0,254}$/;
const IN_BRACKETS = 'put the IPv6 address in brackets, with the port behind: "[::1]:8443"';
const FORMS = 'write 443, 127.0.0.1:8443, [::1]:8443, *:443, unix:/path or fd:3';

/**
 * Parses `443`, `*:443` (every address), `127.0.0.1:8443`, `[::1]:8443`, `unix:/path`, `fd:3` (by number) or `fd:https`
 * (by the name that a service manager has given it); port 0 is allowed. IPv6 addresses come out in their shortest form. The message of a failure says what to write instead.
 */
export function parseListenTarget(input: string | number): ParsedListenTarget {
  const text = String(input);
  if (text.startsWith('unix:')) return parseUnix(text);
  if (text.startsWith('fd:')) return parseFd(text);
  const colon = text.lastIndexOf(':');
  const host = colon < 0 ? '*' : text.slice(0, colon);
  const port = parseListenPort(text.slice(colon + 1));
  if (colon < 0 && port === null) return fail(missingPort(text));
  if (isIPv6(host) || isIPv6(text)) return fail(IN_BRACKETS);
  if (port === null) return fail(`${quote(text)} needs a port from 0 to 65535 behind its last colon`);
  if (host === '*') return tcp(EVERY_ADDRESS, port);
  if (isIP(host) === 4) return tcp(host, port);
  if (!host.startsWith('[') || !host.endsWith(']')) {
    return fail(`${quote(text)} does not begin with an IP address; ${FORMS}`);
  }
  const address = host.slice(1, -1);
  return isIPv6(address)
    ? tcp(shortestIPv6(address), port)
    : fail(`${quote(address)} is not an IPv6 address`);
}

/** `127.0.0.1:8443`, `[::1]:8443`, `unix:/path`, `fd:3` or `fd:https`: what {@link parseListenTarget} reads. */
export function formatListenTarget(target: ListenTarget): string {
  if (target.kind === 'unix') return `unix:${target.path}`;
  if (target.kind === 'fd') return `fd:${target.fd}`;
  return isIPv6(target.address) ? `[${target.address}]:${target.port}` : `${target.address}:${target.port}`;
}

/** The one shortest spelling of an IPv6 address, its zone kept, so that equal addresses are equal texts. */
export function shortestIPv6(address: string): string {
  const [bare = '', ...zone] = address.split('%');
  const { address: shortest } = new SocketAddress({ address: bare, family: 'ipv6' });
  return [shortest, ...zone].join('%');
}

function parseUnix(text: string): ParsedListenTarget {
  const parsed = parseBackend(text);
  if (!parsed.ok) return parsed;
  return parsed.backend.kind === 'unix' ? { ok: true, target: parsed.backend } : fail(FORMS);
}

function parseFd(text: string): ParsedListenTarget {
  const word = text.slice('fd:'.length);
  if (SOCKET_NAME.test(word)) return { ok: true, target: { kind: 'fd', fd: word } };
  const fd = /^[0-9]{1,9}$/.test(word) ? Number(word) : -1;
  if (fd < INHERITED_FD_MIN)
    return fail(`${quote(text)} needs the number of an inherited socket, from fd:3 on, or its name`);
  return { ok: true, target: { kind: 'fd', fd } };
}

function parseListenPort(text: string): number | null {
  return text === '0' ? 0 : parsePort(text);
}

function missingPort(text: string): string {
  if (/^[-+]?[0-9.]+(?:e[-+]?[0-9]+)?$/i.test(text) && isIP(text) === 0) {
    return `${quote(text)} is not a port from 0 to 65535`;
  }
  return isIP(text) === 4
    ? `${quote(text)} has no port: write ${text}:443`
    : `${quote(text)} has no port; ${FORMS}`;
}

function tcp(address: string, port: number): ParsedListenTarget {
  return { ok: true, target: { kind: 'tcp', address, port } };
}

function fail(message: string): ParsedListenTarget {
  return { ok: false, message };
}
