/** A client of Encrypted ClientHello, byte by byte and without a TLS stack: for tests, and for wrong hellos too. */
import assert from 'node:assert/strict';
import { encodeEchConfig, parseEchConfig } from '../../src/ech/ech-config.ts';
import type { EchConfig } from '../../src/ech/ech-config.ts';
import type { EchKey } from '../../src/ech/ech-opener.ts';
import { KEMS, isKnownAead, isKnownKem } from '../../src/ech/hpke-suites.ts';
import type { KemId } from '../../src/ech/hpke-suites.ts';
import { createKemKey, generatePrivateKey } from '../../src/ech/kem-key.ts';
import { buildBody } from './hello-builder.ts';
import type { HelloParts } from './hello-builder.ts';
import { HpkeSender } from './hpke-sender.ts';

export const ECH = 0xfe0d;
export const OUTER_EXTENSIONS = 0xfd00;
/** The extension of an inner hello. */
export const INNER_MARK = { type: ECH, data: Uint8Array.of(1) };

export const PUBLIC_NAME = 'public.example';

export interface TestKey extends EchKey {
  readonly parsed: EchConfig;
}

export function createTestKey(parts: { configId?: number; kem?: KemId; publicName?: string } = {}): TestKey {
  const { configId = 7, kem = KEMS.x25519, publicName = PUBLIC_NAME } = parts;
  const privateKey = generatePrivateKey(kem);
  const key = createKemKey(kem, privateKey);
  assert.ok(key !== null);
  const suites = [1, 2, 3].map(aead => ({ kdf: 1, aead }));
  const { publicKey } = key;
  const config = encodeEchConfig({ configId, kem, publicKey, suites, maximumNameLength: 0, publicName });
  const parsed = parseEchConfig(config);
  assert.ok(parsed !== null);
  return { config, privateKey, parsed };
}

/** ech_outer_extensions with these types, whatever they are. */
export function outerExtensions(...types: number[]): { type: number; data: Uint8Array } {
  const list = types.flatMap(type => [type >> 8, type & 255]);
  return { type: OUTER_EXTENSIONS, data: Uint8Array.of(list.length, ...list) };
}

/** An inner hello as it is sealed: only TLS 1.3, no session id, marked as inner; with what is given instead. */
export function encodeInner(parts: HelloParts = {}, padding = 0): Uint8Array {
  const { extensions = [INNER_MARK], ...others } = parts;
  const body = buildBody({
    serverName: 'secret.example',
    sessionId: new Uint8Array(0),
    cipherSuites: [0x1301],
    supportedVersions: [0x0304],
    ...others,
    extensions,
  });
  return Uint8Array.of(...body, ...new Uint8Array(padding));
}

export class EchClient {
  readonly #config: EchConfig;
  readonly #aead: number;
  readonly #sender: HpkeSender;
  #isFirst = true;

  constructor({ parsed }: { readonly parsed: EchConfig }, aead = 1) {
    assert.ok(isKnownAead(aead) && isKnownKem(parsed.kem));
    this.#config = parsed;
    this.#aead = aead;
    const info = Buffer.concat([Buffer.from('tls ech\0'), parsed.raw]);
    const { kem, publicKey } = parsed;
    this.#sender = new HpkeSender({ kem, publicKey, aead, info });
  }

  /** The body of the next outer hello around these bytes; `change` may spoil it after it is sealed. */
  seal(
    inner: Uint8Array,
    outer: HelloParts = {},
    change: { configId?: number; aead?: number; enc?: Uint8Array; type?: number; tail?: Uint8Array } = {},
  ): Uint8Array {
    const enc = change.enc ?? (this.#isFirst ? this.#sender.enc : new Uint8Array(0));
    this.#isFirst = false;
    const { configId = this.#config.configId, aead = this.#aead, type = 0, tail = [] } = change;
    const payloadLength = inner.length + 16;
    const head = [
      type,
      0,
      1,
      0,
      aead,
      configId,
      enc.length >> 8,
      enc.length & 255,
      ...enc,
      payloadLength >> 8,
      payloadLength & 255,
    ];
    const bodyWith = (payload: Uint8Array): Uint8Array =>
      buildBody({
        serverName: this.#config.publicName,
        ...outer,
        extensions: [
          ...(outer.extensions ?? []),
          { type: ECH, data: Uint8Array.of(...head, ...payload, ...tail) },
        ],
      });
    const sealed = this.#sender.seal(inner, bodyWith(new Uint8Array(payloadLength)));
    return bodyWith(sealed);
  }
}
