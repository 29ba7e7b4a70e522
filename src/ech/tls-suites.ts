/** The cipher suites of TLS 1.3 that are known here (RFC 8446 appendix B.4), by their numbers. */
import type { TlsHash } from './tls13-schedule.ts';

export interface TlsSuite {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
  readonly hash: TlsHash;
}

/** Their nonces have 12 bytes, their tags 16. */
export const TLS_SUITES = {
  0x1301: { cipher: 'aes-128-gcm', keyBytes: 16, hash: 'sha256' },
  0x1302: { cipher: 'aes-256-gcm', keyBytes: 32, hash: 'sha384' },
  0x1303: { cipher: 'chacha20-poly1305', keyBytes: 32, hash: 'sha256' },
} as const satisfies Readonly<Record<number, TlsSuite>>;

export type TlsSuiteId = keyof typeof TLS_SUITES;

export function isKnownTlsSuite(suite: number): suite is TlsSuiteId {
  return Object.hasOwn(TLS_SUITES, suite);
}
