/** The words a route is described with, beside its patterns and its backend. */
import { LOGGED_BYTES_MAX } from '../limits.ts';
import { escapeControls, quote } from './plain-text.ts';

type Checked = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** Bytes of one protocol name (RFC 7301 section 3.1). */
const ALPN_BYTES_MAX = 255;

/** A route's name stands in log lines and metric labels. */
export function checkName(name: string): Checked {
  if (name.trim() === '') return fail('a name needs at least one visible character');
  if (name.length > LOGGED_BYTES_MAX) return fail(`a name has at most ${LOGGED_BYTES_MAX} characters`);
  return name === escapeControls(name)
    ? { ok: true }
    : fail(`${quote(name)} holds characters that cannot be shown`);
}

/** A protocol name as clients offer it, compared byte by byte. */
export function checkAlpn(protocol: string): Checked {
  if (protocol === '') return fail('a protocol name is not empty: write h2, http/1.1 or acme-tls/1');
  if (protocol.length > ALPN_BYTES_MAX) return fail(`a protocol name has at most ${ALPN_BYTES_MAX} bytes`);
  return /^[\x21-\x7e]+$/.test(protocol)
    ? { ok: true }
    : fail(`${quote(protocol)} is not a protocol name: write h2, http/1.1 or acme-tls/1`);
}

function fail(message: string): Checked {
  return { ok: false, message };
}
