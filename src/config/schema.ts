/** The one schema of the configuration: it checks, and it is printed as JSON Schema for editors. */
import * as z from 'zod';
import {
  DECIDE_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  DRAIN_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  KEEPALIVE_DELAY_MS,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_PROBES,
  KEEPALIVE_PROBES_MAX,
  LOOKUP_TIMEOUT_MS,
  NAME_TTL_MS_MAX,
  NAME_TTL_MS_MIN,
  NEGATIVE_TTL_MS,
  STALE_MS,
  WORKERS_MAX,
} from '../limits.ts';
import { parseAdminTarget } from './admin.ts';
import { ANSWER_NAMES } from './answer.ts';
import { ech, echRetry } from './ech-schema.ts';
import type { Finding } from './findings.ts';
import { toFindings } from './issue-findings.ts';
import { clients, limits, proxyLimits, spans } from './limit-schema.ts';
import { parseListenTarget } from './listen-target.ts';
import { parseNetwork } from './network.ts';
import { FAMILY_WORDS, checkHostsFile, checkServers } from './resolver.ts';
import { proxyIn } from './proxy-schema.ts';
import { answer, route, routeKeys } from './route-schema.ts';
import {
  count,
  noneOrMany,
  oneOrMany,
  policy,
  report,
  text,
  timeout,
  userFunction,
  leaveOutFunctions,
  word,
} from './schema-parts.ts';
import type { Shape } from './schema-parts.ts';
import type {
  AdminConfig,
  GuardConfig,
  ListenerConfig,
  PoliciesConfig,
  ResolverConfig,
  SniwayConfig,
  TcpConfig,
  TimeoutsConfig,
} from './sniway-config.ts';
import { parseSuffix } from './suffix.ts';
import type { Hooks } from './user-types.ts';

const network = text(parseNetwork).meta({ examples: ['10.0.0.0/8', 'fd00::/8'] });
const listenText = text(parseListenTarget).meta({
  examples: ['127.0.0.1:8443', '[::1]:8443', '*:443', 'unix:/run/sniway.sock', 'fd:3'],
});
const listenPort = z
  .number()
  .superRefine((port, context) => report(context, parseListenTarget(port)))
  .meta({ multipleOf: 1, minimum: 0, maximum: 65_535 });

const policies = z.strictObject({
  noSni: policy(answer, 'unrecognized_name', 'No server name in the ClientHello'),
  unknownName: policy(answer, 'unrecognized_name', 'A name that no route takes'),
  malformed: policy(
    word([...ANSWER_NAMES, 'parser'], 'parser, close, reset or the name of a TLS alert'),
    'parser',
    'A ClientHello that breaks the rules of TLS; parser is the alert that fits the fault',
  ),
  notTls: policy(answer, 'close', 'Something that is not TLS, such as plain HTTP'),
  helloTimeout: policy(answer, 'close', 'No whole ClientHello within timeouts.hello'),
  dialFailed: policy(answer, 'internal_error', 'The backend cannot be reached'),
  limit: policy(answer, 'close', 'A limit is reached'),
  denied: policy(answer, 'close', 'A client whose network may not use the listener or the route'),
} satisfies Shape<PoliciesConfig>);

const guard = z.strictObject({
  allowNets: noneOrMany(network)
    .optional()
    .describe(
      'Networks let through although refused by default (loopback, link-local, multicast). Default: none',
    ),
  denyNets: noneOrMany(network).optional().describe('Networks refused in any case. Default: none'),
} satisfies Shape<GuardConfig>);

const servers = text(checkServers).meta({
  examples: ['auto', 'system', '10.0.0.53', '10.0.0.53:5353', '[fd00::53]:5353'],
});
const resolver = z.strictObject({
  servers: oneOrMany(servers).optional().meta({
    description: 'DNS servers to ask, auto for those of the system, or system for its own look-up',
    default: 'auto',
  }),
  family: word(FAMILY_WORDS).optional().meta({
    description: "Which addresses are wanted and come first; auto: as this machine's own suggest",
    default: 'auto',
  }),
  timeout: timeout(LOOKUP_TIMEOUT_MS, 1, 'For one look-up, over all servers'),
  ttlMin: timeout(NAME_TTL_MS_MIN, 100, 'That an answer is kept at least, whatever its TTL'),
  ttlMax: timeout(NAME_TTL_MS_MAX, 100, 'That an answer is kept at most, whatever its TTL'),
  negativeTtl: timeout(NEGATIVE_TTL_MS, 0, 'That it is kept that a name does not exist'),
  stale: timeout(STALE_MS, 0, 'That an expired answer is used while no server gives a new one'),
  hosts: text(checkHostsFile)
    .optional()
    .meta({
      description: "Path of the hosts file, which wins over DNS, or none. Default: the system's",
      examples: ['/etc/hosts', 'none'],
    }),
} satisfies Shape<ResolverConfig>);

const timeouts = z.strictObject({
  hello: timeout(HELLO_TIMEOUT_MS, 1, 'From accept until the ClientHello must be complete'),
  dial: timeout(DIAL_TIMEOUT_MS, 1, 'For name look-up and connecting together'),
  decide: timeout(DECIDE_TIMEOUT_MS, 1, 'For one call of a function of a program: `decide` or a hook'),
  drain: timeout(DRAIN_TIMEOUT_MS, 0, 'That running connections get to end by themselves at shutdown'),
  ...spans,
} satisfies Shape<TimeoutsConfig>);

const tcp = z.strictObject({
  keepaliveIdle: timeout(KEEPALIVE_DELAY_MS, 0, 'Silence before a peer is probed; 0s for no probes'),
  keepaliveInterval: timeout(KEEPALIVE_INTERVAL_MS, 1_000, 'Between two unanswered probes'),
  keepaliveProbes: count(KEEPALIVE_PROBES_MAX, 'Unanswered probes after which a peer counts as gone').meta({
    default: KEEPALIVE_PROBES,
  }),
  userTimeout: timeout(0, 0, 'That bytes may stay unacknowledged; 0s for as long as the kernel is patient'),
} satisfies Shape<TcpConfig>);

const adminText = text(parseAdminTarget).meta({
  examples: ['127.0.0.1:9090', '[::1]:9090', 'unix:/run/sniway-admin.sock'],
});
const admin = z.strictObject({
  listen: z.union([adminText, listenPort]).describe('Where it listens; a port alone is one of 127.0.0.1'),
  allowRemote: z
    .boolean()
    .optional()
    .meta({ description: 'Whether it may listen where other machines reach it', default: false }),
} satisfies Shape<AdminConfig>);

const listener = z.strictObject({
  address: z.union([listenText, listenPort]).describe('Where to accept connections'),
  clients: clients.optional().describe('Which clients may connect. Default: every client'),
  limits: limits.optional().describe('What its connections may take. Default: nothing is limited'),
  proxyProtocol: proxyIn
    .optional()
    .describe('Take client addresses from PROXY headers. Default: a header is refused'),
} satisfies Shape<ListenerConfig>);

const hooks = z.strictObject({
  onHello: userFunction('"onHello"'),
  onVerdict: userFunction('"onVerdict"'),
  onEnd: userFunction('"onEnd"'),
} satisfies Shape<Hooks>);

const config = z.strictObject({
  listen: noneOrMany(z.union([listenText, listenPort, listener]))
    .optional()
    .describe('Where to accept connections; port 0 lets the kernel choose. No default'),
  routes: z.array(route).optional().describe('Which name goes where; order does not matter. Default: none'),
  suffixes: noneOrMany(text(parseSuffix))
    .optional()
    .meta({
      description:
        'Every name under each of these is dialled by itself, at port 443 unless given. Default: none',
      examples: ['.internal.example.com', 'lan.example.org:8443'],
    }),
  include: oneOrMany(z.string().min(1, 'give the path of a folder or file'))
    .optional()
    .meta({
      description: 'Files with further routes and suffixes, or folders of such files. Default: none',
      examples: ['routes.d'],
    }),
  policies: policies.optional().describe('What refused clients get to see'),
  guard: guard
    .optional()
    .describe("Which addresses may be dialled where the client's name chooses the address"),
  resolver: z
    .union([servers, z.array(servers).min(1), resolver])
    .optional()
    .meta({
      description: 'Who is asked for the addresses of names, and for how long answers are kept',
      default: 'auto',
    }),
  ech: ech.optional().describe('Keys for Encrypted ClientHello, and what becomes of hellos that have it'),
  timeouts: timeouts.optional().describe('How long things may take: a number and its unit (ms, s, m, h)'),
  limits: proxyLimits.optional().describe('What all connections together may take'),
  tcp: tcp.optional().describe("How the kernel finds out that a peer's network is gone"),
  hooks: hooks.optional().meta({ inPrograms: true }),
  fingerprints: z.boolean().optional().meta({
    description: 'Whether access lines and records of connections have JA3 and JA4 of the client',
    default: false,
  }),
  admin: z
    .union([adminText, listenPort, admin])
    .optional()
    .describe(
      'Metrics and health over HTTP, for the command: where, or an object with "listen". Default: none',
    ),
  workers: count(WORKERS_MAX, 'Threads that move bytes (linux engine). Default: one for each processor'),
  spin: z
    .boolean()
    .optional()
    .describe(
      'Poll for a moment before sleeping while traffic is dense (linux engine). Default: with several processors',
    ),
  engine: word(['auto', 'portable', 'linux'], 'auto, portable or linux')
    .optional()
    .meta({ description: 'Which engine moves the bytes', default: 'auto' }),
} satisfies Shape<SniwayConfig>);

const KEYS = {
  '': Object.keys(config.shape),
  listen: Object.keys(listener.shape),
  'listen.clients': Object.keys(clients.shape),
  'listen.limits': Object.keys(limits.shape),
  limits: Object.keys(proxyLimits.shape),
  'listen.proxyProtocol': Object.keys(proxyIn.shape),
  ...routeKeys,
  policies: Object.keys(policies.shape),
  guard: Object.keys(guard.shape),
  ech: Object.keys(ech.shape),
  'ech.retry': Object.keys(echRetry.shape),
  resolver: Object.keys(resolver.shape),
  timeouts: Object.keys(timeouts.shape),
  tcp: Object.keys(tcp.shape),
  admin: Object.keys(admin.shape),
  hooks: Object.keys(hooks.shape),
};

/** What a single value tells by itself: its shape, unknown keys, and text that cannot be read. */
export function findSchemaProblems(input: unknown): Finding[] {
  const checked = config.safeParse(input);
  return checked.success ? [] : toFindings(checked.error.issues, { input, keys: KEYS });
}

/** The configuration as JSON Schema (draft 2020-12), for editors that check and complete YAML and JSON files. */
export function configJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(config, { io: 'input', unrepresentable: 'any', override: leaveOutFunctions }),
    title: 'Sniway configuration',
    description: 'Configuration of Sniway, an SNI proxy: which TLS server name goes to which backend',
  };
}
