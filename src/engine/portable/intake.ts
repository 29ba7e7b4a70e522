/** What a client has sent before its relay begins: the bytes, the hello among them, and the one that counts. */
import type { Client } from '../../verdict.ts';
import { HelloReader } from '../../wire/hello-reader.ts';
import type { HelloComplete, HelloResult } from '../../wire/hello-reader.ts';
import { StreamBuffer } from '../../wire/stream-buffer.ts';
import { recordVersion } from '../../wire/tls-record.ts';
import { EchPassage } from '../ech-passage.ts';
import type { EngineHost } from '../engine.ts';

export class Intake {
  /** What the backend gets, from its first byte on. */
  #stream = new StreamBuffer();
  #reader: HelloReader | null = new HelloReader();
  #passage: EchPassage | null = null;

  get bytes(): Uint8Array {
    return this.#stream.bytes;
  }

  get length(): number {
    return this.#stream.length;
  }

  /** What follows an opened hello goes through it; null for any other. */
  get passage(): EchPassage | null {
    return this.#passage;
  }

  /** Nothing goes through it any more; gives it away. */
  endPassage(): EchPassage | null {
    const passage = this.#passage;
    this.#passage = null;
    return passage;
  }

  append(chunk: Uint8Array): void {
    this.#stream.append(this.#passage === null ? chunk : this.#passage.fromClient(chunk));
  }

  /** Takes bytes off its beginning that are nothing to the backend. */
  drop(count: number): void {
    this.#stream.drop(count);
  }

  /** Gives its bytes away. */
  take(): Uint8Array {
    return this.#stream.take();
  }

  /** Null once it has told the hello, or what is wrong with it. */
  readHello(): HelloResult | null {
    const result = this.#reader?.read(this.#stream.bytes) ?? null;
    // What it has joined need not live as long as the relay.
    if (result !== null && result.kind !== 'incomplete') this.#reader = null;
    return result;
  }

  /** Opens the hello; where that is one in another, it takes the place of what the client has sent. */
  open(
    { hello, consumed }: HelloComplete,
    host: EngineHost,
    client: Client,
  ): ReturnType<EngineHost['openHello']> {
    const outer = this.#stream.bytes;
    const opened = host.openHello(hello, recordVersion(outer), client);
    if (opened?.kind !== 'accepted') return opened;
    this.#passage = new EchPassage(opened);
    this.#stream = new StreamBuffer();
    this.#stream.append(opened.records);
    this.append(outer.subarray(consumed));
    const { illegal } = this.#passage;
    return illegal === null ? opened : { kind: 'refused', refusal: { kind: 'illegal-ech', illegal } };
  }
}
