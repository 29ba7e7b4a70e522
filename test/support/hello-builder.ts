/** ClientHellos made to order, byte by byte, without a TLS stack: for tests only, and for wrong ones too. */

export interface ExtensionParts {
  readonly type: number;
  readonly data: Uint8Array;
}

export interface HelloParts {
  /** A character for each byte (latin1); null leaves the extension out. */
  readonly serverName?: string | null;
  /** A character for each byte (latin1); empty leaves the extension out. */
  readonly alpnProtocols?: readonly string[];
  readonly legacyVersion?: number;
  readonly sessionId?: Uint8Array;
  readonly cipherSuites?: readonly number[];
  /** Empty leaves the extension out. */
  readonly supportedVersions?: readonly number[];
  readonly supportedGroups?: readonly number[];
  readonly signatureAlgorithms?: readonly number[];
  readonly ecPointFormats?: readonly number[];
  /** Behind the others, in this order. */
  readonly extensions?: readonly ExtensionParts[];
}

/** A hello in one TLS record, as a client's TCP stream begins. */
export function buildClientHello(parts: HelloParts): Uint8Array {
  return wrapRecords(wrapMessage(buildBody(parts)));
}

/** The hello's body: no handshake header, no record header. */
export function buildBody(parts: HelloParts): Uint8Array {
  const { legacyVersion = 0x0303, sessionId = new Uint8Array(32), cipherSuites = [0x1301, 0xc02f] } = parts;
  const extensions = listExtensions(parts).map(({ type, data }) => [...u16(type), ...vector16(data)]);
  return Uint8Array.from([
    ...u16(legacyVersion),
    ...new Uint8Array(32).fill(0xa5),
    ...vector8(sessionId),
    ...vector16(cipherSuites.flatMap(u16)),
    ...vector8([0]),
    ...vector16(extensions.flat()),
  ]);
}

/** A handshake message around a body. */
export function wrapMessage(body: Uint8Array, type = 1): Uint8Array {
  return Uint8Array.from([type, body.length >> 16, (body.length >> 8) & 255, body.length & 255, ...body]);
}

/** One record around a payload, whatever its length. */
export function wrapRecord(payload: Uint8Array, type = 22): Uint8Array {
  return Uint8Array.from([type, 3, 1, ...vector16(payload)]);
}

/** As few records around a message as it needs, each of at most `payloadMax` bytes. */
export function wrapRecords(message: Uint8Array, payloadMax = 16_384): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += payloadMax) {
    records.push(wrapRecord(message.subarray(at, at + payloadMax)));
  }
  return Buffer.concat(records);
}

/** The payload of a stream of records, joined. */
export function unwrapRecords(stream: Uint8Array): Uint8Array {
  const payloads: Uint8Array[] = [];
  for (let at = 0; at < stream.length;) {
    const length = (stream[at + 3]! << 8) | stream[at + 4]!;
    payloads.push(stream.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return Buffer.concat(payloads);
}

/** The same message over records of at most `payloadMax` bytes each. */
export function fragmentRecords(stream: Uint8Array, payloadMax: number): Uint8Array {
  return wrapRecords(unwrapRecords(stream), payloadMax);
}

/** server_name data with one entry for each name; a character for each byte. */
export function serverNameData(...names: readonly string[]): Uint8Array {
  return Uint8Array.from(vector16(names.flatMap(name => [0, ...vector16(latin1(name))])));
}

/** application_layer_protocol_negotiation data; a character for each byte. */
export function alpnData(...protocols: readonly string[]): Uint8Array {
  return Uint8Array.from(vector16(protocols.flatMap(protocol => vector8(latin1(protocol)))));
}

function listExtensions(parts: HelloParts): ExtensionParts[] {
  const { serverName = null, alpnProtocols = [], supportedVersions = [0x0304, 0x0303] } = parts;
  const {
    supportedGroups = [0x001d, 0x0017],
    signatureAlgorithms = [0x0403, 0x0804],
    ecPointFormats = [],
  } = parts;
  return [
    ...(serverName === null ? [] : [{ type: 0, data: serverNameData(serverName) }]),
    ...some(supportedGroups, 10, list => vector16(list.flatMap(u16))),
    ...some(ecPointFormats, 11, list => vector8(list)),
    ...some(signatureAlgorithms, 13, list => vector16(list.flatMap(u16))),
    ...(alpnProtocols.length === 0 ? [] : [{ type: 16, data: alpnData(...alpnProtocols) }]),
    ...some(supportedVersions, 43, list => vector8(list.flatMap(u16))),
    ...(parts.extensions ?? []),
  ];
}

function some(
  list: readonly number[],
  type: number,
  encode: (list: readonly number[]) => number[],
): ExtensionParts[] {
  return list.length === 0 ? [] : [{ type, data: Uint8Array.from(encode(list)) }];
}

function u16(value: number): number[] {
  return [value >> 8, value & 255];
}

function vector8(bytes: Iterable<number>): number[] {
  const list = [...bytes];
  return [list.length, ...list];
}

function vector16(bytes: Iterable<number>): number[] {
  const list = [...bytes];
  return [...u16(list.length), ...list];
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
