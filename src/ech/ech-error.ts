/** What is wrong with a hello that was encrypted, and the alert that says so (RFC 9849 sections 5.1, 6.1.5 and 7.1). */
import { ALERT_OF_CODE } from '../wire/hello-error.ts';
import type { HelloErrorCode } from '../wire/hello-error.ts';
import { ALERTS } from '../wire/tls-alert.ts';

/** Alert description for each code that is not one of any hello. */
export const ECH_ALERT_OF_CODE = {
  /** The extension is cut off, too long, or without a payload. */
  'ech-malformed': ALERTS.decode_error,
  /** It says neither outer nor inner. */
  'ech-unknown-type': ALERTS.illegal_parameter,
  /** A hello on the network says that it is the inner one. */
  'ech-inner-in-clear': ALERTS.illegal_parameter,
  /** The name in clear is not the public name of the key, where that is asked for. */
  'ech-other-public-name': ALERTS.illegal_parameter,
  /** A length in the decrypted hello disagrees with what holds it. */
  'inner-malformed': ALERTS.decode_error,
  'inner-padding': ALERTS.illegal_parameter,
  'inner-session-id': ALERTS.illegal_parameter,
  'inner-no-extensions': ALERTS.illegal_parameter,
  /** ech_outer_extensions is empty or no list of types. */
  'outer-list-malformed': ALERTS.decode_error,
  'outer-list-twice': ALERTS.illegal_parameter,
  /** ech_outer_extensions names a type that the outer hello has not, has before the last one, or that was named already. */
  'outer-list-missing': ALERTS.illegal_parameter,
  /** ech_outer_extensions names encrypted_client_hello or itself. */
  'outer-list-ech': ALERTS.illegal_parameter,
  /** The decrypted hello does not say that it is the inner one. */
  'inner-not-marked': ALERTS.illegal_parameter,
  /** The decrypted hello offers a version older than TLS 1.3, or none. */
  'inner-old-version': ALERTS.illegal_parameter,
  /** The second hello came without the extension. */
  'retry-without-ech': ALERTS.missing_extension,
  /** The second hello has another key, cipher or encapsulated key. */
  'retry-other-key': ALERTS.illegal_parameter,
  'retry-not-opened': ALERTS.decrypt_error,
  /** The second hello asks for another name. */
  'retry-other-name': ALERTS.illegal_parameter,
  /** The client sent something else than the handshake allows, or too much of it. */
  'unexpected-message': ALERTS.unexpected_message,
  'record-overflow': ALERTS.record_overflow,
  /** From here on, what keeps a hello that could not be opened from being told of fresh keys. It offers no TLS 1.3. */
  'no-tls13': ALERTS.protocol_version,
  /** It offers compression, which TLS 1.3 has not. */
  'compression-offered': ALERTS.illegal_parameter,
  'no-common-cipher': ALERTS.handshake_failure,
  /** It has no key share of a group that is known here. */
  'no-common-group': ALERTS.handshake_failure,
  /** It takes no signature that the certificate's key can make. */
  'no-common-signature': ALERTS.handshake_failure,
  /** It lacks an extension that TLS 1.3 asks for (RFC 8446 section 9.2). */
  'missing-extension': ALERTS.missing_extension,
  /** The lengths in key_share disagree. */
  'key-share-malformed': ALERTS.decode_error,
  /** A key share is there twice, of a group that is not offered, or no public key. */
  'key-share-illegal': ALERTS.illegal_parameter,
  /** Something follows pre_shared_key, which has to be the last extension. */
  'psk-not-last': ALERTS.illegal_parameter,
} as const;

const ALERTS_OF_ALL = { ...ALERT_OF_CODE, ...ECH_ALERT_OF_CODE };

/** Why an encrypted hello is refused. Stable. */
export type EchErrorCode = keyof typeof ECH_ALERT_OF_CODE | HelloErrorCode;

/** An encrypted hello that is answered with a fatal alert: whoever sent it had the key, or broke the protocol. */
export interface EchIllegal {
  readonly kind: 'illegal';
  readonly code: EchErrorCode;
  /** Description of the alert. */
  readonly alert: number;
}

export function echIllegal(code: EchErrorCode): EchIllegal {
  return { kind: 'illegal', code, alert: ALERTS_OF_ALL[code] };
}
