/** The part of the schema that is about PROXY headers. */
import * as z from 'zod';
import { PROXY_CUSTOM_TLVS_MAX, PROXY_HEADER_TIMEOUT_MS, PROXY_SOURCES_MAX } from '../limits.ts';
import { parseNetwork } from './network.ts';
import { UNIX_PEERS } from './read-proxy.ts';
import { report, text, timeout, word } from './schema-parts.ts';
import type { Shape } from './schema-parts.ts';
import type { CustomTlvConfig, ProxyInConfig, ProxyOutConfig, TlvsConfig } from './sniway-config.ts';
import { parseBase64, parseHex, parseTlvType } from './tlv-type.ts';

const source = text(value => (value === UNIX_PEERS ? { ok: true } : parseNetwork(value))).meta({
  examples: ['10.0.0.0/8', 'fd00::/8', UNIX_PEERS],
});

/** What one listener takes. */
export const proxyIn = z.strictObject({
  from: z
    .union([source, z.array(source).max(PROXY_SOURCES_MAX)])
    .optional()
    .describe('Networks of the proxies whose headers are taken, or unix. Default on a unix: listener: unix'),
  timeout: timeout(PROXY_HEADER_TIMEOUT_MS, 1, 'From accept until the header must be complete'),
  required: flag(true, 'Whether these proxies must send a header'),
} satisfies Shape<ProxyInConfig>);

const customTlv = z.strictObject({
  type: z.union([
    text(parseTlvType),
    z.number().superRefine((type, context) => report(context, parseTlvType(type))),
  ]),
  value: z.string().optional().describe('As text, in UTF-8'),
  hex: text(parseHex).optional().describe('In hexadecimal digits'),
  base64: text(parseBase64).optional().describe('In base64'),
} satisfies Shape<CustomTlvConfig>);

export const tlvs = z.strictObject({
  authority: flag(true, 'The server name'),
  alpn: flag(true, 'The protocols the client offers'),
  uniqueId: flag(true, 'An identifier of the connection'),
  crc32c: flag(true, 'A checksum of the header'),
  custom: z
    .array(customTlv)
    .max(PROXY_CUSTOM_TLVS_MAX, `at most ${PROXY_CUSTOM_TLVS_MAX} own values`)
    .optional()
    .describe('Values of your own. Default: none'),
} satisfies Shape<TlvsConfig>);

/** Keys of everything that names a backend. */
export const proxyOut = {
  proxyProtocol: word(['v1', 'v2'], 'v1 or v2')
    .optional()
    .describe('Send the backend a PROXY header of this version. Default: none'),
  tlvs: z
    .union([z.boolean(), tlvs])
    .optional()
    .describe('What a header of version 2 tells beside addresses; true for everything but own values'),
} satisfies Shape<ProxyOutConfig>;

function flag(byDefault: boolean, description: string) {
  return z.boolean().optional().meta({ description, default: byDefault });
}
