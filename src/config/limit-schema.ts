/** The parts of the schema that say who may connect, and how much they may take. */
import * as z from 'zod';
import {
  CONNECTIONS_MAX,
  HELLO_PACE_BYTES_PER_S,
  PENDING_HELLOS,
  PENDING_HELLOS_PER_CLIENT,
} from '../limits.ts';
import { parseNetwork } from './network.ts';
import { parseBandwidth, parsePace, parseRate } from './rate.ts';
import { count, noneOrMany, text, timeout } from './schema-parts.ts';
import type { Shape } from './schema-parts.ts';
import type { ClientsConfig, LimitsConfig, ProxyLimitsConfig, SpansConfig } from './sniway-config.ts';

const network = text(parseNetwork).meta({ examples: ['10.0.0.0/8', 'fd00::/8'] });
const rate = text(parseRate).meta({ examples: ['100/s', '30/m burst 10'] });
const bandwidth = text(parseBandwidth).meta({ examples: ['10MB/s', '512KiB/s burst 1MiB'] });

const connections = (whose: string) => count(CONNECTIONS_MAX, `Open connections at once, ${whose}`);
const pace = (schema: typeof rate, what: string, whose: string) =>
  schema.optional().describe(`${what}, ${whose}`);
const NEW = 'New connections';
const BYTES = 'Bytes in both directions together';

export const clients = z.strictObject({
  allow: noneOrMany(network).optional().describe('Only these networks, where any are given'),
  deny: noneOrMany(network)
    .optional()
    .describe('Not these networks; the most specific network of both lists decides'),
} satisfies Shape<ClientsConfig>);

const shape = {
  connections: connections('all together'),
  connectionsPerClient: connections('of each client address (IPv6: of each /64)'),
  connectionsPerName: connections('of each server name'),
  rate: pace(rate, NEW, 'all together'),
  ratePerClient: pace(rate, NEW, 'of each client address (IPv6: of each /64)'),
  ratePerName: pace(rate, NEW, 'of each server name'),
  bandwidth: pace(bandwidth, BYTES, 'all together'),
  bandwidthPerClient: pace(bandwidth, BYTES, 'of each client address (IPv6: of each /64)'),
  bandwidthPerName: pace(bandwidth, BYTES, 'of each server name'),
} satisfies Shape<LimitsConfig>;

export const limits = z.strictObject(shape);

export const proxyLimits = z.strictObject({
  ...shape,
  pendingHellos: count(CONNECTIONS_MAX, 'Connections whose ClientHello has not come, at once').meta({
    default: PENDING_HELLOS,
  }),
  pendingHellosPerClient: count(CONNECTIONS_MAX, 'The same of each client address').meta({
    default: PENDING_HELLOS_PER_CLIENT,
  }),
  helloPace: text(parsePace)
    .optional()
    .meta({
      description: 'Bytes per second that a ClientHello needs from its fourth second on; 0B/s for no pace',
      default: `${HELLO_PACE_BYTES_PER_S}B/s`,
    }),
} satisfies Shape<ProxyLimitsConfig>);

/** Keys rather than an object: they stand beside others at the top, and alone in a route. */
export const spans = {
  idle: timeout(0, 0, 'That a relay may move no byte; 0s for ever'),
  halfClose: timeout(0, 0, 'The same once one side has ended; 0s for ever'),
  lifetime: timeout(0, 0, 'That a relay may last, up to a tenth less by chance; 0s for ever'),
} satisfies Shape<SpansConfig>;
