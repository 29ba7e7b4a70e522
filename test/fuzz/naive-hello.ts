/**
 * A second parser of ClientHellos, as simple as can be and with nothing of the first one in it: it cuts the hello into
 * pieces from the front, throws where a piece is short, and checks nothing else. Good for hellos that are valid, to
 * see whether they were read right.
 */
import { isIP } from 'node:net';

export interface NaiveExtension {
  readonly type: number;
  readonly data: Buffer;
}

export interface NaiveHello {
  /** Version, random, session id, suites and compression methods, with their lengths. */
  readonly head: Buffer;
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly NaiveExtension[];
}

/** The message of a stream, without its header, and the stream bytes that its records take. */
export function joinNaively(stream: Uint8Array): { body: Buffer; consumed: number } {
  const rest = new Pieces(stream);
  let message = Buffer.alloc(0);
  let records = 0;
  while (message.length < 4 || message.length < 4 + message.readUIntBE(1, 3)) {
    rest.cut(3);
    message = Buffer.concat([message, rest.vector(2)]);
    records++;
  }
  return { body: message.subarray(4), consumed: message.length + 5 * records };
}

export function splitNaively(body: Uint8Array): NaiveHello {
  const rest = new Pieces(body);
  rest.cut(2 + 32);
  rest.vector(1);
  const suites = rest.vector(2);
  rest.vector(1);
  const head = Buffer.from(body).subarray(0, body.length - rest.length);
  const extensions: NaiveExtension[] = [];
  const block = new Pieces(rest.length === 0 ? new Uint8Array(0) : rest.vector(2));
  while (block.length > 0) extensions.push({ type: block.number(2), data: block.vector(2) });
  return { head, cipherSuites: [...suites.toString('hex').matchAll(/..../g)].map(toNumber), extensions };
}

/** The bytes of every host_name, latin1. */
export function namesOf(hello: NaiveHello): string[] {
  const names: string[] = [];
  for (const { data } of hello.extensions.filter(({ type }) => type === 0)) {
    const list = new Pieces(new Pieces(data).vector(2));
    while (list.length > 0) {
      const type = list.number(1);
      const name = list.vector(2).toString('latin1');
      if (type === 0) names.push(name);
    }
  }
  return names;
}

export function alpnOf(hello: NaiveHello): string[] {
  const protocols: string[] = [];
  for (const { data } of hello.extensions.filter(({ type }) => type === 16)) {
    const list = new Pieces(new Pieces(data).vector(2));
    while (list.length > 0) protocols.push(list.vector(1).toString('latin1'));
  }
  return protocols;
}

/** What a host_name stands for: a lower-case name without its trailing dot, or null for an address. */
export function canonicalNaively(name: string): string | null {
  const bare = name.replace(/\.$/, '').toLowerCase();
  if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return null;
  const labels = bare.split('.');
  const numeric = labels.every(label => /^[0-9]+$/.test(label) || /^0x[0-9a-f]*$/.test(label));
  return numeric && labels.length <= 4 ? null : bare;
}

class Pieces {
  #rest: Buffer;

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes);
  }

  get length(): number {
    return this.#rest.length;
  }

  cut(count: number): Buffer {
    if (count > this.#rest.length) throw new RangeError(`${count} of ${this.#rest.length} bytes`);
    const piece = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return piece;
  }

  number(bytes: number): number {
    return this.cut(bytes).readUIntBE(0, bytes);
  }

  /** The bytes behind a length of so many bytes. */
  vector(lengthBytes: number): Buffer {
    return this.cut(this.number(lengthBytes));
  }
}

function toNumber([digits]: RegExpMatchArray): number {
  return Number.parseInt(digits, 16);
}
