/** The extension encrypted_client_hello of an outer hello (RFC 9849 section 5). */
import { ByteReader } from '../wire/byte-reader.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import { echIllegal } from './ech-error.ts';
import type { EchIllegal } from './ech-error.ts';
import type { SymmetricSuite } from './hpke-suites.ts';

export interface EchOuter {
  readonly kind: 'outer';
  readonly suite: SymmetricSuite;
  readonly configId: number;
  /** The sender's encapsulated key; empty in a second hello. */
  readonly enc: Uint8Array;
  readonly payload: Uint8Array;
  /** Offset of the payload in the body of the hello. */
  readonly payloadOffset: number;
}

const TYPE_OUTER = 0;
const TYPE_INNER = 1;

/** What the extension says; null if the hello has it not. */
export function readEchOuter(hello: ClientHello): EchOuter | EchIllegal | null {
  const { body, echOffset } = hello;
  if (echOffset === 0) return null;
  const data = new ByteReader(body, echOffset - 2).vector16();
  const type = data.u8();
  if (!data.ok) return echIllegal('ech-malformed');
  if (type === TYPE_INNER) return echIllegal('ech-inner-in-clear');
  if (type !== TYPE_OUTER) return echIllegal('ech-unknown-type');
  const suite = { kdf: data.u16(), aead: data.u16() };
  const configId = data.u8();
  const enc = data.vector16().rest();
  const payload = data.vector16().rest();
  if (!data.done || payload.length === 0) return echIllegal('ech-malformed');
  return { kind: 'outer', suite, configId, enc, payload, payloadOffset: data.position - payload.length };
}

/** ClientHelloOuterAAD: the body with zeros in place of the payload (RFC 9849 section 5.2). */
export function additionalDataOf({ body }: ClientHello, { payload, payloadOffset }: EchOuter): Uint8Array {
  const data = Uint8Array.from(body);
  return data.fill(0, payloadOffset, payloadOffset + payload.length);
}
