/** HTTPS records that publish configurations (RFC 9460, RFC 9848), as lines of zone files. */

export interface EchRecord {
  /** The name that is hidden, canonical; for port 443 it may begin with `*.`. */
  readonly name: string;
  /** Where it is served. */
  readonly port: number;
  /** The host that clients connect to, canonical; null: the name itself. */
  readonly target: string | null;
  readonly ttlSeconds: number;
  /** Protocols, a character for each byte, without commas and backslashes; at least one. */
  readonly alpnProtocols: readonly string[];
  /** Clients that know no Encrypted ClientHello are to leave the record aside. */
  readonly isMandatory: boolean;
  /** The ECHConfigList, its length included. */
  readonly list: Uint8Array;
}

/** SvcParamKeys. */
const MANDATORY = 0;
const ALPN = 1;
const ECH = 5;
const HTTPS_PORT = 443;
const PRIORITY = 1;

/** The record in the form of RFC 9460. */
export function presentRecord(record: EchRecord): string {
  const { alpnProtocols, isMandatory, list } = record;
  const parameters = [
    ...(isMandatory ? ['mandatory=ech'] : []),
    `alpn="${alpnProtocols.join(',')}"`,
    `ech=${Buffer.from(list).toString('base64')}`,
  ];
  return `${head(record)} HTTPS ${PRIORITY} ${targetOf(record)} ${parameters.join(' ')}`;
}

/** The same for servers that do not know the type (RFC 3597 section 5). */
export function presentUnknownRecord(record: EchRecord): string {
  const data = encodeRecordData(record);
  return `${head(record)} TYPE65 \\# ${data.length} ${Buffer.from(data).toString('hex')}`;
}

/** RDATA of the record (RFC 9460 section 2.2). */
export function encodeRecordData(record: EchRecord): Uint8Array {
  const { alpnProtocols, isMandatory, list } = record;
  const labels = targetOf(record).split('.').filter(Boolean);
  const protocols = alpnProtocols.map(protocol => lengthFirst(Buffer.from(protocol, 'latin1')));
  return Buffer.concat([
    u16(PRIORITY),
    ...labels.map(label => lengthFirst(Buffer.from(label))),
    Uint8Array.of(0),
    ...(isMandatory ? parameter(MANDATORY, u16(ECH)) : []),
    ...parameter(ALPN, Buffer.concat(protocols)),
    ...parameter(ECH, list),
  ]);
}

/** The name that the record stands under, without its last dot. */
export function ownerOfRecord({ name, port }: Pick<EchRecord, 'name' | 'port'>): string {
  return port === HTTPS_PORT ? name : `_${port}._https.${name}`;
}

function head(record: EchRecord): string {
  return `${ownerOfRecord(record)}. ${record.ttlSeconds} IN`;
}

/**
 * A dot means the owner. Where that is `_8443._https.name`, browsers would take it for the host and leave the
 * configuration aside, so that the name is told.
 */
function targetOf({ name, port, target }: EchRecord): string {
  if (target !== null) return `${target}.`;
  return port === HTTPS_PORT ? '.' : `${name}.`;
}

function parameter(key: number, value: Uint8Array): Uint8Array[] {
  return [u16(key), u16(value.length), value];
}

function lengthFirst(bytes: Uint8Array): Uint8Array {
  return Uint8Array.of(bytes.length, ...bytes);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}
