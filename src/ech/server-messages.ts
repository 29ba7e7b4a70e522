/** Reads along with what a backend answers: its first handshake messages, as long as they are in clear. */
import { RECORD_PAYLOAD_BYTES_MAX, SERVER_HELLO_BYTES_MAX } from '../limits.ts';
import { StreamBuffer } from '../wire/stream-buffer.ts';
import {
  CONTENT_TYPE_HANDSHAKE,
  RECORD_HEADER_BYTES,
  RECORD_VERSION_MAJOR,
  recordLength,
} from '../wire/tls-record.ts';

export type ServerEvent =
  /** A ServerHello or HelloRetryRequest, its 4-byte header included, in memory of its own. */
  | { readonly kind: 'hello'; readonly message: Uint8Array }
  /** Something else came: nothing more is read. */
  | {
      readonly kind: 'other';
      /** Description of the alert, if that is what came. */
      readonly alert: number | null;
    };

const CONTENT_TYPE_CHANGE_CIPHER_SPEC = 20;
const CONTENT_TYPE_ALERT = 21;
const MESSAGE_TYPE_SERVER_HELLO = 2;
const MESSAGE_HEADER_BYTES = 4;
const ALERT_BYTES = 2;
const NO_ALERT: ServerEvent = { kind: 'other', alert: null };

/** One for each connection; keeps no more than one message. */
export class ServerMessages {
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes of the current record still to come. */
  #left = 0;
  readonly #payload = new StreamBuffer();
  #isOver = false;

  /** What the bytes, which follow those given before, have brought to an end. */
  read(bytes: Uint8Array): ServerEvent[] {
    const events: ServerEvent[] = [];
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      if (this.#left === 0) {
        this.#header[this.#headerBytes++] = bytes[at++]!;
        if (this.#headerBytes === RECORD_HEADER_BYTES && !this.#startRecord()) this.#end(events, NO_ALERT);
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      if (this.#header[0] !== CONTENT_TYPE_CHANGE_CIPHER_SPEC) {
        this.#payload.append(part);
        this.#readPayload(events);
      }
    }
    return events;
  }

  /** False for a record that is none of a handshake. */
  #startRecord(): boolean {
    const [type, major] = this.#header;
    this.#headerBytes = 0;
    this.#left = recordLength(this.#header, 0);
    if (major !== RECORD_VERSION_MAJOR || this.#left > RECORD_PAYLOAD_BYTES_MAX) return false;
    if (type === CONTENT_TYPE_HANDSHAKE || type === CONTENT_TYPE_CHANGE_CIPHER_SPEC) return true;
    return type === CONTENT_TYPE_ALERT && this.#left === ALERT_BYTES && this.#payload.length === 0;
  }

  #readPayload(events: ServerEvent[]): void {
    const { bytes, length } = this.#payload;
    if (this.#header[0] === CONTENT_TYPE_ALERT) {
      if (length >= ALERT_BYTES) this.#end(events, { kind: 'other', alert: bytes[1]! });
      return;
    }
    if (bytes[0] !== MESSAGE_TYPE_SERVER_HELLO) return this.#end(events, NO_ALERT);
    if (length < MESSAGE_HEADER_BYTES) return;
    const wanted = MESSAGE_HEADER_BYTES + ((bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!);
    if (wanted > SERVER_HELLO_BYTES_MAX) return this.#end(events, NO_ALERT);
    if (length < wanted) return;
    events.push({ kind: 'hello', message: Uint8Array.from(bytes.subarray(0, wanted)) });
    this.#payload.drop(wanted);
    if (this.#payload.length > 0) this.#readPayload(events);
  }

  #end(events: ServerEvent[], event: ServerEvent): void {
    events.push(event);
    this.#isOver = true;
    this.#payload.take();
  }
}
