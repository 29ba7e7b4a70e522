/** The values that a sample configuration shows. */
import type { ConfigKey } from './schema-tree.ts';

/** What the sample needs to be fit as it is: it listens on this machine only, and knows one name. */
export const ACTIVE = {
  listen: '127.0.0.1:8443',
  route: { match: 'www.example.com', backend: '10.0.0.5:443' },
} as const;

/** For keys whose default depends on the machine, or is nothing at all, and that have no example of their own. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  name: 'www.example.com',
  alpn: 'h2',
  workers: 2,
  spin: true,
  connections: 10_000,
  connectionsPerClient: 1_000,
  connectionsPerName: 5_000,
  maxConnections: 1_000,
  type: '0xE0',
  value: 'text',
  hex: '00ff',
  base64: 'AP8=',
};

/** The default of a key, else an example of what it takes. */
export function sampleValue(key: ConfigKey): unknown {
  const value = key.byDefault ?? key.examples[0] ?? EXAMPLES[key.name] ?? key.words[0];
  if (value !== undefined) return value;
  return key.kinds.has('boolean') ? false : key.kinds.has('number') ? 1 : 'text';
}

/** The description, and the default where it says nothing of that itself. */
export function describeKey({ description, byDefault, isRequired }: ConfigKey): string {
  const needed = isRequired ? 'needed' : '';
  const shown =
    byDefault === undefined || /default/i.test(description)
      ? needed
      : `default ${typeof byDefault === 'string' ? byDefault : JSON.stringify(byDefault)}`;
  return shown === '' ? description : description === '' ? shown : `${description} (${shown})`;
}
