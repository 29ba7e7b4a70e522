/** `sniway ech dns`: the HTTPS record that publishes a key for a hidden name. */
import { quote } from '../../config/plain-text.ts';
import { ownerOfRecord, presentRecord, presentUnknownRecord } from '../../ech/dns-record.ts';
import type { EchRecord } from '../../ech/dns-record.ts';
import { publicNameFault } from '../../ech/public-name.ts';
import { NAME_BYTES_MAX } from '../../limits.ts';
import { parseConfigName } from '../../wire/host-name.ts';
import { readPublished } from './input.ts';
import type { ReadConfigs } from './input.ts';
import { mistake, readNumber } from './said.ts';
import type { Said } from './said.ts';

export interface DnsFlags {
  readonly name: string;
  readonly port: string;
  readonly target?: string;
  readonly alpn: string;
  readonly ttl: string;
  readonly mandatory?: boolean;
  readonly publicName?: string;
}

const HTTPS_PORT = 443;
const WILDCARD = '*.';
/** RFC 2181 section 8. */
export const TTL_MAX = 2 ** 31 - 1;
const PROTOCOL_BYTES_MAX = 255;

/**
 * Both forms of the record.
 * @param path A file with a list in any form, or a folder of keys.
 * @throws CommandError for wrong flags, or a list that clients would not take.
 */
export async function publishKey(path: string, flags: DnsFlags): Promise<Said> {
  const read = await readPublished(path, flags.publicName);
  checkConfigs(read);
  const record = readRecord(flags, read.list);
  const out = `; for servers that know HTTPS records
${presentRecord(record)}
; the same for those that do not; publish one of the two
${presentUnknownRecord(record)}
`;
  return { out, notes: notesOn(record, read) };
}

/** @throws CommandError if a client would leave the list aside, and so tell the name in clear. */
function checkConfigs({ configs, label }: ReadConfigs): void {
  for (const { publicName } of configs) {
    const fault = publicNameFault(publicName);
    if (fault === null) continue;
    throw mistake(
      `${label} has the public name ${quote(publicName)}, which clients do not take: ${fault}; make another key, with sniway ech keygen`,
    );
  }
}

function readRecord(flags: DnsFlags, list: Uint8Array): EchRecord {
  const port = readNumber('--port', flags.port, { min: 1, max: 65_535 });
  const record: EchRecord = {
    name: readOwner(flags.name, port),
    port,
    target: flags.target === undefined ? null : readTarget(flags.target, port),
    ttlSeconds: readNumber('--ttl', flags.ttl, { min: 0, max: TTL_MAX }),
    alpnProtocols: readProtocols(flags.alpn),
    isMandatory: flags.mandatory === true,
    list,
  };
  if (ownerOfRecord(record).length <= NAME_BYTES_MAX) return record;
  throw mistake(
    `--name ${quote(flags.name)} is too long for a record: with the port it has more than ${NAME_BYTES_MAX} bytes`,
  );
}

function readOwner(text: string, port: number): string {
  const wildcard = text.startsWith(WILDCARD) ? WILDCARD : '';
  if (wildcard !== '' && port !== HTTPS_PORT) {
    throw mistake(
      `--name ${quote(text)} with --port ${port}: a wildcard in DNS stands in front, where the port has to be; give each name a record`,
    );
  }
  return wildcard + readHost('--name', text.slice(wildcard.length));
}

/** A dot alone is the owner: right on port 443, and what is meant by no target at all. */
function readTarget(text: string, port: number): string | null {
  if (text !== '.') return readHost('--target', text);
  if (port === HTTPS_PORT) return null;
  throw mistake(
    `--target . with --port ${port} would lead browsers to _${port}._https and so to the name in clear: leave the flag out, or name a host`,
  );
}

function readHost(flag: string, text: string): string {
  const parsed = parseConfigName(text);
  if (parsed.ok) return parsed.name;
  throw mistake(
    `${flag} ${quote(text)} is not a host name: ${parsed.message}; give one such as secret.example.com`,
  );
}

function readProtocols(text: string): readonly string[] {
  const protocols = text.split(',');
  for (const protocol of protocols) {
    if (/^[!#-[\]-~]+$/.test(protocol) && protocol.length <= PROTOCOL_BYTES_MAX) continue;
    throw mistake(
      `--alpn ${quote(text)}: ${quote(protocol)} is no protocol; give them parted by commas, as h2,http/1.1`,
    );
  }
  return protocols;
}

function notesOn(
  { name, alpnProtocols, isMandatory }: EchRecord,
  { configs, label }: ReadConfigs,
): readonly string[] {
  const publicNames = [...new Set(configs.map(({ publicName }) => publicName.toLowerCase()))];
  return [
    'publish it only once every proxy has loaded the key, and give each HTTPS record of the name the same ech=',
    `what clients then show in clear is ${publicNames.join(', ')}, which must lead to this proxy too`,
    ...(isMandatory
      ? [
          'clients without Encrypted ClientHello may still connect, without the record: ech: required on the route refuses them',
        ]
      : []),
    ...(publicNames.includes(name)
      ? [`warn: ${name} is the public name of ${label} itself: nothing is hidden`]
      : []),
    ...(alpnProtocols.includes('h3') ? ['warn: h3 is for QUIC, which Sniway does not relay'] : []),
  ];
}
