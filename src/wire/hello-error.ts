/** Why a ClientHello is refused, and the alert that says so to its sender. */
import { LOGGED_BYTES_MAX } from '../limits.ts';
import { ALERTS } from './tls-alert.ts';

/** Alert description for each code (RFC 8446 section 6.2 where it names one). */
export const ALERT_OF_CODE = {
  /** The first byte begins no TLS record. */
  'not-tls': ALERTS.unexpected_message,
  /** A record of another type came before the hello or between its fragments (RFC 8446 section 5.1). */
  'unexpected-record': ALERTS.unexpected_message,
  /** The major version of a record is not 3. */
  'record-version': ALERTS.protocol_version,
  /** A record announces more than 2^14 bytes. */
  'record-overflow': ALERTS.record_overflow,
  /** A handshake record without payload. */
  'empty-record': ALERTS.unexpected_message,
  'too-many-records': ALERTS.illegal_parameter,
  /** The first handshake message is of another type. */
  'not-client-hello': ALERTS.unexpected_message,
  'hello-too-large': ALERTS.illegal_parameter,
  /** Another message begins in the record that the hello ends in (RFC 8446 section 5.1). */
  'second-message': ALERTS.unexpected_message,
  /** Bytes behind the extensions or a list. */
  'trailing-bytes': ALERTS.decode_error,
  /** A length disagrees with what holds it, or is outside its range. */
  'bad-length': ALERTS.decode_error,
  'duplicate-extension': ALERTS.illegal_parameter,
  'too-many-extensions': ALERTS.decode_error,
  /** Two entries of type host_name (RFC 6066 section 3). */
  'two-names': ALERTS.illegal_parameter,
  'empty-name': ALERTS.decode_error,
  /** The server name is no host name. */
  'bad-name': ALERTS.illegal_parameter,
  'name-too-long': ALERTS.decode_error,
} as const;

/** Why a hello is refused. Stable. */
export type HelloErrorCode = keyof typeof ALERT_OF_CODE;

/** A stream whose beginning is no acceptable ClientHello; more bytes do not change that. */
export interface HelloInvalid {
  readonly kind: 'invalid';
  readonly code: HelloErrorCode;
  /** Description of the fatal alert that fits. */
  readonly alert: number;
  /** A copy of the refused server name's first bytes, at most LOGGED_BYTES_MAX. Hostile: escape before showing it. */
  readonly rawName?: Uint8Array;
}

export function helloInvalid(code: HelloErrorCode): HelloInvalid {
  return { kind: 'invalid', code, alert: ALERT_OF_CODE[code] };
}

/** A refusal of the name itself; copies what it keeps of `name`. */
export function nameInvalid(code: HelloErrorCode, name: Uint8Array): HelloInvalid {
  return { ...helloInvalid(code), rawName: Uint8Array.from(name.subarray(0, LOGGED_BYTES_MAX)) };
}
