/** The part of the schema that is about Encrypted ClientHello. */
import * as z from 'zod';
import { ECH_KEYS_MAX } from '../limits.ts';
import type { EchConfig, EchRetryConfig } from './ech-settings.ts';
import { FOUND_CONTENT, isFileContent } from './file-path.ts';
import { word } from './schema-parts.ts';
import type { Shape } from './schema-parts.ts';

const path = filePath('give the path of a file, or of a folder of files that end in .ech');
const routeName = z.string().min(1, 'give the name of a route');

export const echRetry = z.strictObject({
  certificate: filePath('give the path of a PEM file').meta({
    description: 'PEM file: the certificate of public names, then those that lead to its authority',
    examples: ['/etc/sniway/public.crt'],
  }),
  key: filePath('give the path of a PEM file').meta({
    description: 'PEM file: its private key',
    examples: ['/etc/sniway/public.key'],
  }),
} satisfies Shape<EchRetryConfig>);

export const ech = z.strictObject({
  keys: z
    .union([path, z.array(path).min(1, 'give at least one file or folder of keys').max(ECH_KEYS_MAX)])
    .meta({
      description: 'Files of keys, and folders of files that end in .ech; `sniway ech keygen` makes one',
      examples: ['/etc/sniway/ech'],
    }),
  fallback: routeName
    .optional()
    .describe(
      'Name of the route that takes hellos for a public name that no key opens. Default: the route of the public name',
    ),
  retry: z
    .union([echRetry, z.array(echRetry).max(ECH_KEYS_MAX)])
    .optional()
    .describe(
      'Certificates for public names, to tell clients with an old key of the newest one. Default: none',
    ),
  unknownInner: routeName.optional().meta({
    description: 'What becomes of an inner name that no route takes: alert, or the name of a route',
    default: 'alert',
  }),
  requirePublicName: flag(false, 'Whether the name in clear must be the public name of the key'),
  trialDecryption: flag(false, 'Whether all keys are tried, not only those with the number in the hello'),
  verifyBackend: word(['warn', 'off']).optional().meta({
    description: 'Whether it is told, once, that a backend does not know inner hellos',
    default: 'warn',
  }),
  logInnerName: flag(true, 'Whether access lines have the inner name; else they have the outer one'),
} satisfies Shape<EchConfig>);

export const routeEch = word(['off', 'optional', 'required']).optional().meta({
  description:
    'Whether its names are answered in clear and encrypted (optional), only encrypted (required), or only in clear (off)',
  default: 'optional',
});

function filePath(remedy: string) {
  return z
    .string()
    .min(1, remedy)
    .refine(value => !isFileContent(value), FOUND_CONTENT);
}

function flag(byDefault: boolean, description: string) {
  return z.boolean().optional().meta({ description, default: byDefault });
}
