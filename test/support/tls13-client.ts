/** The least client of TLS 1.3 that can read one server flight and check all of it; for certificates it takes any bytes. */
import assert from 'node:assert/strict';
import {
  constants,
  createDecipheriv,
  createECDH,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  verify,
} from 'node:crypto';
import type { CipherGCMTypes, KeyObject } from 'node:crypto';
import { GROUPS } from '../../src/ech/key-exchange.ts';
import type { GroupId } from '../../src/ech/key-exchange.ts';
import {
  finishedData,
  hashMessages,
  serverHandshakeSecret,
  trafficKeys,
} from '../../src/ech/tls13-schedule.ts';
import { TLS_SUITES, isKnownTlsSuite } from '../../src/ech/tls-suites.ts';
import { ByteReader } from '../../src/wire/byte-reader.ts';
import { unwrapRecords } from './hello-builder.ts';
import type { ExtensionParts } from './hello-builder.ts';

export interface ClientKey {
  readonly group: GroupId;
  readonly share: Uint8Array;
  agree(share: Uint8Array): Uint8Array;
}

export interface ReadFlight {
  readonly sessionId: Uint8Array;
  readonly suite: number;
  readonly group: number;
  readonly hasChangeCipherSpec: boolean;
  /** Of EncryptedExtensions, in their order. */
  readonly extensions: readonly ExtensionParts[];
  readonly certificates: readonly Uint8Array[];
  readonly scheme: number;
}

/** How each signature is checked. */
const SCHEMES: Readonly<Record<number, { hash: string | null; isPss: boolean }>> = {
  0x0403: { hash: 'sha256', isPss: false },
  0x0503: { hash: 'sha384', isPss: false },
  0x0807: { hash: null, isPss: false },
  0x0804: { hash: 'sha256', isPss: true },
  0x0805: { hash: 'sha384', isPss: true },
  0x0806: { hash: 'sha512', isPss: true },
};

export function createClientKey(group: GroupId): ClientKey {
  if (group === GROUPS.x25519) {
    const { privateKey, publicKey } = generateKeyPairSync('x25519');
    return {
      group,
      share: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'),
      agree(share) {
        const key = { kty: 'OKP', crv: 'X25519', x: Buffer.from(share).toString('base64url') };
        return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'jwk' }) });
      },
    };
  }
  const ecdh = createECDH(group === GROUPS.secp256r1 ? 'prime256v1' : 'secp384r1');
  return { group, share: ecdh.generateKeys(), agree: share => ecdh.computeSecret(share) };
}

/** key_share with these entries, whatever they are. */
export function keyShare(...entries: readonly { group: number; share: Uint8Array }[]): ExtensionParts {
  const list = entries.flatMap(({ group, share }) => [...u16(group), ...u16(share.length), ...share]);
  return { type: 51, data: Uint8Array.from([...u16(list.length), ...list]) };
}

/** Reads a flight to its last byte. @param hello The stream of records with the hello that it answers. */
export function readFlight(
  hello: Uint8Array,
  flight: Uint8Array,
  { key, publicKey }: { key: ClientKey; publicKey: KeyObject },
): ReadFlight {
  const records = splitRecords(flight);
  const [first, ...rest] = records;
  assert.ok(first?.type === 22, 'a ServerHello in clear');
  const hasChangeCipherSpec = rest[0]?.type === 20;
  const sealed = rest[hasChangeCipherSpec ? 1 : 0];
  assert.equal(rest.length, hasChangeCipherSpec ? 2 : 1);
  assert.ok(sealed?.type === 23);
  if (hasChangeCipherSpec) assert.deepEqual([...(rest[0]?.payload ?? [])], [1]);

  const serverHello = readServerHello(first.payload);
  assert.ok(isKnownTlsSuite(serverHello.suite));
  assert.equal(serverHello.group, key.group);
  const suite = TLS_SUITES[serverHello.suite];
  const transcript = [unwrapRecords(hello), first.payload];
  const digest = (): Buffer => hashMessages(suite.hash, transcript);
  const secret = serverHandshakeSecret(suite.hash, key.agree(serverHello.share), digest());
  const { key: recordKey, iv } = trafficKeys(suite.hash, secret, suite.keyBytes);
  const cipher = suite.cipher as CipherGCMTypes;
  const decipher = createDecipheriv(cipher, recordKey, iv, { authTagLength: 16 });
  decipher.setAAD(sealed.header);
  decipher.setAuthTag(sealed.payload.subarray(-16));
  const plaintext = Buffer.concat([decipher.update(sealed.payload.subarray(0, -16)), decipher.final()]);
  assert.equal(plaintext.at(-1), 22);

  const reader = new ByteReader(plaintext, 0, plaintext.length - 1);
  const next = (type: number): ByteReader => {
    const start = reader.position;
    assert.equal(reader.u8(), type);
    const body = reader.bytes(reader.u24());
    assert.ok(reader.ok);
    transcript.push(plaintext.subarray(start, reader.position));
    return new ByteReader(body);
  };
  const extensions = readExtensions(next(8));
  const certificates = readCertificates(next(11));
  const signed = Buffer.concat([
    Buffer.alloc(64, 0x20),
    Buffer.from('TLS 1.3, server CertificateVerify\0'),
    digest(),
  ]);
  const verifyBody = next(15);
  const scheme = verifyBody.u16();
  const signature = verifyBody.vector16().rest();
  assert.ok(verifyBody.done && verifySignature(scheme, signed, { signature, publicKey }), 'the signature');
  const verifyData = finishedData(suite.hash, secret, digest());
  assert.deepEqual(Buffer.from(next(20).rest()), verifyData);
  assert.ok(reader.done, 'nothing behind Finished');
  const { sessionId, group } = serverHello;
  return {
    sessionId,
    suite: serverHello.suite,
    group,
    hasChangeCipherSpec,
    extensions,
    certificates,
    scheme,
  };
}

function verifySignature(
  scheme: number,
  signed: Uint8Array,
  { signature, publicKey }: { signature: Uint8Array; publicKey: KeyObject },
): boolean {
  const { hash, isPss } = SCHEMES[scheme] ?? assert.fail(`scheme ${scheme}`);
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return verify(hash, signed, isPss ? { key: publicKey, ...pss } : publicKey, signature);
}

interface SplitRecord {
  readonly type: number;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

function splitRecords(bytes: Uint8Array): SplitRecord[] {
  const records: SplitRecord[] = [];
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const header = reader.bytes(5);
    const [type = 0, major, minor, high = 0, low = 0] = header;
    assert.deepEqual([major, minor], [3, 3]);
    records.push({ type, header, payload: reader.bytes((high << 8) | low) });
  }
  assert.ok(reader.ok);
  return records;
}

function readServerHello(message: Uint8Array) {
  const reader = new ByteReader(message);
  assert.equal(reader.u8(), 2);
  assert.equal(reader.u24(), message.length - 4);
  assert.equal(reader.u16(), 0x0303);
  reader.skip(32);
  const sessionId = reader.vector8().rest();
  const suite = reader.u16();
  assert.equal(reader.u8(), 0);
  const list = reader.vector16();
  assert.ok(reader.done);
  assert.deepEqual([list.u16(), list.u16(), list.u16()], [43, 2, 0x0304]);
  assert.equal(list.u16(), 51);
  const data = list.vector16();
  const group = data.u16();
  const share = data.vector16().rest();
  assert.ok(data.done && list.done);
  return { sessionId, suite, group, share };
}

function readExtensions(body: ByteReader): ExtensionParts[] {
  const list = body.vector16();
  assert.ok(body.done);
  const extensions: ExtensionParts[] = [];
  while (list.remaining > 0) extensions.push({ type: list.u16(), data: list.vector16().rest() });
  assert.ok(list.done);
  return extensions;
}

function readCertificates(body: ByteReader): Uint8Array[] {
  assert.equal(body.u8(), 0);
  const list = new ByteReader(body.bytes(body.u24()));
  assert.ok(body.done);
  const certificates: Uint8Array[] = [];
  while (list.remaining > 0) {
    certificates.push(list.bytes(list.u24()));
    assert.equal(list.u16(), 0);
  }
  assert.ok(list.done);
  return certificates;
}

function u16(value: number): number[] {
  return [value >> 8, value & 255];
}
