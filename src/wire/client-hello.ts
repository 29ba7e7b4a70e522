/** A checked ClientHello, decoded as far as it is looked at. */
import { ByteReader } from './byte-reader.ts';
import { EXTENSIONS, SESSION_ID_OFFSET } from './hello-layout.ts';
import type { EchKind, HelloLayout } from './hello-layout.ts';
import { computeJa3, computeJa4 } from './fingerprint.ts';
import { versionBit } from './tls-versions.ts';

/**
 * One valid ClientHello (RFC 8446 section 4.1.2). It views the bytes it was read from: what is read after those have
 * changed is undefined. Lists come in the client's order, GREASE values (RFC 8701) included.
 */
export class ClientHello {
  /** Canonical server name: lower case, no trailing dot. Null without server_name, or for an IP literal. */
  readonly serverName: string | null;
  /** The bytes of server_name where they are an IP literal and so no name, else null. Escape before showing them. */
  readonly rawName: Uint8Array | null;
  /** `outer`: encrypted_client_hello as clients send it, real or GREASE, so that `serverName` is the outer name. */
  readonly ech: EchKind;
  readonly #body: Uint8Array;
  readonly #layout: HelloLayout;

  /** For `HelloReader`, which has checked every length in `body`, the message without its 4-byte header. */
  constructor(body: Uint8Array, layout: HelloLayout) {
    this.#body = body;
    this.#layout = layout;
    this.serverName = layout.serverName;
    this.rawName = layout.rawName;
    this.ech = layout.ech;
  }

  /** The message without its 4-byte header, as a view. */
  get body(): Uint8Array {
    return this.#body;
  }

  /** Offset in `body` of the first extension; its length if there is none. */
  get extensionsOffset(): number {
    return this.#layout.extensionsOffset;
  }

  /** Offset in `body` of the data of encrypted_client_hello, whatever is in it; 0 without the extension. */
  get echOffset(): number {
    return this.#layout.echOffset;
  }

  /** `legacy_version`, such as 0x0303; what a client really speaks is in `supportedVersions`. */
  get legacyVersion(): number {
    return new ByteReader(this.#body).u16();
  }

  /** `legacy_session_id`, 0 to 32 bytes, as a view. */
  get sessionId(): Uint8Array {
    const reader = new ByteReader(this.#body, SESSION_ID_OFFSET);
    return reader.bytes(reader.u8());
  }

  get cipherSuites(): number[] {
    return readNumbers(new ByteReader(this.#body, this.#layout.ciphersOffset).vector16());
  }

  /** Extension types. */
  get extensions(): number[] {
    const types: number[] = [];
    const reader = new ByteReader(this.#body, this.#layout.extensionsOffset);
    while (reader.remaining > 0) {
      types.push(reader.u16());
      reader.skip(reader.u16());
    }
    return types;
  }

  /** Protocol names, a character for each byte (latin1); empty without the extension. Escape before showing them. */
  get alpnProtocols(): string[] {
    const list = this.#find(EXTENSIONS.application_layer_protocol_negotiation).vector16();
    const protocols: string[] = [];
    while (list.remaining > 0) {
      const name = list.bytes(list.u8());
      protocols.push(Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1'));
    }
    return protocols;
  }

  /** Versions of supported_versions, such as 0x0304; empty without the extension, as in TLS 1.2 and older. */
  get supportedVersions(): number[] {
    return readNumbers(this.#find(EXTENSIONS.supported_versions).vector8());
  }

  /** The versions of TLS the client offers, for `versionNames`; allocates nothing. */
  get versionSet(): number {
    const body = this.#body;
    const at = this.#layout.versionsOffset;
    // Without the extension, legacy_version is the highest one (RFC 8446 section 4.2.1).
    if (at === 0) return versionBit((body[0]! << 8) | body[1]!);
    const end = at + 1 + body[at]!;
    let set = 0;
    for (let next = at + 1; next < end; next += 2) set |= versionBit((body[next]! << 8) | body[next + 1]!);
    return set;
  }

  get supportedGroups(): number[] {
    return readNumbers(this.#find(EXTENSIONS.supported_groups).vector16());
  }

  get signatureAlgorithms(): number[] {
    return readNumbers(this.#find(EXTENSIONS.signature_algorithms).vector16());
  }

  get ecPointFormats(): number[] {
    return [...this.#find(EXTENSIONS.ec_point_formats).vector8().rest()];
  }

  /** JA3 fingerprint: 32 hexadecimal digits (MD5). */
  get ja3(): string {
    return computeJa3(this);
  }

  /** JA4 fingerprint of a client over TCP, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`. */
  get ja4(): string {
    return computeJa4(this);
  }

  /** The data of an extension; an empty reader if the hello has it not. */
  #find(wanted: number): ByteReader {
    const reader = new ByteReader(this.#body, this.#layout.extensionsOffset);
    while (reader.remaining > 0) {
      const type = reader.u16();
      const data = reader.vector16();
      if (type === wanted) return data;
    }
    return reader;
  }
}

function readNumbers(list: ByteReader): number[] {
  const numbers: number[] = [];
  while (list.remaining > 0) numbers.push(list.u16());
  return numbers;
}
