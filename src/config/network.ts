/** Networks as they stand in a configuration: `10.0.0.0/8`, `fd00::/8`, or one address. */
import { isIP } from 'node:net';
import { quote } from './plain-text.ts';

export type ParsedNetwork =
  { readonly ok: true; readonly network: string } | { readonly ok: false; readonly message: string };

/** Parses a network in CIDR form; a bare address becomes a network of one (`/32`, `/128`). */
export function parseNetwork(text: string): ParsedNetwork {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0) return fail(`${quote(text)} is not a network: write 10.0.0.0/8 or fd00::/8`);
  const bits = family === 6 ? 128 : 32;
  if (slash < 0) return { ok: true, network: `${address}/${bits}` };
  const prefix = text.slice(slash + 1);
  if (!/^[0-9]{1,3}$/.test(prefix) || Number(prefix) > bits) {
    return fail(`${quote(text)} needs a prefix length from 0 to ${bits} behind its slash`);
  }
  return { ok: true, network: `${address}/${Number(prefix)}` };
}

function fail(message: string): ParsedNetwork {
  return { ok: false, message };
}
