/** Which backends `sniway doctor` looks at, and what it asks each of them. */
import type { PlainBackend } from '../../backends/plain-pool.ts';
import type { CheckedConfig } from '../../config/check-config.ts';
import { HEALTH_EXPIRY_DAYS } from '../../limits.ts';
import { createRouteTable } from '../../routing/route-table.ts';
import type { PlainRoute } from '../../snapshot.ts';
import { parseConfigName } from '../../wire/host-name.ts';

/** One backend, asked for one name. */
export interface Visit {
  /** Name of the route. */
  readonly route: string;
  readonly plain: PlainBackend;
  readonly check: 'tcp' | 'tls';
  /** Empty where no name is known that clients ask for. */
  readonly serverName: string;
  readonly alpnProtocols: readonly string[];
  /** Whether it must support Encrypted ClientHello. */
  readonly ech: boolean;
  /** Days before its certificate expires from which on that is warned of. */
  readonly expiryDays: number;
}

export interface DoctorPlan {
  readonly visits: readonly Visit[];
  /** Routes whose backends are not known before a client comes, with the reason. */
  readonly skipped: readonly { readonly route: string; readonly why: string }[];
  /** Names that were given, and that no route takes. */
  readonly strangers: readonly string[];
}

export interface PlanOptions {
  /** Canonical names to ask for, each at the routes that take it. */
  readonly names: readonly string[];
  /** Whether every backend must support Encrypted ClientHello, whatever the configuration says. */
  readonly ech: boolean;
}

/** Clients offer it alone to have a certificate issued (RFC 8737), and its servers answer only then. */
const ACME = 'acme-tls/1';

export function planVisits(config: CheckedConfig, options: PlanOptions): DoctorPlan {
  const { table } = createRouteTable(config.routes);
  const takenBy = rememberMatches((name, alpn) => table.match(name, { alpnProtocols: alpn }));
  const publicNames = new Set(config.echKeys.map(({ publicName }) => publicName));
  const visits: Visit[] = [];
  const skipped: { route: string; why: string }[] = [];
  for (const [index, route] of config.routes.entries()) {
    const { name, action } = route;
    if (action.kind === 'function') skipped.push({ route: name, why: 'a function says where it leads' });
    if (action.kind !== 'relay') continue;
    const given = options.names.filter(one => takenBy(one, route.alpn) === index);
    for (const serverName of given.length > 0 ? given : [ownName(route)]) {
      const hidden = config.ech !== null && isHidden(route, config.ech.fallback);
      // Hellos for a public name come in clear.
      const ech = options.ech || (hidden && !publicNames.has(serverName));
      const found = visitsOf(route, serverName, ech);
      visits.push(...found);
      if (found.length === action.pool.backends.length) continue;
      skipped.push({ route: name, why: 'it dials the name that a client asks for: give one with --name' });
    }
  }
  const strangers = options.names.filter(one => config.routes.every(({ alpn }) => takenBy(one, alpn) < 0));
  return { visits, skipped, strangers };
}

/** A name is looked for once for each list of protocols, however many routes there are. */
function rememberMatches(match: (name: string, alpn: readonly string[]) => number): typeof match {
  const known = new Map<string, number>();
  return (name, alpn) => {
    const key = JSON.stringify([name, alpn]);
    const route = known.get(key) ?? match(name, alpn);
    known.set(key, route);
    return route;
  };
}

function visitsOf({ name, action, alpn }: PlainRoute, serverName: string, ech: boolean): Visit[] {
  if (action.kind !== 'relay') return [];
  const { backends, health } = action.pool;
  const check = alpn.length === 1 && alpn[0] === ACME ? 'tcp' : 'tls';
  const expiryDays = health?.expiryDays ?? HEALTH_EXPIRY_DAYS;
  return backends
    .filter(({ backend }) => backend.kind !== 'server-name' || serverName !== '')
    .map(plain => ({ route: name, plain, check, serverName, alpnProtocols: alpn, ech, expiryDays }));
}

/** Whether inner hellos go there. */
function isHidden({ name, ech }: PlainRoute, fallback: string | null): boolean {
  return ech !== 'off' && name !== fallback;
}

/** The name that its health checks ask for, or its first pattern that is one name; empty if it has none. */
function ownName({ patterns, action }: PlainRoute): string {
  const checked = action.kind === 'relay' ? (action.pool.health?.serverName ?? '') : '';
  if (checked !== '') return checked;
  for (const pattern of patterns) {
    const parsed = parseConfigName(pattern);
    if (parsed.ok) return parsed.name;
  }
  return '';
}
