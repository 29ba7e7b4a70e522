/** What a client that speaks no TLS seems to speak. */

/** Protocols that turn up at a TLS port. */
export type SniffedProtocol =
  'http' | 'ssh' | 'smtp' | 'ftp' | 'xmpp' | 'proxy' | 'sslv2' | 'socks' | 'postgres' | 'rdp';

const TEXT_BYTES_MAX = 16;
const PREFIXES: readonly (readonly [RegExp, SniffedProtocol])[] = [
  [/^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI|PROPFIND) /, 'http'],
  [/^SSH-/, 'ssh'],
  [/^(?:EHLO|HELO|LHLO)[ \r\n]/i, 'smtp'],
  [/^(?:USER|AUTH) /i, 'ftp'],
  [/^<(?:\?xml|stream)/, 'xmpp'],
  [/^PROXY /, 'proxy'],
  // The PROXY protocol's version 2 signature.
  [/^\r\n\r\n\0\r\nQUIT\n/, 'proxy'],
  // SSLRequest, GSSENCRequest and a version 3 start-up message.
  [/^\0\0\0\x08\x04\xd2\x16[\x2f\x30]|^\0\0[^]{2}\0\x03\0\0/, 'postgres'],
  // A TPKT header and an X.224 connection request.
  [/^\x03\0[^]{3}\xe0/, 'rdp'],
  // A 2-byte SSL 2.0 record header and CLIENT-HELLO (RFC 5246 section E.2).
  [/^[\x80-\xff][^]\x01/, 'sslv2'],
  [/^\x04[\x01\x02]/, 'socks'],
  [/^\x05[\x01-\x09][\0-\x09\x80]/, 'socks'],
];

/**
 * A best guess, for the log only, at the protocol of a stream that `HelloReader` calls `not-tls`.
 *
 * @param bytes The stream from its first byte; a few bytes suffice.
 * @returns null if nothing fits.
 */
export function sniffProtocol(bytes: Uint8Array): SniffedProtocol | null {
  const text = Buffer.from(bytes.subarray(0, TEXT_BYTES_MAX)).toString('latin1');
  for (const [prefix, protocol] of PREFIXES) {
    if (prefix.test(text)) return protocol;
  }
  return null;
}
