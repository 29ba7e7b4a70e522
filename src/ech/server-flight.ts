/**
 * All that a server of TLS 1.3 says in one handshake (RFC 8446 section 2), its certificate included, and nothing of what
 * the client says after it is needed for that.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import type { CipherGCMTypes } from 'node:crypto';
import { EXTENSIONS } from '../wire/hello-layout.ts';
import { encodeHandshakeRecords } from '../wire/hello-records.ts';
import type { GroupId } from './key-exchange.ts';
import type { SignatureScheme, SigningKey } from './signing-key.ts';
import { finishedData, hashMessages, serverHandshakeSecret, trafficKeys } from './tls13-schedule.ts';
import { TLS_SUITES } from './tls-suites.ts';
import type { TlsSuite, TlsSuiteId } from './tls-suites.ts';

/** What is the same for all clients of one name. */
export interface ServerIdentity {
  /** The message Certificate. */
  readonly certificate: Uint8Array;
  readonly key: SigningKey;
}

export interface FlightTerms {
  /** ClientHello, its 4-byte header included. */
  readonly hello: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suite: TlsSuiteId;
  readonly group: GroupId;
  /** The server's public key. */
  readonly share: Uint8Array;
  /** What both ends have agreed on. */
  readonly secret: Uint8Array;
  readonly scheme: SignatureScheme;
  /** `retry_configs`, an ECHConfigList; null leaves them out. */
  readonly retryConfigs: Uint8Array | null;
}

const LEGACY_VERSION = 0x0303;
const TLS_1_3 = 0x0304;
const KEY_SHARE = 51;
const MESSAGES = {
  server_hello: 2,
  encrypted_extensions: 8,
  certificate: 11,
  certificate_verify: 15,
  finished: 20,
} as const;
const CONTENT_TYPE_HANDSHAKE = 22;
const CONTENT_TYPE_APPLICATION_DATA = 23;
/** What old middleboxes want to see before anything encrypted (RFC 8446 appendix D.4). */
const CHANGE_CIPHER_SPEC = Uint8Array.of(20, 3, 3, 0, 1, 1);
const TAG_BYTES = 16;
/** What a signature of a server covers before the transcript (RFC 8446 section 4.4.3). */
const VERIFY_CONTEXT = Buffer.concat([
  Buffer.alloc(64, 0x20),
  Buffer.from('TLS 1.3, server CertificateVerify\0', 'latin1'),
]);
/** Bytes beside certificates, list and signature: the heads of messages and records, and a ServerHello at its largest. */
const FLIGHT_BYTES_ELSE = 290;

/** Bytes that a flight takes at most. */
export function flightBytesMax({ certificate, key }: ServerIdentity, retryConfigs: Uint8Array): number {
  return certificate.length + retryConfigs.length + key.signatureBytesMax + FLIGHT_BYTES_ELSE;
}

/** The message Certificate. @param certificates DER, the server's own first. */
export function encodeCertificate(certificates: readonly Uint8Array[]): Uint8Array {
  const entries = certificates.map(one => Buffer.concat([vector(3, one), vector(2)]));
  return message(MESSAGES.certificate, vector(1), vector(3, ...entries));
}

/** The flight as records: what is encrypted is in one, which the bound of whoever calls has room for. */
export function encodeServerFlight({ certificate, key }: ServerIdentity, terms: FlightTerms): Uint8Array {
  const suite = TLS_SUITES[terms.suite];
  const { hash } = suite;
  const serverHello = encodeServerHello(terms);
  const hashWith = (...messages: Uint8Array[]): Buffer =>
    hashMessages(hash, [terms.hello, serverHello, ...messages]);
  const secret = serverHandshakeSecret(hash, terms.secret, hashWith());
  const extensions = encodeEncryptedExtensions(terms.retryConfigs);
  const content = Buffer.concat([VERIFY_CONTEXT, hashWith(extensions, certificate)]);
  const signature = key.sign(terms.scheme, content);
  const verify = message(MESSAGES.certificate_verify, u16(terms.scheme.id), vector(2, signature));
  const verifyData = finishedData(hash, secret, hashWith(extensions, certificate, verify));
  const finished = message(MESSAGES.finished, verifyData);
  const encrypted = Buffer.concat([extensions, certificate, verify, finished]);
  return Buffer.concat([
    encodeHandshakeRecords(serverHello, LEGACY_VERSION),
    ...(terms.sessionId.length > 0 ? [CHANGE_CIPHER_SPEC] : []),
    sealFirstRecord(suite, secret, encrypted),
  ]);
}

function encodeServerHello({ sessionId, suite, group, share }: FlightTerms): Uint8Array {
  const extensions = [
    extension(EXTENSIONS.supported_versions, u16(TLS_1_3)),
    extension(KEY_SHARE, u16(group), vector(2, share)),
  ];
  const noCompression = Uint8Array.of(0);
  return message(
    MESSAGES.server_hello,
    u16(LEGACY_VERSION),
    randomBytes(32),
    vector(1, sessionId),
    u16(suite),
    noCompression,
    vector(2, ...extensions),
  );
}

function encodeEncryptedExtensions(retryConfigs: Uint8Array | null): Uint8Array {
  const extensions =
    retryConfigs === null ? [] : [extension(EXTENSIONS.encrypted_client_hello, retryConfigs)];
  return message(MESSAGES.encrypted_extensions, vector(2, ...extensions));
}

/** The first record under the handshake keys (RFC 8446 section 5.2), whose nonce is the plain iv. */
function sealFirstRecord(suite: TlsSuite, secret: Uint8Array, content: Uint8Array): Uint8Array {
  const { key, iv } = trafficKeys(suite.hash, secret, suite.keyBytes);
  const plaintext = Buffer.concat([content, Uint8Array.of(CONTENT_TYPE_HANDSHAKE)]);
  const header = Buffer.concat([
    Uint8Array.of(CONTENT_TYPE_APPLICATION_DATA),
    u16(LEGACY_VERSION),
    u16(plaintext.length + TAG_BYTES),
  ]);
  // The three ciphers share this interface; Node's types name it by GCM alone.
  const cipher = createCipheriv(suite.cipher as CipherGCMTypes, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function message(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(type), vector(3, ...parts)]);
}

function extension(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([u16(type), vector(2, ...parts)]);
}

/** Bytes behind their length. */
function vector(lengthBytes: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([length, content]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}
