/** Hellos as they go over the network: a handshake message in records. */
import { RECORD_PAYLOAD_BYTES_MAX } from '../limits.ts';
import { CONTENT_TYPE_HANDSHAKE } from './tls-record.ts';

const MESSAGE_TYPE_CLIENT_HELLO = 1;

/** The handshake message around the body of a ClientHello (RFC 8446 section 4). */
export function encodeHelloMessage(body: Uint8Array): Uint8Array {
  const { length } = body;
  const message = new Uint8Array(4 + length);
  message.set([MESSAGE_TYPE_CLIENT_HELLO, length >> 16, (length >> 8) & 255, length & 255]);
  message.set(body, 4);
  return message;
}

/** As few records as a handshake message needs. @param version Two bytes, such as 0x0301, which receivers ignore. */
export function encodeHandshakeRecords(message: Uint8Array, version: number): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += RECORD_PAYLOAD_BYTES_MAX) {
    const payload = message.subarray(at, at + RECORD_PAYLOAD_BYTES_MAX);
    const { length } = payload;
    const head = [CONTENT_TYPE_HANDSHAKE, version >> 8, version & 255, length >> 8, length & 255];
    records.push(Uint8Array.from(head), payload);
  }
  return Buffer.concat(records);
}
