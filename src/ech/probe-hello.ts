/** Inner hellos of our own making, to ask a backend what it makes of them. */
import { createECDH, generateKeyPairSync, randomBytes } from 'node:crypto';
import { encodeHelloMessage } from '../wire/hello-records.ts';
import { EXTENSIONS } from '../wire/hello-layout.ts';
import { u16, vector16, vector8 } from '../wire/vectors.ts';
import { COOKIE, KEY_SHARE } from './server-hello.ts';

export interface ProbedName {
  /** Canonical; null to ask for no name. */
  readonly serverName: string | null;
  /** Protocols to offer; empty to leave the extension out. */
  readonly alpnProtocols: readonly string[];
}

/** What a server may ask for in its HelloRetryRequest. */
export interface HelloChange {
  readonly group: number | null;
  readonly cookie: Uint8Array | null;
}

const LEGACY_VERSION = 0x0303;
const TLS_1_3 = 0x0304;
/** TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256. */
const CIPHER_SUITES = [0x1301, 0x1302, 0x1303];
export const X25519 = 0x001d;
/** Groups whose share is sent only where it is asked for; names as `createECDH` knows them. */
const CURVES: ReadonlyMap<number, string> = new Map([
  [0x0017, 'prime256v1'],
  [0x0018, 'secp384r1'],
  [0x0019, 'secp521r1'],
]);
/** For certificates of any kind: ECDSA, RSA-PSS, RSA-PKCS1 (within chains), Ed25519, Ed448. */
const SIGNATURES = [
  0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601, 0x0807,
  0x0808,
];
const PSK_KEY_EXCHANGE_MODES = 45;
const PSK_DHE_KE = 1;
/** ECHClientHelloType.inner, which is all the extension has in an inner hello (RFC 9849 section 5). */
const INNER = 1;

/** Whether a second hello can have a share of this group, which the first one did not. */
export function canChangeTo(group: number): boolean {
  return CURVES.has(group);
}

/** The first hello to a backend, and the second one that it may ask for: handshake messages with their headers. */
export class ProbeHellos {
  readonly #name: ProbedName;
  readonly #random = randomBytes(32);
  /** As browsers send it, for old middleboxes (RFC 8446 appendix D.4). */
  readonly #sessionId = randomBytes(32);
  readonly #firstShare = keyShare(X25519);
  readonly first: Uint8Array;

  constructor(name: ProbedName) {
    this.#name = name;
    this.first = this.#build(this.#firstShare, []);
  }

  /** The same hello, but for what the server asks to be changed (RFC 8446 section 4.1.2). */
  second({ group, cookie }: HelloChange): Uint8Array {
    const share = group === null ? this.#firstShare : keyShare(group);
    return this.#build(share, cookie === null ? [] : extension(COOKIE, cookie));
  }

  #build(share: readonly number[], more: readonly number[]): Uint8Array {
    const { serverName, alpnProtocols } = this.#name;
    const extensions = [
      ...(serverName === null ? [] : serverNameExtension(serverName)),
      ...extension(EXTENSIONS.supported_groups, vector16([X25519, ...CURVES.keys()].flatMap(u16))),
      ...extension(EXTENSIONS.signature_algorithms, vector16(SIGNATURES.flatMap(u16))),
      ...(alpnProtocols.length === 0 ? [] : alpnExtension(alpnProtocols)),
      ...extension(EXTENSIONS.supported_versions, vector8(u16(TLS_1_3))),
      ...extension(PSK_KEY_EXCHANGE_MODES, vector8([PSK_DHE_KE])),
      ...extension(KEY_SHARE, vector16(share)),
      ...extension(EXTENSIONS.encrypted_client_hello, [INNER]),
      ...more,
    ];
    const body = [
      ...u16(LEGACY_VERSION),
      ...this.#random,
      ...vector8(this.#sessionId),
      ...vector16(CIPHER_SUITES.flatMap(u16)),
      ...vector8([0]),
      ...vector16(extensions),
    ];
    return encodeHelloMessage(Uint8Array.from(body));
  }
}

function extension(type: number, data: ArrayLike<number>): number[] {
  return [...u16(type), ...vector16(data)];
}

function serverNameExtension(name: string): number[] {
  const hostName = [0, ...vector16(Buffer.from(name, 'latin1'))];
  return extension(EXTENSIONS.server_name, vector16(hostName));
}

function alpnExtension(protocols: readonly string[]): number[] {
  const list = protocols.flatMap(protocol => vector8(Buffer.from(protocol, 'latin1')));
  return extension(EXTENSIONS.application_layer_protocol_negotiation, vector16(list));
}

/** A share of a fresh key. Nobody keeps its private half: the handshake ends before anything is derived from it. */
function keyShare(group: number): number[] {
  const curve = CURVES.get(group);
  return [
    ...u16(group),
    ...vector16(curve === undefined ? x25519PublicKey() : createECDH(curve).generateKeys()),
  ];
}

function x25519PublicKey(): Uint8Array {
  const { x = '' } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  return Buffer.from(x, 'base64url');
}
