/** Suffixes under which every name is dialled by itself: `.internal.example.com`, `lan.example.org:8443`. */
import { parsePort } from '../backends/backend-address.ts';
import { parsePattern } from '../routing/pattern.ts';
import { quote } from './plain-text.ts';

export type ParsedSuffix =
  | { readonly ok: true; readonly pattern: string; readonly port: number }
  | { readonly ok: false; readonly message: string };

/** The port of TLS where a suffix gives none. */
const HTTPS_PORT = 443;

/** Parses a suffix, with or without its first dot, and its port; gives the pattern of the names under it. */
export function parseSuffix(text: string): ParsedSuffix {
  const colon = text.lastIndexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).replace(/^\./, '');
  const port = colon < 0 ? HTTPS_PORT : parsePort(text.slice(colon + 1));
  if (port === null) return fail(`${quote(text)} needs a port from 1 to 65535 behind its colon, or none`);
  if (name === '' || name.includes('*') || name.includes('/')) {
    return fail(`${quote(text)} is not a suffix: write .example.com or .example.com:8443`);
  }
  const parsed = parsePattern(`**.${name}`);
  return parsed.ok ? { ok: true, pattern: `**.${name}`, port } : fail(parsed.message);
}

function fail(message: string): ParsedSuffix {
  return { ok: false, message };
}
