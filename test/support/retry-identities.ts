/** Certificates of an authority of the test's own, with keys of every kind that signs. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import * as x509 from '@peculiar/x509';
import type { RetryIdentity } from '../../src/ech/retry-responder.ts';

x509.cryptoProvider.set(webcrypto);

const DAY_MS = 86_400_000;
const AUTHORITY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: Uint8Array.of(1, 0, 1) } as const;

export const KEY_KINDS = {
  'P-256': AUTHORITY,
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  Ed25519: { name: 'Ed25519' },
  'RSA-2048': { ...RSA, modulusLength: 2048 },
  'RSA-3072': { ...RSA, modulusLength: 3072 },
} as const;

export type KeyKind = keyof typeof KEY_KINDS;

export interface IssuedIdentity {
  readonly identity: RetryIdentity;
  /** PEM, the leaf alone. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface KindAuthority {
  /** PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** @param days From now until it expires; negative for an expired one. */
  issue(names: readonly string[], kind?: KeyKind, days?: number): Promise<IssuedIdentity>;
}

export async function createKindAuthority(t: TestContext): Promise<KindAuthority> {
  const keys = await generate(AUTHORITY);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(30),
    serialNumber: '01',
    name: 'CN=Sniway test authority',
    keys,
    signingAlgorithm: AUTHORITY,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, root.toString('pem'));
  let serial = 1;
  return {
    ca: root.toString('pem'),
    caFile,
    async issue(names, kind = 'P-256', days = 30) {
      const leafKeys = await generate(KEY_KINDS[kind]);
      const leaf = await x509.X509CertificateGenerator.create({
        ...validity(days),
        serialNumber: (++serial).toString(16).padStart(4, '0'),
        subject: `CN=${names[0] ?? 'nobody'}`,
        issuer: root.subject,
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: AUTHORITY,
        extensions: [
          new x509.SubjectAlternativeNameExtension(names.map(value => ({ type: 'dns', value }))),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        ],
      });
      const privateKey = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', leafKeys.privateKey));
      return {
        identity: { certificates: [new Uint8Array(leaf.rawData)], privateKey },
        cert: `${leaf.toString('pem')}\n`,
        key: pem('PRIVATE KEY', privateKey),
      };
    },
  };
}

/** A block of PEM. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 30 * DAY_MS), notAfter: new Date(now + days * DAY_MS) };
}

async function generate(
  algorithm: (typeof KEY_KINDS)[KeyKind] | typeof AUTHORITY,
): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}
