/** Records of connections on their way from a worker to the main thread: packed by one, unpacked by the other. */
import { nowMs } from './clock.ts';
import { END_REASONS } from '../../events.ts';
import type { ClientAddress, ConnectionEnded, ConnectionOpened, EndReason } from '../../events.ts';
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import { escapeBytes } from '../../wire/host-name.ts';
import type { ListenerRef } from '../../verdict.ts';
import type { PeerAddress } from '../../wire/peer-address.ts';
import { versionNames } from '../../wire/tls-versions.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { echBackend, echOffer, shownDetail, shownName } from '../hello-notes.ts';
import type { LinuxConnection } from './connection.ts';
import { formatPeer } from './peer-address.ts';

const OPENED = 0;
const ENDED = 1;
const NUMBER_BYTES = 8;
/** Family, address and port. */
const PEER_BYTES = 1 + 16 + 2;
/** Kind, peer and listener; of an ended one also its numbers, end reason, attempts, versions, ECH (four) and peer. */
const OPENED_BYTES = 1 + NUMBER_BYTES + PEER_BYTES + 4;
const ENDED_BYTES = OPENED_BYTES + 8 * NUMBER_BYTES + 1 + 2 + 1 + (1 + 2 + 1 + 1) + 1 + PEER_BYTES;
/** More than any `config_id`. */
const NO_CONFIG_ID = 0xffff;
/** Length of a text that is null. */
const NULL_LENGTH = 0xffff_ffff;

/** A listener of a worker. Its number stays the same as long as the process lives, and is no other's. */
export interface NumberedListener extends ListenerRef {
  readonly number: number;
}

/** A connection that was opened, for packing. */
export interface OpenedFacts {
  readonly id: number;
  readonly peer: PeerAddress;
  readonly listener: NumberedListener;
}

/** Collects records into one stretch of bytes. */
export class RecordPacker {
  #buffer: Buffer;
  #view: DataView;
  #length = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.alloc(capacity);
    this.#view = viewOf(this.#buffer);
  }

  get length(): number {
    return this.#length;
  }

  get count(): number {
    return this.#count;
  }

  /** The bytes collected, copied; begins anew. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length);
    bytes.set(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    this.#count = 0;
    return bytes;
  }

  addOpened(facts: OpenedFacts): void {
    this.#reserve(OPENED_BYTES);
    this.#putHead(OPENED, facts);
  }

  addEnded(connection: LinuxConnection, endReason: EndReason): void {
    const texts = textsOf(connection);
    const alpn = connection.alpnProtocols;
    let room = ENDED_BYTES + (texts.length + 1) * 4;
    for (const text of texts) room += 3 * (text?.length ?? 0);
    for (const text of alpn) room += 4 + text.length;
    this.#reserve(room);
    const { accepted, client, proxied } = connection;
    this.#putHead(ENDED, { ...accepted, peer: client.peer });
    const now = nowMs();
    const { acceptedAtMs, helloAtMs, verdictAtMs, dialedAtMs } = connection;
    this.#putNumber(Date.now() - (now - acceptedAtMs));
    this.#putNumber(elapsed(acceptedAtMs, helloAtMs));
    this.#putNumber(elapsed(helloAtMs, verdictAtMs));
    this.#putNumber(elapsed(verdictAtMs, dialedAtMs));
    this.#putNumber(now - acceptedAtMs);
    this.#putNumber(connection.bytesFromClient);
    this.#putNumber(connection.bytesFromBackend);
    this.#putNumber(client.ech?.openMs ?? Number.NaN);
    this.#view.setUint8(this.#length++, END_REASONS.indexOf(endReason));
    this.#view.setUint16(this.#length, connection.attempts);
    this.#length += 2;
    this.#view.setUint8(this.#length++, connection.tlsVersions);
    this.#view.setUint8(this.#length++, connection.ech);
    this.#view.setUint16(this.#length, client.ech?.configId ?? NO_CONFIG_ID);
    this.#length += 2;
    this.#view.setUint8(this.#length++, connection.echRetried ? 1 : 0);
    this.#view.setUint8(this.#length++, connection.echBackend);
    this.#view.setUint8(this.#length++, proxied === null ? 0 : 1);
    if (proxied !== null) this.#putPeer(accepted.peer);
    for (const text of texts) this.#putText(text);
    this.#view.setUint32(this.#length, alpn.length);
    this.#length += 4;
    for (const text of alpn) this.#putText(text);
  }

  #reserve(bytes: number): void {
    this.#count++;
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    this.#view = viewOf(grown);
  }

  #putHead(kind: number, { id, peer, listener }: OpenedFacts): void {
    this.#view.setUint8(this.#length++, kind);
    this.#putNumber(id);
    this.#putPeer(peer);
    this.#view.setUint32(this.#length, listener.number);
    this.#length += 4;
  }

  #putPeer({ family, words, port }: PeerAddress): void {
    this.#view.setUint8(this.#length++, family);
    for (const word of words) {
      this.#view.setInt32(this.#length, word);
      this.#length += 4;
    }
    this.#view.setUint16(this.#length, port);
    this.#length += 2;
  }

  #putNumber(value: number): void {
    this.#view.setFloat64(this.#length, value);
    this.#length += NUMBER_BYTES;
  }

  #putText(text: string | null): void {
    const length = text === null ? 0 : this.#buffer.write(text, this.#length + 4);
    this.#view.setUint32(this.#length, text === null ? NULL_LENGTH : length);
    this.#length += 4 + length;
  }
}

export interface RecordReaders {
  opened(connection: ConnectionOpened): void;
  ended(connection: ConnectionEnded): void;
}

/** Unpacks all records; `listeners` are the texts of the listeners by their number. */
export function unpackRecords(bytes: Uint8Array, listeners: readonly string[], readers: RecordReaders): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const unpacker = new Unpacker(buffer, listeners);
  while (!unpacker.done) unpacker.next(readers);
}

class Unpacker {
  readonly #buffer: Buffer;
  readonly #listeners: readonly string[];
  #at = 0;

  constructor(buffer: Buffer, listeners: readonly string[]) {
    this.#buffer = buffer;
    this.#listeners = listeners;
  }

  get done(): boolean {
    return this.#at >= this.#buffer.length;
  }

  next(readers: RecordReaders): void {
    const kind = this.#buffer.readUInt8(this.#at++);
    const opened = this.#opened();
    if (kind === OPENED) readers.opened(opened);
    else readers.ended(this.#ended(opened));
  }

  #opened(): ConnectionOpened {
    const id = this.#number();
    const client = this.#peer();
    const listener = this.#listeners[this.#buffer.readUInt32BE(this.#at)] ?? '';
    this.#at += 4;
    return { id, client, listener };
  }

  #peer(): ClientAddress {
    const at = this.#at;
    const word = (index: number): number => this.#buffer.readInt32BE(at + 1 + 4 * index);
    this.#at += PEER_BYTES;
    return formatPeer({
      family: this.#buffer.readUInt8(at) as PeerAddress['family'],
      words: [word(0), word(1), word(2), word(3)],
      port: this.#buffer.readUInt16BE(at + 17),
    });
  }

  #ended(opened: ConnectionOpened): ConnectionEnded {
    const startedAtMs = this.#number();
    const helloMs = this.#time();
    const resolveMs = this.#time();
    const dialMs = this.#time();
    const totalMs = this.#number();
    const bytesFromClient = this.#number();
    const bytesFromBackend = this.#number();
    const echOpenMs = this.#time();
    const endReason = END_REASONS[this.#buffer.readUInt8(this.#at++)] ?? 'internal-error';
    const attempts = this.#buffer.readUInt16BE(this.#at);
    this.#at += 2;
    const tlsVersions = versionNames(this.#buffer.readUInt8(this.#at++));
    const ech = echOffer(this.#buffer.readUInt8(this.#at++));
    const configId = this.#buffer.readUInt16BE(this.#at);
    this.#at += 2;
    const echRetried = this.#buffer.readUInt8(this.#at++) === 1;
    const confirmation = echBackend(this.#buffer.readUInt8(this.#at++));
    const peer = this.#buffer.readUInt8(this.#at++) === 0 ? null : this.#peer();
    const serverName = this.#text();
    const rawName = this.#text();
    const route = this.#text();
    const backend = this.#text();
    const detail = this.#text();
    const ja3 = this.#text();
    const ja4 = this.#text();
    const outerName = this.#text();
    const count = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    const alpnProtocols = Array.from({ length: count }, () => this.#text() ?? '');
    // One literal: put together from several, each record gets a hidden class of its own, which costs many times as much.
    return {
      id: opened.id,
      client: opened.client,
      listener: opened.listener,
      peer,
      startedAtMs,
      serverName,
      rawName,
      alpnProtocols,
      tlsVersions,
      ech,
      outerName,
      echConfigId: configId === NO_CONFIG_ID ? null : configId,
      echRetried,
      echBackend: confirmation,
      echOpenMs,
      ja3,
      ja4,
      route,
      backend,
      attempts,
      helloMs,
      resolveMs,
      dialMs,
      totalMs,
      bytesFromClient,
      bytesFromBackend,
      endReason,
      detail,
    };
  }

  #number(): number {
    this.#at += NUMBER_BYTES;
    return this.#buffer.readDoubleBE(this.#at - NUMBER_BYTES);
  }

  #time(): number | null {
    const value = this.#number();
    return Number.isNaN(value) ? null : value;
  }

  #text(): string | null {
    const length = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    if (length === NULL_LENGTH) return null;
    this.#at += length;
    return this.#buffer.toString('utf8', this.#at - length, this.#at);
  }
}

/** The record of a connection that a dead worker has taken along: nothing more is known of it. */
export function lostRecord(connection: ConnectionOpened): ConnectionEnded {
  return {
    ...connection,
    peer: null,
    startedAtMs: Date.now(),
    serverName: null,
    rawName: null,
    alpnProtocols: [],
    tlsVersions: [],
    ech: null,
    outerName: null,
    echConfigId: null,
    echRetried: false,
    echBackend: null,
    echOpenMs: null,
    ja3: null,
    ja4: null,
    route: null,
    backend: null,
    attempts: 0,
    helloMs: null,
    resolveMs: null,
    dialMs: null,
    totalMs: 0,
    bytesFromClient: 0,
    bytesFromBackend: 0,
    endReason: 'internal-error',
    detail: 'worker died',
  };
}

function textsOf(connection: LinuxConnection): readonly (string | null)[] {
  const { client, rawName, route, candidate, detail, fingerprints } = connection;
  const outerName = client.ech?.kind === 'accepted' ? client.ech.outerName : null;
  return [
    shownName(connection),
    rawName === null ? null : escapeBytes(rawName, LOGGED_BYTES_MAX),
    route,
    candidate === null ? null : formatEndpoint(candidate.endpoint),
    shownDetail(connection, detail),
    fingerprints === null ? null : fingerprints.ja3,
    fingerprints === null ? null : fingerprints.ja4,
    outerName,
  ];
}

/** NaN for what was not reached. */
function elapsed(fromMs: number, toMs: number): number {
  return fromMs > 0 && toMs > 0 ? toMs - fromMs : Number.NaN;
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
