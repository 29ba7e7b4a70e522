/** Where the admin server listens, as it stands in a configuration. */
import { BlockList, isIPv6 } from 'node:net';
import type { ListenTarget } from '../engine/engine.ts';
import type { Finding } from './findings.ts';
import { errorAt } from './findings.ts';
import { formatListenTarget, parseListenTarget } from './listen-target.ts';
import { findListenerConflict } from './own-listeners.ts';
import { quote } from './plain-text.ts';
import { asObject, isObject } from './read-value.ts';

export type AdminTarget = Exclude<ListenTarget, { readonly kind: 'fd' }>;

export type ParsedAdmin =
  { readonly ok: true; readonly target: AdminTarget } | { readonly ok: false; readonly message: string };

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** As a listener is written, but a port alone is one of 127.0.0.1, and no socket can be inherited. */
export function parseAdminTarget(input: string | number): ParsedAdmin {
  const text = String(input);
  const parsed = parseListenTarget(/^[0-9]+$/.test(text) ? `127.0.0.1:${text}` : text);
  if (!parsed.ok) return parsed;
  const { target } = parsed;
  if (target.kind !== 'fd') return { ok: true, target };
  return { ok: false, message: `${quote(text)} cannot be used here; write 127.0.0.1:9090 or unix:/path` };
}

/** Null if there is to be none. */
export function readAdmin(input: unknown): AdminTarget | null {
  const { listen } = settingsOf(asObject(input).admin);
  if (typeof listen !== 'string' && typeof listen !== 'number') return null;
  const parsed = parseAdminTarget(listen);
  return parsed.ok ? parsed.target : null;
}

/** What the schema does not tell: an address that strangers reach, or one of a listener. */
export function findAdminProblems(input: unknown, listeners: readonly ListenTarget[]): Finding[] {
  const { admin } = asObject(input);
  if (admin === undefined) return [];
  const { allowRemote } = settingsOf(admin);
  const target = readAdmin(input);
  if (target === null) return [];
  const path = isObject(admin) ? ['admin', 'listen'] : ['admin'];
  const conflict = findListenerConflict(target, listeners);
  if (conflict !== null) return [errorAt(path, conflict)];
  if (allowRemote === true || !isRemote(target)) return [];
  const message =
    `others than this machine would reach ${formatListenTarget(target)}: ` +
    'listen on 127.0.0.1, [::1] or unix:/path, or allow it with allowRemote: true (--admin-remote)';
  return [errorAt(path, message)];
}

/** An address alone stands for an object with it. */
function settingsOf(admin: unknown): Readonly<Record<string, unknown>> {
  return isObject(admin) ? admin : { listen: admin };
}

function isRemote(target: AdminTarget): boolean {
  if (target.kind === 'unix') return false;
  return !LOOPBACK.check(target.address, isIPv6(target.address) ? 'ipv6' : 'ipv4');
}
