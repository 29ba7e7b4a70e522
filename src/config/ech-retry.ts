/** Certificates and keys under which clients with an old key for Encrypted ClientHello are told of the new one. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { publicNameFault } from '../ech/public-name.ts';
import type { RetryIdentity } from '../ech/retry-responder.ts';
import { signingKeyFault } from '../ech/signing-key.ts';
import { CHAIN_CERTIFICATES_MAX, HEALTH_EXPIRY_DAYS } from '../limits.ts';
import { OPEN_TO_OTHERS, readBounded } from './ech-files.ts';
import { quote } from './plain-text.ts';
import { describeFailure } from './read-text.ts';

/** One certificate with its chain and its key. */
export interface RetryIdentityFile {
  /** Null if there are problems. */
  readonly identity: RetryIdentity | null;
  readonly certificatePath: string;
  /** When the certificate expires, in milliseconds since 1970; 0 without an identity. */
  readonly validToMs: number;
  /** What keeps the files from being used, each a sentence without a full stop, with the file and the remedy. */
  readonly problems: readonly string[];
  /** What is unwise, in the same form. */
  readonly warnings: readonly string[];
}

const CERTIFICATE_BEGIN = '-----BEGIN CERTIFICATE-----';
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----/;
const HAS_PASSWORD = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;
const DAY_MS = 86_400_000;

/** Reads PEM: the server's own certificate and those that lead to an authority; and a key without password. */
export function readRetryIdentity(
  certificatePath: string,
  keyPath: string,
  nowMs = Date.now(),
): RetryIdentityFile {
  const problems: string[] = [];
  const chain = attempt(problems, () => readChain(certificatePath));
  const read = attempt(problems, () => readKey(keyPath));
  const [leaf] = chain ?? [];
  if (chain === null || leaf === undefined || read === null) {
    return { identity: null, certificatePath, validToMs: 0, problems, warnings: [] };
  }
  const validToMs = Date.parse(leaf.validTo);
  const mismatch = findMismatch(chain, read.key);
  if (mismatch !== null) {
    problems.push(
      `${quote(keyPath)} does not belong to the certificate in ${quote(certificatePath)}: ${mismatch}`,
    );
    return { identity: null, certificatePath, validToMs: 0, problems, warnings: [] };
  }
  const warnings = [
    ...findExpiry(leaf, nowMs).map(what => `the certificate in ${quote(certificatePath)} ${what}`),
    ...findDisorder(chain).map(what => `in ${quote(certificatePath)} ${what}`),
    ...(read.isOpen
      ? [`${quote(keyPath)} has a private key and is open to other users: chmod 600 closes it`]
      : []),
  ];
  const identity = {
    // Copies, so that what is sent to a thread is no more than this.
    certificates: chain.map(({ raw }) => Uint8Array.from(raw)),
    privateKey: Uint8Array.from(read.key.export({ format: 'der', type: 'pkcs8' })),
  };
  return { identity, certificatePath, validToMs, problems, warnings };
}

/** Whether clients take the certificate for this name: as an exact name, or by `*` as its first label. */
export function coversName({ certificates }: RetryIdentity, publicName: string): boolean {
  const [leaf] = certificates;
  // Others would be taken for a pattern, or thrown for.
  if (leaf === undefined || publicNameFault(publicName) !== null) return false;
  const options = { subject: 'never', partialWildcards: false } as const;
  return new X509Certificate(leaf).checkHost(publicName, options) !== undefined;
}

/** What `read` gives; null after adding why there is nothing. */
function attempt<T>(problems: string[], read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return null;
  }
}

function readText(path: string): { text: string; mode: number } {
  try {
    const { bytes, mode } = readBounded(path);
    return { text: bytes.toString('latin1'), mode };
  } catch (error) {
    throw new Error(`cannot read ${quote(path)}: ${describeFailure(error)}`, { cause: error });
  }
}

function readChain(path: string): readonly X509Certificate[] {
  const { text } = readText(path);
  const blocks = text.match(CERTIFICATE) ?? [];
  if (text.split(CERTIFICATE_BEGIN).length - 1 !== blocks.length) {
    throw new Error(`a certificate in ${quote(path)} is cut off or damaged: get the file anew`);
  }
  if (blocks.length === 0) {
    throw new Error(
      `${quote(path)} has no certificate: give a PEM file, the certificate of the public name first`,
    );
  }
  if (blocks.length > CHAIN_CERTIFICATES_MAX) {
    throw new Error(
      `${quote(path)} has ${blocks.length} certificates, and at most ${CHAIN_CERTIFICATES_MAX} are sent: leave those between the public name and its authority`,
    );
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      const message = `certificate ${index + 1} of ${blocks.length} in ${quote(path)} is malformed: get it anew`;
      throw new Error(message, { cause });
    }
  });
}

function readKey(path: string): { key: KeyObject; isOpen: boolean } {
  const { text, mode } = readText(path);
  if (HAS_PASSWORD.test(text)) {
    throw new Error(
      `${quote(path)} has a password, which nobody is there to give: openssl pkey -in FILE -out FILE writes it without`,
    );
  }
  if (!PRIVATE_KEY.test(text)) {
    throw new Error(`${quote(path)} has no private key: give a PEM file with a block PRIVATE KEY`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new Error(`the private key in ${quote(path)} is malformed: get it anew`, { cause });
  }
  const fault = signingKeyFault(key);
  if (fault !== null) throw new Error(`the private key in ${quote(path)} cannot sign here: ${fault}`);
  return { key, isOpen: (mode & OPEN_TO_OTHERS) !== 0 };
}

/** Why the key is not that of the first certificate; null if it is. */
function findMismatch(chain: readonly X509Certificate[], key: KeyObject): string | null {
  const at = chain.findIndex(certificate => certificate.checkPrivateKey(key));
  if (at === 0) return null;
  return at < 0
    ? 'give the one that it was requested with'
    : `it belongs to number ${at + 1} there, which has to come first`;
}

function findExpiry({ validFrom, validTo }: X509Certificate, nowMs: number): readonly string[] {
  const leftMs = Date.parse(validTo) - nowMs;
  if (leftMs <= 0) return [`has expired on ${day(validTo)}: clients do not believe it, so renew it`];
  if (Date.parse(validFrom) > nowMs) {
    return [`is valid from ${day(validFrom)} on: clients do not believe it before`];
  }
  if (leftMs >= HEALTH_EXPIRY_DAYS * DAY_MS) return [];
  return [`expires on ${day(validTo)}: renew it, for clients do not believe it after that`];
}

/** Clients build a chain from what they get, and some take it only in its order. */
function findDisorder(chain: readonly X509Certificate[]): readonly string[] {
  const at = chain.findIndex((one, index) => {
    const issuer = chain[index + 1];
    return issuer !== undefined && !one.checkIssued(issuer);
  });
  if (at < 0) return [];
  return [
    `certificate ${at + 2} has not issued certificate ${at + 1}: put each behind the one it has issued`,
  ];
}

function day(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}
