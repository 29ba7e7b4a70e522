/** TLS alerts: what a refused client is told. */

/** Descriptions of the alerts of RFC 8446 section 6, by their names there. */
export const ALERTS = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const;

/** Name of an alert, for example `unrecognized_name`. */
export type AlertName = keyof typeof ALERTS;

const NAMES: ReadonlyMap<number, AlertName> = new Map(
  Object.entries(ALERTS).map(([name, description]) => [description, name as AlertName]),
);

const CONTENT_TYPE_ALERT = 21;
const LEVEL_FATAL = 2;

/** Name of the alert with this description; null if RFC 8446 has none. */
export function alertName(description: number): AlertName | null {
  return NAMES.get(description) ?? null;
}

/**
 * One unencrypted record that holds a fatal alert. Its version is 0x0303, which peers ignore (RFC 8446 section 5.1).
 *
 * @param description An alert's number, 0 to 255, as in {@link ALERTS}.
 */
export function encodeAlert(description: number): Uint8Array {
  return Uint8Array.of(CONTENT_TYPE_ALERT, 3, 3, 0, 2, LEVEL_FATAL, description);
}
