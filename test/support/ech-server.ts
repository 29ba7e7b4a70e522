/** ServerHellos made to order: those of a backend that knows inner hellos, and of others. */
import { createHash, hkdfSync } from 'node:crypto';
import { wrapMessage } from './hello-builder.ts';
import type { ExtensionParts } from './hello-builder.ts';

export const RETRY_RANDOM = Buffer.from(
  'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c',
  'hex',
);
const TLS_AES_256_GCM_SHA384 = 0x1302;

const TLS_1_3 = { type: 43, data: Uint8Array.of(3, 4) };

/** A ServerHello of TLS 1.3 with this random, as a handshake message. */
export function buildServerHello(
  random: Uint8Array,
  suite = 0x1301,
  extensions: readonly ExtensionParts[] = [TLS_1_3],
): Uint8Array {
  const list = extensions.flatMap(({ type, data }) => [type >> 8, type & 255, 0, data.length, ...data]);
  const session = [32, ...new Uint8Array(32).fill(5)];
  const body = [3, 3, ...random, ...session, suite >> 8, suite & 255, 0, 0, list.length, ...list];
  return wrapMessage(Uint8Array.from(body), 2);
}

/** What a backend that knows inner hellos adds to a HelloRetryRequest; nobody checks its value here. */
export const RETRY_MARK: ExtensionParts = { type: 0xfe0d, data: new Uint8Array(8).fill(0x77) };

/** @param more Behind supported_versions; at most 255 bytes together. */
export function buildRetryRequest(suite = 0x1301, more: readonly ExtensionParts[] = []): Uint8Array {
  return buildServerHello(RETRY_RANDOM, suite, [TLS_1_3, ...more]);
}

/** The ServerHello with which a backend accepts; `before` are the messages up to it, hashed as TLS 1.3 wants it. */
export function buildAcceptingHello(
  firstHello: Uint8Array,
  retry: { request: Uint8Array; hello: Uint8Array } | null,
  suite = 0x1301,
): Uint8Array {
  const hash = suite === TLS_AES_256_GCM_SHA384 ? 'sha384' : 'sha256';
  const random = new Uint8Array(32).fill(0x33);
  random.fill(0, 24);
  const digest = createHash(hash).update(firstHello).digest();
  const start =
    retry === null
      ? [firstHello]
      : [Uint8Array.of(254, 0, 0, digest.length), digest, retry.request, retry.hello];
  const transcript = createHash(hash)
    .update(Buffer.concat([...start, buildServerHello(random, suite)]))
    .digest();
  const label = Buffer.from('tls13 ech accept confirmation');
  const info = Buffer.concat([
    Uint8Array.of(0, 8, label.length),
    label,
    Uint8Array.of(transcript.length),
    transcript,
  ]);
  const secret = firstHello.subarray(6, 38);
  random.set(new Uint8Array(hkdfSync(hash, secret, new Uint8Array(transcript.length), info, 8)), 24);
  return buildServerHello(random, suite);
}
