/** Finds the ClientHello at the beginning of a TCP stream, over any number of TLS records. */
import { HELLO_BYTES_MAX, HELLO_RECORDS_MAX, RECORD_PAYLOAD_BYTES_MAX } from '../limits.ts';
import { ClientHello } from './client-hello.ts';
import { helloInvalid } from './hello-error.ts';
import type { HelloErrorCode, HelloInvalid } from './hello-error.ts';
import { parseHelloLayout } from './hello-layout.ts';
import {
  CONTENT_TYPE_HANDSHAKE,
  RECORD_HEADER_BYTES,
  RECORD_VERSION_MAJOR,
  isContentType,
  recordLength,
} from './tls-record.ts';

export type { HelloErrorCode, HelloInvalid } from './hello-error.ts';

/** The stream holds a whole, valid ClientHello. */
export interface HelloComplete {
  readonly kind: 'complete';
  readonly hello: ClientHello;
  /** Bytes of the stream up to the end of the hello's last record; what follows is not part of it. */
  readonly consumed: number;
}

export type HelloResult = HelloComplete | { readonly kind: 'incomplete' } | HelloInvalid;

const INCOMPLETE: HelloResult = { kind: 'incomplete' };
/** Handshake header (RFC 8446 section 4): type and a 3-byte length. */
const MESSAGE_HEADER_BYTES = 4;
const MESSAGE_TYPE_CLIENT_HELLO = 1;

/**
 * Reads the ClientHello at the beginning of a TCP stream. Never throws for what is in it.
 *
 * @param stream All bytes received so far, from the first one on, record headers included. The hello views them.
 */
export function parseClientHello(stream: Uint8Array): HelloResult {
  return new HelloReader().read(stream);
}

/**
 * The incremental form of {@link parseClientHello}, one for each stream: it remembers how far it has looked, so that a
 * hello that comes byte by byte costs linear time. A hello in one record is never copied.
 */
export class HelloReader {
  /** Offset in the stream of the next byte to look at. */
  #at = 0;
  /** Offset behind the record that `#at` lies in; equal to `#at` between two records. */
  #recordEnd = 0;
  #records = 0;
  /** The message, its header included, once it takes more than one record; else null. */
  #joined: Uint8Array | null = null;
  /** Bytes of the message seen so far. */
  #length = 0;
  #fault: HelloInvalid | null = null;

  /**
   * @param stream All bytes received so far, from the first one on: each call gets what the one before got, and more.
   * They may have moved in memory. Once a result is not `incomplete`, the reader has done its work.
   */
  read(stream: Uint8Array): HelloResult {
    while (this.#fault === null) {
      if (this.#at === this.#recordEnd) {
        const fault = this.#readRecordHeader(stream);
        if (fault !== null) return this.#refuse(fault);
        if (this.#at === this.#recordEnd) return INCOMPLETE;
      }
      const result = this.#readFragment(stream);
      if (result !== null) return result;
    }
    return this.#fault;
  }

  /** Steps over a record header that is there as a whole; tells what is wrong with it as soon as it is seen. */
  #readRecordHeader(stream: Uint8Array): HelloErrorCode | null {
    const at = this.#at;
    if (stream.length === at) return null;
    const type = stream[at]!;
    if (type !== CONTENT_TYPE_HANDSHAKE) {
      return this.#records === 0 && !isContentType(type) ? 'not-tls' : 'unexpected-record';
    }
    if (stream.length > at + 1 && stream[at + 1] !== RECORD_VERSION_MAJOR) return 'record-version';
    if (stream.length < at + RECORD_HEADER_BYTES) return null;
    const length = recordLength(stream, at);
    if (length === 0) return 'empty-record';
    if (length > RECORD_PAYLOAD_BYTES_MAX) return 'record-overflow';
    if (++this.#records > HELLO_RECORDS_MAX) return 'too-many-records';
    this.#at = at + RECORD_HEADER_BYTES;
    this.#recordEnd = this.#at + length;
    return null;
  }

  /** Takes what there is of the current record; null when the next record is to be read. */
  #readFragment(stream: Uint8Array): HelloResult | null {
    const end = Math.min(stream.length, this.#recordEnd);
    if (this.#records > 1) return this.#join(stream, end);
    // The first record's fragment stays where it is until it turns out to be only a part.
    const start = RECORD_HEADER_BYTES;
    this.#length = end - start;
    const message = stream.subarray(start, end);
    const fault = messageHeaderFault(message, this.#length);
    if (fault !== null) return this.#refuse(fault);
    const wanted = messageLength(message, this.#length);
    if (this.#recordEnd - start >= wanted) return this.#finish(message, wanted);
    if (end < this.#recordEnd) return INCOMPLETE;
    this.#joined = Uint8Array.from(message);
    this.#at = end;
    return null;
  }

  #join(stream: Uint8Array, end: number): HelloResult | null {
    const fragment = stream.subarray(this.#at, end);
    const joined = this.#grow(this.#length + fragment.length);
    joined.set(fragment, this.#length);
    this.#length += fragment.length;
    this.#at = end;
    const fault = messageHeaderFault(joined, this.#length);
    if (fault !== null) return this.#refuse(fault);
    const wanted = messageLength(joined, this.#length);
    const coming = this.#recordEnd - end;
    if (this.#length + coming >= wanted) return this.#finish(joined, wanted);
    return coming > 0 ? INCOMPLETE : null;
  }

  /** Room for `length` bytes of the message; doubling keeps the sum of all copies linear. */
  #grow(length: number): Uint8Array {
    const joined = this.#joined ?? new Uint8Array(0);
    if (length <= joined.length) return joined;
    const grown = new Uint8Array(Math.max(length, 2 * joined.length));
    grown.set(joined.subarray(0, this.#length));
    this.#joined = grown;
    return grown;
  }

  /** The message ends within the current record, of which nothing may be left over. */
  #finish(message: Uint8Array, wanted: number): HelloResult {
    const coming = this.#recordEnd - (this.#joined === null ? RECORD_HEADER_BYTES + this.#length : this.#at);
    if (this.#length + coming > wanted) return this.#refuse('second-message');
    if (coming > 0) return INCOMPLETE;
    const body = message.subarray(MESSAGE_HEADER_BYTES, wanted);
    const layout = parseHelloLayout(body);
    if ('kind' in layout) {
      this.#fault = layout;
      return layout;
    }
    return { kind: 'complete', hello: new ClientHello(body, layout), consumed: this.#recordEnd };
  }

  #refuse(code: HelloErrorCode): HelloInvalid {
    this.#fault = helloInvalid(code);
    return this.#fault;
  }
}

/** What is wrong with the first bytes of a message, however few there are. */
function messageHeaderFault(message: Uint8Array, length: number): HelloErrorCode | null {
  if (length > 0 && message[0] !== MESSAGE_TYPE_CLIENT_HELLO) return 'not-client-hello';
  if (length < MESSAGE_HEADER_BYTES) return null;
  return messageLength(message, length) > MESSAGE_HEADER_BYTES + HELLO_BYTES_MAX ? 'hello-too-large' : null;
}

/** Bytes of the message with its header; of more than any message has while the header is not there yet. */
function messageLength(message: Uint8Array, length: number): number {
  if (length < MESSAGE_HEADER_BYTES) return Number.POSITIVE_INFINITY;
  return MESSAGE_HEADER_BYTES + ((message[1]! << 16) | (message[2]! << 8) | message[3]!);
}
