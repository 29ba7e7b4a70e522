/** The schema of one route. */
import * as z from 'zod';
import { parseBackend } from '../backends/backend-address.ts';
import { BALANCES } from '../backends/plain-pool.ts';
import {
  EJECTION_BASE_MS,
  EJECTION_FAILURES,
  EJECTION_FAILURES_MAX,
  EJECTION_MAX_MS,
  HEALTH_COUNT_MAX,
  HEALTH_EXPIRY_DAYS,
  HEALTH_EXPIRY_DAYS_MAX,
  HEALTH_FALL,
  HEALTH_INTERVAL_MS,
  HEALTH_MS_MIN,
  HEALTH_RISE,
  HEALTH_TIMEOUT_MS,
  POOL_BACKENDS_MAX,
  RETRIES,
  RETRIES_MAX,
  WEIGHT_MAX,
} from '../limits.ts';
import { parsePattern } from '../routing/pattern.ts';
import { parseConfigName } from '../wire/host-name.ts';
import { ANSWER_NAMES } from './answer.ts';
import { routeEch } from './ech-schema.ts';
import { describeFound } from './issue-findings.ts';
import { clients, limits, spans } from './limit-schema.ts';
import { quote } from './plain-text.ts';
import { proxyOut, tlvs } from './proxy-schema.ts';
import { checkAlpn, checkName } from './route-words.ts';
import { count, oneOrMany, text, timeout, userFunction, word } from './schema-parts.ts';
import type { Checked, Shape } from './schema-parts.ts';
import type { BackendConfig, EjectConfig, HealthConfig, RouteConfig } from './sniway-config.ts';

const CHECKS = ['tcp', 'tls'] as const;

/** Connections of one backend at once that can be counted. */
const CONNECTIONS_MAX = 2 ** 31 - 1;

const pattern = text(parsePattern).meta({
  description: 'Exact name, *.name (one label), **.name (one or more labels) or /regular expression/',
  examples: ['api.example.com', '*.example.com', '**.example.com'],
});
export const answer = word(ANSWER_NAMES, 'close, reset or the name of a TLS alert').meta({ id: 'answer' });
const address = text(parseBackend).meta({
  description:
    'Where to relay: host:port, [v6]:port, unix:/path, {sni}:port for the name asked for, or srv:_service._proto.name',
  examples: [
    '10.0.0.5:443',
    '[fd00::5]:443',
    'unix:/run/app.sock',
    '{sni}:443',
    'srv:_https._tcp.example.com',
  ],
});

const backend = z.strictObject({
  address,
  weight: count(WEIGHT_MAX, 'Its share of the connections against the others').meta({ default: 1 }),
  backup: z
    .boolean()
    .optional()
    .meta({ description: 'Used only while no other backend is usable', default: false }),
  maxConnections: count(CONNECTIONS_MAX, 'Connections it gets at once. Default: as many as come'),
  ...proxyOut,
} satisfies Shape<BackendConfig>);

const eject = z.strictObject({
  failures: count(EJECTION_FAILURES_MAX, 'Failures in a row that it takes; 0 for never', 0).meta({
    default: EJECTION_FAILURES,
  }),
  base: timeout(EJECTION_BASE_MS, 1, 'How long the first time; doubled each time it fails again soon'),
  max: timeout(EJECTION_MAX_MS, 1, 'How long at most'),
} satisfies Shape<EjectConfig>);

/** Text, so that an object in its place is taken for the other form. */
const checkAlone = text(checkKind).meta({ enum: [...CHECKS] });

const health = z.strictObject({
  check: word(CHECKS).describe('tcp connects; tls also asks for the name and looks at the certificate'),
  name: text(parseConfigName)
    .optional()
    .describe('The server name a TLS check asks for. Default: the first pattern, where that is one name'),
  ech: z.boolean().optional().meta({
    description:
      'Whether a TLS check takes a backend for down that does not support Encrypted ClientHello (split mode)',
    default: false,
  }),
  interval: timeout(HEALTH_INTERVAL_MS, HEALTH_MS_MIN, 'Between two checks of a backend'),
  timeout: timeout(HEALTH_TIMEOUT_MS, HEALTH_MS_MIN, 'For one check'),
  rise: count(HEALTH_COUNT_MAX, 'Good checks in a row after which a backend is up again').meta({
    default: HEALTH_RISE,
  }),
  fall: count(HEALTH_COUNT_MAX, 'Bad checks in a row after which a backend is down').meta({
    default: HEALTH_FALL,
  }),
  expiryDays: count(
    HEALTH_EXPIRY_DAYS_MAX,
    'Days before a certificate expires from which on it is warned of',
    0,
  ).meta({ default: HEALTH_EXPIRY_DAYS }),
} satisfies Shape<HealthConfig>);

export const route = z.strictObject({
  name: text(checkName).optional().describe('Shown in logs and metrics; unique. Default: the first pattern'),
  match: oneOrMany(pattern).describe('The names this route takes'),
  alpn: oneOrMany(text(checkAlpn))
    .optional()
    .describe('Only clients that offer one of these protocols. Default: every client'),
  ech: routeEch,
  backend: address.optional(),
  backends: z
    .array(z.union([address, backend]), { error: ({ input }) => askForList(input) })
    .min(1, 'the list is empty: give at least one backend')
    .max(POOL_BACKENDS_MAX, `a route has at most ${POOL_BACKENDS_MAX} backends`)
    .optional()
    .meta({ description: 'Several backends, each an address or an object with one' }),
  balance: word(BALANCES).optional().meta({
    description: 'Which backend a connection goes to',
    default: 'round-robin',
  }),
  retry: count(RETRIES_MAX, 'Other backends a connection tries before it fails', 0).meta({
    default: RETRIES,
  }),
  eject: eject.optional().describe('When a backend that fails is left out for a while'),
  health: z
    .union([checkAlone, health])
    .optional()
    .describe('How backends are checked while nobody uses them. Default: not at all'),
  onDown: word(['keep', 'close']).optional().meta({
    description: 'What becomes of the connections of a backend that checks find down',
    default: 'keep',
  }),
  onRemove: word(['keep', 'drain', 'close']).optional().meta({
    description:
      'What becomes of its connections when a reload removes it: they go on, end after timeouts.drain, or end at once',
    default: 'keep',
  }),
  reject: answer.optional().describe('What the client gets to see instead of a backend'),
  decide: userFunction('"decide"'),
  clients: clients.optional().describe('Which clients may use this route. Default: every client'),
  limits: limits.optional().describe('What its connections may take. Default: nothing is limited'),
  timeouts: z
    .strictObject(spans)
    .optional()
    .describe('How long its relays may last. Default: as timeouts at the top'),
  ...proxyOut,
} satisfies Shape<RouteConfig>);

/** The keys of a route and of what it holds, for messages. */
export const routeKeys = {
  routes: Object.keys(route.shape),
  'routes.backends': Object.keys(backend.shape),
  'routes.tlvs': Object.keys(tlvs.shape),
  'routes.backends.tlvs': Object.keys(tlvs.shape),
  'routes.eject': Object.keys(eject.shape),
  'routes.health': Object.keys(health.shape),
  'routes.clients': Object.keys(clients.shape),
  'routes.limits': Object.keys(limits.shape),
  'routes.timeouts': Object.keys(spans),
};

function checkKind(kind: string): Checked {
  if (CHECKS.some(known => known === kind)) return { ok: true };
  return { ok: false, message: `${quote(kind)} is not known here; write tcp, tls or an object with "check"` };
}

function askForList(input: unknown): string | undefined {
  return typeof input === 'string'
    ? 'one address alone is written as "backend"; "backends" takes a list of them'
    : `expected a list of backends, found ${describeFound(input)}`;
}
