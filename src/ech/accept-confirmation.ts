/** Whether a backend has taken the inner hello as one: eight bytes of its ServerHello say so (RFC 9849 section 7.2). */
import { ByteReader } from '../wire/byte-reader.ts';
import { hashMessages, hkdfExpandLabel, hkdfExtract } from './tls13-schedule.ts';
import type { TlsHash } from './tls13-schedule.ts';

/** Handshake messages, each with its 4-byte header. */
export interface ConfirmedHandshake {
  readonly hello: Uint8Array;
  /** Where the server asked for another hello: what it said, and that hello. */
  readonly retry: { readonly request: Uint8Array; readonly hello: Uint8Array } | null;
  readonly serverHello: Uint8Array;
}

/** Offsets in messages, behind their header and version. */
const RANDOM_OFFSET = 6;
const RANDOM_BYTES = 32;
const CONFIRMATION_BYTES = 8;
const CONFIRMATION_OFFSET = RANDOM_OFFSET + RANDOM_BYTES - CONFIRMATION_BYTES;
const LABEL = 'ech accept confirmation';
const TLS_AES_256_GCM_SHA384 = 0x1302;
const MESSAGE_HASH = 254;

/** False too for a backend that speaks no TLS 1.3, and so no Encrypted ClientHello. */
export function isAcceptConfirmed({ hello, retry, serverHello }: ConfirmedHandshake): boolean {
  const suite = cipherSuiteOf(serverHello);
  if (suite === null) return false;
  const hash = suite === TLS_AES_256_GCM_SHA384 ? 'sha384' : 'sha256';
  const zeroed = Uint8Array.from(serverHello);
  zeroed.fill(0, CONFIRMATION_OFFSET, RANDOM_OFFSET + RANDOM_BYTES);
  const first = retry === null ? [hello] : [hashOfHello(hello, hash), retry.request, retry.hello];
  const context = hashMessages(hash, [...first, zeroed]);
  const random = hello.subarray(RANDOM_OFFSET, RANDOM_OFFSET + RANDOM_BYTES);
  const secret = hkdfExtract(hash, new Uint8Array(0), random);
  const expected = hkdfExpandLabel(hash, secret, { label: LABEL, context, length: CONFIRMATION_BYTES });
  return expected.equals(serverHello.subarray(CONFIRMATION_OFFSET, CONFIRMATION_OFFSET + CONFIRMATION_BYTES));
}

/** What stands for the first hello in the transcript once there is a second one (RFC 8446 section 4.4.1). */
function hashOfHello(hello: Uint8Array, hash: TlsHash): Uint8Array {
  const digest = hashMessages(hash, [hello]);
  return Uint8Array.of(MESSAGE_HASH, 0, 0, digest.length, ...digest);
}

function cipherSuiteOf(serverHello: Uint8Array): number | null {
  const reader = new ByteReader(serverHello, RANDOM_OFFSET + RANDOM_BYTES);
  reader.vector8();
  const suite = reader.u16();
  return reader.ok ? suite : null;
}
